internal import BinaryIO
internal import GraphIR

extension Reduce {
  /// Floating point is reduced in f64 in C order and rounded to f32 once.
  ///
  /// Integers are reduced in i64 and wrapped; a mean of integers truncates.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.input(0)
    let shape = try e.shape()
    let rank = x.shape.count
    let computed = try e.optional(1).map { (tensor) throws(Refusal) in try tensor.integers() }
    let reduced = (axes ?? computed ?? Array(0..<rank)).map { $0 < 0 ? $0 + rank : $0 }
    let kept = x.shape.indices.map { reduced.contains($0) ? 1 : x.shape[$0] }
    let walk = Broadcast(x.shape, [kept])
    let results = kept.reduce(1, *)
    guard x.dtype.isFloatingPoint else { return try integers(x, walk, results, shape) }
    return try reals(e.real(0), walk, results, shape).narrowed(to: e.dtype)
  }

  private func reals(
    _ x: Tensor,
    _ walk: Broadcast,
    _ results: Int,
    _ shape: [Int]
  ) throws(Refusal) -> Tensor {
    let values = x.elements(as: Float.self)
    var accumulators = [Double](repeating: start, count: results)
    walk.visit { (index, offsets) in
      accumulators[offsets[0]] = step(accumulators[offsets[0]], Double(values[index]))
    }
    let count = Double(values.count / max(results, 1))
    return try Tensor.floats(
      accumulators.map { sum in
        switch kind {
        case .mean: Float(sum / count)
        case .l2: Float(sum.squareRoot())
        case .sum, .max, .min, .prod, .sumSquare: Float(sum)
        }
      },
      shape
    )
  }

  private var start: Double {
    switch kind {
    case .mean, .sum, .sumSquare, .l2: 0
    case .prod: 1
    case .max: -.infinity
    case .min: .infinity
    }
  }

  private func step(_ total: Double, _ value: Double) -> Double {
    switch kind {
    case .mean, .sum: total + value
    case .sumSquare, .l2: total + value * value
    case .prod: total * value
    case .max: value.isNaN || value > total ? value : total
    case .min: value.isNaN || value < total ? value : total
    }
  }

  private func integers(
    _ x: Tensor,
    _ walk: Broadcast,
    _ results: Int,
    _ shape: [Int]
  ) throws(Refusal) -> Tensor {
    guard kind != .l2 else { throw Evaluation.refusal("V2", "the norm of \(x.type) is not an integer") }
    let values = try x.integers()
    var totals = [Int?](repeating: nil, count: results)
    walk.visit { (index, offsets) in
      let value = kind == .sumSquare ? values[index] &* values[index] : values[index]
      totals[offsets[0]] = totals[offsets[0]].map { step($0, value) } ?? value
    }
    let count = values.count / max(results, 1)
    let empty = kind == .prod ? 1 : 0
    let finished = totals.map { kind == .mean && count > 0 ? ($0 ?? 0) / count : $0 ?? empty }
    return try Tensor.integers(x.dtype, shape, finished)
  }

  private func step(_ total: Int, _ value: Int) -> Int {
    switch kind {
    case .mean, .sum, .sumSquare, .l2: total &+ value
    case .prod: total &* value
    case .max: Swift.max(total, value)
    case .min: Swift.min(total, value)
    }
  }
}

extension ArgMax {
  /// The first maximum; the first NaN counts as one.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.input(0)
    let shape = try e.shape()
    let values = try x.dtype.isFloatingPoint ? e.real(0).elements(as: Float.self).map(Double.init) : nil
    let integers = try values == nil ? x.integers() : []
    let along = axis < 0 ? axis + x.shape.count : axis
    let inner = x.shape[(along + 1)...].reduce(1, *)
    let extent = x.shape[along]
    var result: [Int] = []
    for block in 0..<x.shape[..<along].reduce(1, *) {
      for position in 0..<inner {
        let start = block * extent * inner + position
        var best = 0
        for index in 1..<Swift.max(extent, 1) {
          let (candidate, current) = (start + index * inner, start + best * inner)
          let isAbove =
            values.map { $0[candidate] > $0[current] || ($0[candidate].isNaN && !$0[current].isNaN) }
            ?? (integers[candidate] > integers[current])
          if isAbove { best = index }
        }
        result.append(best)
      }
    }
    return try Tensor.int64s(result, shape)
  }
}
