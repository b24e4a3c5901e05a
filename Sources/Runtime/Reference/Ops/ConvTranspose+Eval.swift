internal import BinaryIO
internal import GraphIR

extension ConvTranspose {
  /// Products and sums in f64, rounded to f32 once, then bias and activation in f32.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.real(0)
    let w = try e.real(1)
    let bias = try e.optionalReal(2)?.elements(as: Float.self)
    let shape = try e.shape()
    let loop = TransposedLoop(
      input: x.shape,
      weight: w.shape,
      output: shape,
      strides: strides,
      pads: pads,
      dilations: dilations,
      group: group
    )
    var sums = [Double](repeating: 0, count: shape.reduce(1, *))
    unsafe x.withElements(as: Float.self) { x in
      unsafe w.withElements(as: Float.self) { w in
        loop.forEachProduct { (source, weight, target) in
          sums[target] += Double(unsafe x[source]) * Double(unsafe w[weight])
        }
      }
    }
    let plane = shape.dropFirst(2).reduce(1, *)
    let result = try unsafe Tensor.build(.float32, shape, as: Float.self) { (y) throws(Refusal) in
      for index in sums.indices {
        let value = Float(sums[index]) + (bias?[index / plane % shape[1]] ?? 0)
        unsafe y[index] = Pointwise.apply(activation, value)
      }
    }
    return try result.narrowed(to: e.dtype)
  }
}

/// The products of a transposed convolution over up to three spatial axes.
struct TransposedLoop {
  private let batch: Int
  private let channels: Int
  private let groups: Int
  private let perGroup: Int
  private let input: [Int]
  private let output: [Int]
  private let kernel: [Int]
  private let strides: [Int]
  private let pads: [Int]
  private let dilations: [Int]

  /// - Parameters:
  ///   - input: `[N, C, D...]`
  ///   - weight: `[C, M/group, k...]`
  ///   - output: `[N, M, D...]`
  ///   - strides: As the operator's.
  ///   - pads: As the operator's.
  ///   - dilations: As the operator's.
  ///   - group: As the operator's.
  init(
    input: [Int],
    weight: [Int],
    output: [Int],
    strides: [Int],
    pads: [Int],
    dilations: [Int],
    group: Int
  ) {
    let axes = weight.count - 2
    func filled(_ list: some Sequence<Int>, _ filler: Int) -> [Int] {
      Array(repeating: filler, count: 3 - axes) + Array(list)
    }
    batch = input[0]
    channels = input[1]
    groups = group
    perGroup = weight[1]
    self.input = filled(input.dropFirst(2), 1)
    self.output = filled(output.dropFirst(2), 1)
    kernel = filled(weight.dropFirst(2), 1)
    self.strides = filled(strides, 1)
    self.pads = filled(pads.prefix(axes), 0)
    self.dilations = filled(dilations, 1)
  }

  /// Visits every product as (input index, weight index, output index).
  func forEachProduct(_ body: (Int, Int, Int) -> Void) {
    for n in 0..<batch {
      for c in 0..<channels {
        let group = c / (channels / groups)
        for m in 0..<perGroup {
          let source = (n * channels + c) * input.reduce(1, *)
          let weight = (c * perGroup + m) * kernel.reduce(1, *)
          let target = (n * groups * perGroup + group * perGroup + m) * output.reduce(1, *)
          forEachSpatial { (x, k, y) in body(source + x, weight + k, target + y) }
        }
      }
    }
  }

  private func forEachSpatial(_ body: (Int, Int, Int) -> Void) {
    forEachPair(0) { (xd, kd, yd) in
      forEachPair(1) { (xh, kh, yh) in
        forEachPair(2) { (xw, kw, yw) in
          body(
            (xd * input[1] + xh) * input[2] + xw,
            (kd * kernel[1] + kh) * kernel[2] + kw,
            (yd * output[1] + yh) * output[2] + yw
          )
        }
      }
    }
  }

  /// Visits (input, tap, output) coordinates of one axis that lie inside the output.
  private func forEachPair(_ axis: Int, _ body: (Int, Int, Int) -> Void) {
    for x in 0..<input[axis] {
      for k in 0..<kernel[axis] {
        let y = x * strides[axis] + k * dilations[axis] - pads[axis]
        if y >= 0 && y < output[axis] { body(x, k, y) }
      }
    }
  }
}
