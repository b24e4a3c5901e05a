internal import BinaryIO
internal import GraphIR

extension MaxPool {
  /// The largest tap inside the input; NaN wins.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let loop = try loop(input: e.input(0).shape, output: e.shape())
    if try e.input(0).dtype == .uint8 {
      return try loop.maxima(e.input(0), shape: e.shape(), as: UInt8.self) { $0 > $1 }
    }
    if try e.input(0).dtype == .int8 {
      return try loop.maxima(e.input(0), shape: e.shape(), as: Int8.self) { $0 > $1 }
    }
    let x = try e.real(0)
    return try loop.maxima(x, shape: e.shape(), as: Float.self) { $0 > $1 || $0.isNaN }.narrowed(to: e.dtype)
  }

  /// - Throws: A refusal when a window has no tap inside the input.
  func loop(input: [Int], output: [Int]) throws(Refusal) -> PoolLoop {
    let loop = PoolLoop(
      input: input,
      output: output,
      kernel: kernel,
      strides: strides,
      pads: pads,
      dilations: dilations
    )
    try loop.refuseEmptyWindows()
    return loop
  }
}

extension PoolLoop {
  func refuseEmptyWindows() throws(Refusal) {
    guard !hasEmptyWindow else {
      throw Evaluation.refusal("T-pool", "a window lies in the padding as a whole")
    }
  }

  /// The element of each window that `isAbove` all before it.
  func maxima<Element: BitwiseCopyable>(
    _ x: Tensor,
    shape: [Int],
    as element: Element.Type,
    _ isAbove: (Element, Element) -> Bool
  ) throws(Refusal) -> Tensor {
    try unsafe Tensor.build(x.dtype, shape, as: Element.self) { (y) throws(Refusal) in
      unsafe x.withElements(as: Element.self) { x in
        forEachWindow { window in
          var best: Element?
          forEachTap(of: window) { index in
            let value = unsafe x[index]
            if best.map({ isAbove(value, $0) }) ?? true { best = value }
          }
          if let best { unsafe y[window.target] = best }
        }
      }
    }
  }
}

extension AveragePool {
  /// Sums in f64, divided in f64, rounded to f32 once.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.real(0)
    let loop = try loop(input: x.shape, output: e.shape())
    let result = try unsafe Tensor.build(.float32, e.shape(), as: Float.self) { (y) throws(Refusal) in
      unsafe x.withElements(as: Float.self) { x in
        loop.forEachWindow { window in
          var sum = 0.0
          loop.forEachTap(of: window) { sum += Double(unsafe x[$0]) }
          unsafe y[window.target] = Float(sum / Double(countIncludePad ? window.padded : window.count))
        }
      }
    }
    return try result.narrowed(to: e.dtype)
  }

  /// - Throws: A refusal when a window has no tap inside the input.
  func loop(input: [Int], output: [Int]) throws(Refusal) -> PoolLoop {
    let loop = PoolLoop(
      input: input,
      output: output,
      kernel: kernel,
      strides: strides,
      pads: pads,
      dilations: dilations
    )
    try loop.refuseEmptyWindows()
    return loop
  }
}

extension GlobalPool {
  /// A mean in f64 rounded to f32 once, or the maximum.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.real(0)
    let kernel = Array(x.shape.dropFirst(2))
    let ones = kernel.map { _ in 1 }
    let pads = Array(repeating: 0, count: 2 * kernel.count)
    guard kernel.count <= 3 else {
      throw Evaluation.refusal("T-pool", "\(kernel.count) spatial axes, at most 3 are supported")
    }
    let whole = Evaluation(inputs: [x], types: [TensorType(.float32, known: try e.shape())])
    let result =
      switch kind {
      case .average:
        try AveragePool(kernel: kernel, strides: ones, pads: pads, dilations: ones).evaluate(whole)
      case .max: try MaxPool(kernel: kernel, strides: ones, pads: pads, dilations: ones).evaluate(whole)
      }
    return try result.narrowed(to: e.dtype)
  }
}
