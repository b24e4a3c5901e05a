internal import BinaryIO
internal import GraphIR
internal import Kernels

/// A convolution over one to three axes as one over two, which is what kernels know.
///
/// Three axes become two where the kernel is flat along one side, or else by stacking the slices that a window along the
/// depth sees: `kernel depth` times the channels.
struct PlaneConv {
  private(set) var shape: LinearShape
  /// What becomes of the input first; bytes are those of one element.
  private(set) var stack: SliceStack?
  private let geometry: ConvGeometry

  /// - Parameters:
  ///   - geometry: The operator's.
  ///   - x: `[N, C, D...]`
  ///   - y: `[N, M, D'...]`
  init?(_ geometry: ConvGeometry, x: [Int], y: [Int]) {
    self.geometry = geometry
    guard geometry.kernel.count == 3, x.count == 5, y.count == 5, geometry.group > 0 else {
      guard let shape = LinearShape(geometry, x: x, y: y) else { return nil }
      self.shape = shape
      return
    }
    let (depth, planes) = (geometry.axes([0]), geometry.axes([1, 2]))
    if planes.isPointwise {
      // Pixels of a slice are one axis.
      let tall = ConvGeometry(
        kernel: depth.kernel + [1],
        strides: depth.strides + [1],
        pads: [depth.pads[0], 0, depth.pads[1], 0],
        dilations: depth.dilations + [1],
        group: geometry.group
      )
      guard
        let shape = LinearShape(
          tall,
          x: Array(x[..<3]) + [x[3] * x[4]],
          y: Array(y[..<3]) + [y[3] * y[4]]
        )
      else { return nil }
      self.shape = shape
      return
    }
    let taps = depth.isPointwise ? 1 : depth.kernel[0]
    let slices = [x[0] * y[2], x[1] * taps, x[3], x[4]]
    guard let shape = LinearShape(planes, x: slices, y: [y[0] * y[2], y[1], y[3], y[4]]) else { return nil }
    self.shape = shape
    guard !depth.isPointwise else { return }
    var stack = SliceStack()
    stack.batch = x[0]
    stack.inputDepth = x[2]
    stack.outputDepth = y[2]
    stack.kernel = taps
    stack.stride = depth.strides[0]
    stack.pad = depth.pads[0]
    stack.dilation = depth.dilations[0]
    stack.pixels = x[3] * x[4]
    stack.groups = geometry.group
    stack.bytes = x[1] / geometry.group
    self.stack = stack
  }

  /// Weights `[M, C/group, k...]` in the order that the kernel takes.
  func arranged(_ weights: Tensor) throws(Refusal) -> Tensor {
    guard stack != nil else { return weights }
    let perm = [0, 2, 1, 3, 4]
    return try Mover.pick(
      weights,
      shape: perm.map { weights.shape[$0] },
      offsets: Mover.permuted(weights.shape, perm)
    )
  }

  /// For profiles, such as `depthwise conv 3x3` or `conv 3x3x3`.
  var summary: String {
    guard geometry.kernel.count == 3 else { return shape.summary }
    return
      "\(geometry.group > 1 ? "grouped " : "")conv \(geometry.kernel.map(String.init).joined(separator: "x"))"
  }
}

extension ConvGeometry {
  /// The geometry along some axes.
  fileprivate func axes(_ chosen: [Int]) -> ConvGeometry {
    ConvGeometry(
      kernel: chosen.map { kernel[$0] },
      strides: chosen.map { strides[$0] },
      pads: chosen.map { pads[$0] } + chosen.map { pads[$0 + kernel.count] },
      dilations: chosen.map { dilations[$0] },
      group: group
    )
  }

  /// Whether every output sees the input at its own place only.
  fileprivate var isPointwise: Bool {
    kernel.allSatisfy { $0 == 1 } && strides.allSatisfy { $0 == 1 } && pads.allSatisfy { $0 == 0 }
  }
}

extension PlanBuilder {
  /// The input of a convolution as its kernel takes it.
  ///
  /// - Parameters:
  ///   - x: The input.
  ///   - plane: The convolution.
  ///   - parameters: Slots that `fill` reads.
  ///   - fill: The byte that elements outside of the input are made of.
  mutating func stacked(
    _ x: ValueID,
    _ plane: PlaneConv,
    reading parameters: [SlotID] = [],
    fill: @escaping (PlanRun) -> UInt8 = { _ in 0 }
  ) throws(Refusal) -> SlotID {
    let source = try read(x, .channelsLast)
    guard var stack = plane.stack else { return source }
    let target = between(dtype(x), [stack.outputBytes])
    stack.bytes *= dtype(x).size
    let slices = stack
    add("stack slices", reads: [source] + parameters, writes: [target]) { (run) throws(Refusal) in
      slices.run(run[source], run[target], fill: fill(run), in: run.context)
    }
    return target
  }
}
