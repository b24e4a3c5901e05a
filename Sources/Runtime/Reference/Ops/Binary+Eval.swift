internal import BinaryIO
internal import GraphIR

extension Binary {
  /// f32, f16 and bf16 in f32; f64 in f64; integers in i64, wrapped to their type.
  ///
  /// Integer division truncates; `mod` has the sign of the divisor. Both refuse a divisor of 0, and `pow` a negative exponent.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let a = try e.input(0)
    let b = try e.input(1)
    let shape = try e.shape()
    switch a.dtype {
    case .float32, .float16, .bfloat16:
      let (x, y) = (try e.real(0), try e.real(1))
      return try combine(x, y, shape, as: Float.self) { Pointwise.apply(kind, $0, $1) }.narrowed(to: e.dtype)
    case .float64: return try combine(a, b, shape, as: Double.self, real64())
    case .int8, .uint8, .int16, .uint16, .int32, .uint32, .int64, .uint64, .bool:
      return try integers(a, b, shape)
    }
  }

  private func combine<Element: BitwiseCopyable>(
    _ a: Tensor,
    _ b: Tensor,
    _ shape: [Int],
    as element: Element.Type,
    _ f: (Element, Element) -> Element
  ) throws(Refusal) -> Tensor {
    let walk = Broadcast(shape, [a.shape, b.shape])
    let steps = walk.lastStrides
    return try unsafe Tensor.build(a.dtype, shape, as: Element.self) { (result) throws(Refusal) in
      unsafe a.withElements(as: Element.self) { a in
        unsafe b.withElements(as: Element.self) { b in
          walk.forEachRun { (start, offsets, count) in
            for index in 0..<count {
              unsafe result[start + index] = f(
                a[offsets[0] + index * steps[0]],
                b[offsets[1] + index * steps[1]]
              )
            }
          }
        }
      }
    }
  }

  private func real64() throws(Refusal) -> (Double, Double) -> Double {
    switch kind {
    case .add: { $0 + $1 }
    case .sub: { $0 - $1 }
    case .mul: { $0 * $1 }
    case .div: { $0 / $1 }
    case .min: { $0.isNaN || $0 < $1 ? $0 : $1 }
    case .max: { $0.isNaN || $0 > $1 ? $0 : $1 }
    case .pow, .mod: throw Evaluation.refusal("V2", "\(name) of f64 is not supported")
    }
  }

  private func integers(_ a: Tensor, _ b: Tensor, _ shape: [Int]) throws(Refusal) -> Tensor {
    let (x, y) = (try a.integers(), try b.integers())
    if kind == .div || kind == .mod {
      guard !y.contains(0) || x.isEmpty else { throw Evaluation.refusal("V3", "a divisor is 0") }
    }
    if kind == .pow {
      guard y.allSatisfy({ $0 >= 0 }) else {
        throw Evaluation.refusal("V3", "an integer exponent is negative")
      }
    }
    var result = [Int](repeating: 0, count: shape.reduce(1, *))
    Broadcast(shape, [a.shape, b.shape]).visit { (index, offsets) in
      result[index] = integer(x[offsets[0]], y[offsets[1]])
    }
    return try Tensor.integers(a.dtype, shape, result)
  }

  private func integer(_ a: Int, _ b: Int) -> Int {
    switch kind {
    case .add: a &+ b
    case .sub: a &- b
    case .mul: a &* b
    case .div: b == -1 ? 0 &- a : a / b
    case .mod: floorMod(a, b)
    case .pow: power(a, b)
    case .min: Swift.min(a, b)
    case .max: Swift.max(a, b)
    }
  }

  private func floorMod(_ a: Int, _ b: Int) -> Int {
    guard b != -1 else { return 0 }
    let remainder = a % b
    return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder
  }

  private func power(_ base: Int, _ exponent: Int) -> Int {
    var (result, factor, rest) = (1, base, exponent)
    while rest > 0 {
      if rest & 1 == 1 { result = result &* factor }
      factor = factor &* factor
      rest >>= 1
    }
    return result
  }
}

extension Prelu {
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.real(0)
    let slope = try e.real(1)
    let shape = try e.shape()
    let (values, slopes) = (x.elements(as: Float.self), slope.elements(as: Float.self))
    var result = [Float](repeating: 0, count: shape.reduce(1, *))
    Broadcast(shape, [x.shape, slope.shape]).visit { (index, offsets) in
      let value = values[offsets[0]]
      result[index] = value < 0 ? slopes[offsets[1]] * value : value
    }
    return try Tensor.floats(result, shape).narrowed(to: e.dtype)
  }
}
