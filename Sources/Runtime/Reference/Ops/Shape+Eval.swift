internal import BinaryIO
internal import GraphIR

extension ShapeOf {
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let shape = try e.input(0).shape
    return try Tensor.int64s(Array(shape[range(rank: shape.count)]))
  }
}

extension ConstantOfShape {
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let shape = try e.shape()
    let one = try Casting.tensor([Double(value)], dtype, [1])
    return try Mover.pick(one, shape: shape, offsets: shape.map { Array(repeating: 0, count: $0) })
  }
}

extension RangeOp {
  /// Elements `start + i * delta`; integers are exact, floating point is computed in f64 and rounded once.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let dtype = e.dtype
    guard dtype.isFloatingPoint else {
      let start = try e.input(0).integers()
      let delta = try e.input(2).integers()
      let count = try e.shape()[0]
      return try Tensor.integers(dtype, [count], (0..<count).map { start[0] &+ $0 &* delta[0] })
    }
    let bounds = (0..<3).compactMap { index in e.optional(index).flatMap { Casting.reals($0)?.first } }
    guard bounds.count == 3, bounds.allSatisfy(\.isFinite), bounds[2] != 0 else {
      throw Evaluation.refusal(
        "T-range",
        "the bounds are \(bounds), must be finite with a delta other than 0"
      )
    }
    let steps = ((bounds[1] - bounds[0]) / bounds[2]).rounded(.up)
    guard steps <= Double(Limits.standard.dimension) else {
      throw Evaluation.refusal("L2", "the range has \(steps) elements")
    }
    let count = Int(Swift.max(steps, 0))
    try e.checkMemory([TensorType(dtype, known: [count])])
    return try Casting.tensor((0..<count).map { bounds[0] + Double($0) * bounds[2] }, dtype, [count])
  }
}
