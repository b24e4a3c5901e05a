internal import BinaryIO
internal import GraphIR
internal import Kernels

extension PlanBuilder {
  mutating func addIntegerConvTranspose(_ kind: IntegerConvTranspose, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let y = step.outputs.first,
      let phases = PhaseConv(kind.geometry, weights: kind.weights.shape, x: self.shape(x), y: self.shape(y))
    else { return false }
    let output = phases.spread(kind.tail)
      .output(bias: phases.spread(kind.bias), inputZeroPoint: kind.inputZeroPoint)
    let kernel = try convKernel(phases.shape, y, output) { () throws(Refusal) in
      (try phases.arranged(kind.weights), .int8)
    }
    try addPhases(phases, kernel, "int8", x, y)
    return true
  }

  mutating func addFloatConvTranspose(_ op: ConvTranspose, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let w = step.inputs[1], let y = step.outputs.first, dtype(x) == .float32,
      constants.isConstant(w), hasKnownBias(step)
    else { return false }
    let geometry = ConvGeometry(op, kernel: self.shape(w).dropFirst(2))
    guard let phases = PhaseConv(geometry, weights: self.shape(w), x: self.shape(x), y: self.shape(y)) else {
      return false
    }
    let bias = try knownBias(step).map(phases.spread)
    let output = LinearOutput.float(bias: bias, PointwiseFunction(op.activation))
    let kernel = try convKernel(phases.shape, y, output) { () throws(Refusal) in
      let (weights, element) = try floatWeights(w)
      return (try phases.arranged(weights), element)
    }
    try addPhases(phases, kernel, "f32", x, y)
    return true
  }

  /// All phases by one kernel, then side by side.
  private mutating func addPhases(
    _ phases: PhaseConv,
    _ kernel: LinearKernel,
    _ prefix: String,
    _ x: ValueID,
    _ y: ValueID
  ) throws(Refusal) {
    let source = try read(x, .channelsLast)
    let name = "\(prefix) \(phases.summary)"
    guard let interleaving = phases.interleaving(dtype(y)) else {
      return addLinear(kernel, name: name, source, place(y, .channelsLast))
    }
    let between = between(dtype(y), [phases.shape.outputElements])
    addLinear(kernel, name: name, source, Place(slot: between, pixels: nil))
    let target = write(y, .channelsLast)
    add("interleave phases", reads: [between], writes: [target]) { (run) throws(Refusal) in
      interleaving.run(run[between], run[target], in: run.context)
    }
  }
}

/// A transposed convolution as a convolution of stride 1 that computes all phases of the stride as channels.
///
/// With `u = y + pad`, output `u = q·stride + r` is the sum over `j` of input `q - j` times tap `r + j·stride`: a
/// convolution over `q` whose taps are every `stride`th one, backwards, for each phase `r`.
struct PhaseConv {
  private(set) var shape = LinearShape()
  private let batch: Int
  private let group: Int
  /// Channels of a group of the result.
  private let outputs: Int
  // Along three axes, of which the first ones may be missing.
  private let strides: [Int]
  private let kernel: [Int]
  /// Taps of a phase.
  private let taps: [Int]
  /// Extents in units of the stride.
  private let rows: [Int]
  /// Where the result begins, as a place of the first phase and a phase.
  private let phasePads: [Int]
  private let output: [Int]
  private let axes: Int

  /// - Parameters:
  ///   - geometry: The operator's.
  ///   - weights: `[C, M/group, k...]`
  ///   - x: `[N, C, D...]`
  ///   - y: `[N, M, D'...]`
  /// - Returns: nil where the phases are no such convolution, or one over three axes.
  init?(_ geometry: ConvGeometry, weights: [Int], x: [Int], y: [Int]) {
    let axes = geometry.kernel.count
    guard (1...3).contains(axes), x.count == axes + 2, y.count == axes + 2, geometry.group > 0,
      (x + y + weights).allSatisfy({ $0 > 0 }), geometry.dilations.allSatisfy({ $0 == 1 })
    else { return nil }
    func filled(_ list: some Sequence<Int>, _ filler: Int) -> [Int] {
      Array(repeating: filler, count: 3 - axes) + Array(list)
    }
    let strides = filled(geometry.strides, 1)
    let kernel = filled(geometry.kernel, 1)
    let output = filled(y.dropFirst(2), 1)
    let pads = filled(geometry.pads.prefix(axes), 0)
    let input = filled(x.dropFirst(2), 1)
    let taps = zip(kernel, strides).map { kernel, stride in (kernel + stride - 1) / stride }
    let first = zip(pads, strides).map { pad, stride in pad / stride }
    let rows = (0..<3).map { axis -> Int in
      (pads[axis] + output[axis] - 1) / strides[axis] - first[axis] + 1
    }
    guard (0..<3).allSatisfy({ first[$0] < taps[$0] }), taps[0] == 1,
      rows[0] == input[0] || (rows[0] < input[0] && x[0] == 1)
    else { return nil }
    self.axes = axes
    batch = x[0]
    group = geometry.group
    outputs = weights[1]
    (self.strides, self.kernel, self.output, self.taps, self.rows) = (strides, kernel, output, taps, rows)
    phasePads = zip(pads, strides).map { pad, stride in pad % stride }
    shape.batch = batch * rows[0]
    (shape.inputHeight, shape.inputWidth) = (input[1], input[2])
    (shape.outputHeight, shape.outputWidth) = (rows[1], rows[2])
    (shape.kernelHeight, shape.kernelWidth) = (taps[1], taps[2])
    (shape.padTop, shape.padLeft) = (taps[1] - 1 - first[1], taps[2] - 1 - first[2])
    shape.groups = group
    shape.inputChannels = x[1] / group
    shape.outputChannels = phases * outputs
  }

  private var phases: Int { strides.reduce(1, *) }

  /// One value per channel of the result, for every phase.
  func spread<Element>(_ values: [Element]) -> [Element] {
    (0..<group).flatMap { group in
      (0..<phases).flatMap { _ in values[group * outputs..<(group + 1) * outputs] }
    }
  }

  func spread(_ tail: LinearTail) -> LinearTail {
    switch tail {
    case .requantize(let multipliers, let clamp): .requantize(multipliers: spread(multipliers), clamp)
    case .real(let scales, let bias, let activation, let output):
      .real(scales: spread(scales), bias: bias.map(spread), activation, output: output)
    }
  }

  /// Weights `[C, M/group, k...]` as `[group, stride..., M/group, C/group, taps...]`, with zeros for missing taps.
  func arranged(_ weights: Tensor) throws(Refusal) -> Tensor {
    let missing = Array(repeating: 1, count: 3 - axes)
    let full = Array(weights.shape[..<2]) + missing + weights.shape[2...]
    guard let source = weights.reshaped(full) else {
      throw Evaluation.refusal("T-conv_transpose", "the weights \(weights.type) do not fill \(full)")
    }
    let wide: [Int] = Array(full[..<2]) + zip(taps, strides).map { $0 * $1 }
    var offsets: [[Int]] = []
    for (axis, stride) in Mover.strides(full).enumerated() {
      offsets.append((0..<wide[axis]).map { $0 < full[axis] ? $0 * stride : Mover.filled })
    }
    let padded = try Mover.pick(source, shape: wide, offsets: offsets)
    let steps = Mover.strides(wide)
    func places(_ count: Int, _ step: Int) -> [Int] { (0..<count).map { $0 * step } }
    let inputs = shape.inputChannels
    var order = [places(group, inputs * steps[0])]
    for axis in 0..<3 { order.append(places(strides[axis], steps[2 + axis])) }
    order += [places(outputs, steps[1]), places(inputs, steps[0])]
    for axis in 1..<3 { order.append(places(taps[axis], strides[axis] * steps[2 + axis]).reversed()) }
    return try Mover.pick(padded, shape: order.map(\.count), offsets: order)
  }

  /// What makes the result of the kernel's; nil where it is that already.
  func interleaving(_ dtype: DType) -> PhaseInterleaving? {
    guard phases > 1 else { return nil }
    return PhaseInterleaving(
      batch: batch,
      input: rows,
      output: output,
      strides: strides,
      pads: phasePads,
      groups: group,
      bytes: outputs * dtype.size
    )
  }

  /// For profiles, such as `transposed conv 2x2`.
  var summary: String {
    let sides = kernel.suffix(axes).map(String.init).joined(separator: "x")
    return "\(group > 1 ? "grouped " : "")transposed conv \(sides)"
  }
}
