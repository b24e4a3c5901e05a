internal import BinaryIO
internal import GraphIR

/// Applies the tail of a linear step to accumulators.
struct TailRun {
  let tail: LinearTail
  let bias: [Int32]

  /// 4.1 and 4.2 with a quantized result.
  func byte(_ sum: Int32, _ channel: Int) -> UInt8 {
    switch tail {
    case .requantize(let multipliers, let clamp):
      clamp(Float(sum &+ bias[channel]) * multipliers[channel])
    case .real(_, _, _, let output):
      IntegerArithmetic.quantize(real(sum, channel), output ?? Affine(scale: 1, zeroPoint: 0))
    }
  }

  /// 4.2 before a quantization.
  func real(_ sum: Int32, _ channel: Int) -> Float {
    guard case .real(let scales, let floatBias, let activation, _) = tail else { return 0 }
    var value = Float(sum &+ bias[channel]) * scales[channel]
    if let floatBias { value += floatBias[channel] }
    return switch activation {
    case .sigmoid: SingleMath.sigmoid(value)
    case .silu: SingleMath.silu(value)
    case .none, .relu, .clip, .hardSigmoid, .hardSwish, .leakyRelu: Pointwise.apply(activation, value)
    }
  }

  /// Whether the result is f32, not u8.
  var isReal: Bool {
    guard case .real(_, _, _, let output) = tail else { return false }
    return output == nil
  }

  /// The result: `visit` calls its argument once per element with (index, accumulator without bias, output channel).
  func result(
    _ shape: [Int],
    _ visit: ((Int, Int32, Int) -> Void) -> Void
  ) throws(Refusal) -> Tensor {
    if isReal {
      return try unsafe Tensor.build(.float32, shape, as: Float.self) { (y) throws(Refusal) in
        visit { (index, sum, channel) in unsafe y[index] = real(sum, channel) }
      }
    }
    return try unsafe Tensor.build(.uint8, shape, as: UInt8.self) { (y) throws(Refusal) in
      visit { (index, sum, channel) in unsafe y[index] = byte(sum, channel) }
    }
  }
}

extension DynamicTail {
  /// The tail for an input scale known at run time.
  func bound(to inputScale: Float) -> LinearTail {
    .real(
      scales: weightScales.map { IntegerArithmetic.accumulatorScale(inputScale, $0) },
      bias: bias,
      activation,
      output: nil
    )
  }
}

extension IntegerConv {
  func run(_ x: Tensor) throws(Refusal) -> Tensor {
    let op = Conv(
      strides: geometry.strides,
      pads: geometry.pads,
      dilations: geometry.dilations,
      group: geometry.group
    )
    let shape = try Reference.shape(of: op, [x.shape, weights.shape])
    let loop = ConvLoop(geometry, input: x.shape, output: shape)
    let zeroPoint = Int32(inputZeroPoint)
    return try TailRun(tail: tail, bias: bias).result(shape) { store in
      unsafe x.withElements(as: UInt8.self) { x in
        unsafe weights.withElements(as: Int8.self) { w in
          unsafe withUnsafeTemporaryAllocation(of: Int32.self, capacity: shape.last ?? 0) { sums in
            loop.forEachRow { row in
              unsafe sums.update(repeating: 0)
              loop.forEachTap(of: row) { tap in
                let weight = Int32(unsafe w[tap.weight])
                let first = tap.positions.lowerBound
                for index in 0..<tap.positions.count {
                  let value = Int32(unsafe x[tap.source + index * tap.step]) - zeroPoint
                  unsafe sums[first + index] &+= weight &* value
                }
              }
              for position in 0..<row.count {
                store(row.start + position, unsafe sums[position], row.channel)
              }
            }
          }
        }
      }
    }
  }
}

extension DynamicConv {
  func run(_ x: Tensor, scale: Float, zeroPoint: UInt8) throws(Refusal) -> Tensor {
    try IntegerConv(
      geometry: geometry,
      inputZeroPoint: zeroPoint,
      weights: weights,
      bias: tail.weightScales.map { _ in 0 },
      tail: tail.bound(to: scale)
    ).run(x)
  }
}

extension IntegerConvTranspose {
  func run(_ x: Tensor) throws(Refusal) -> Tensor {
    let op = ConvTranspose(
      strides: geometry.strides,
      pads: geometry.pads,
      dilations: geometry.dilations,
      outputPadding: outputPadding
    )
    let shape = try Reference.shape(of: op, [x.shape, weights.shape])
    let loop = TransposedLoop(
      input: x.shape,
      weight: weights.shape,
      output: shape,
      strides: geometry.strides,
      pads: geometry.pads,
      dilations: geometry.dilations,
      group: 1
    )
    var sums = [Int32](repeating: 0, count: shape.reduce(1, *))
    unsafe x.withElements(as: UInt8.self) { x in
      unsafe weights.withElements(as: Int8.self) { w in
        loop.forEachProduct { (source, weight, target) in
          sums[target] &+= Int32(unsafe w[weight]) &* (Int32(unsafe x[source]) - Int32(inputZeroPoint))
        }
      }
    }
    let plane = shape.dropFirst(2).reduce(1, *)
    return try TailRun(tail: tail, bias: bias).result(shape) { store in
      for index in sums.indices { store(index, sums[index], index / plane % shape[1]) }
    }
  }
}

extension IntegerGemm {
  func run(_ x: Tensor) throws(Refusal) -> Tensor {
    let inner = weights.shape[isTransposed ? 1 : 0]
    guard let last = x.shape.last, last == inner else {
      throw Evaluation.refusal(
        "T-gemm",
        "the operand has the shape \(x.shape), its last extent must be \(inner)"
      )
    }
    let columns = outputCount
    let rows = x.shape.dropLast().reduce(1, *)
    let (columnStep, innerStep) = isTransposed ? (inner, 1) : (1, columns)
    return try TailRun(tail: tail, bias: bias).result(x.shape.dropLast() + [columns]) { store in
      unsafe x.withElements(as: UInt8.self) { x in
        unsafe weights.withElements(as: Int8.self) { w in
          for row in 0..<rows {
            for column in 0..<columns {
              var sum: Int32 = 0
              for k in 0..<inner {
                let weight = Int32(unsafe w[column * columnStep + k * innerStep])
                sum &+= weight &* (Int32(unsafe x[row * inner + k]) - Int32(inputZeroPoint))
              }
              store(row * columns + column, sum, column)
            }
          }
        }
      }
    }
  }
}

extension DynamicGemm {
  /// - Parameters:
  ///   - x: u8 rows.
  ///   - scales: One scale, or one per row.
  ///   - zeroPoints: As many zero points.
  func run(_ x: Tensor, scales: Tensor, zeroPoints: Tensor) throws(Refusal) -> Tensor {
    let scales = scales.elements(as: Float.self)
    let zeroPoints = zeroPoints.elements(as: UInt8.self)
    let rows = x.shape.dropLast().reduce(1, *)
    guard let depth = x.shape.last, depth == weights.shape[isTransposed ? 1 : 0], let first = scales.first,
      scales.count == (isPerRow ? rows : 1), zeroPoints.count == scales.count
    else { throw Evaluation.refusal("K3", "the dynamic parameters or the weight do not fit \(x.type)") }
    let parts = isPerRow ? scales.indices.map { ($0, 1) } : [(0, rows)]
    var results: [Tensor] = []
    for (row, count) in parts {
      let part = try isPerRow ? x.rows(row, count, depth) : x
      let scale = isPerRow ? scales[row] : first
      results.append(try run(part, scale: scale, zeroPoint: zeroPoints[isPerRow ? row : 0]))
    }
    let shape = Array(x.shape.dropLast()) + [outputCount]
    guard isPerRow else { return results[0] }
    return try Concat.join(results, axis: 0, dtype: .float32, shape: [rows, outputCount]).relabelled(shape)
  }

  private func run(_ x: Tensor, scale: Float, zeroPoint: UInt8) throws(Refusal) -> Tensor {
    try IntegerGemm(
      inputZeroPoint: zeroPoint,
      weights: weights,
      isTransposed: isTransposed,
      bias: tail.weightScales.map { _ in 0 },
      tail: tail.bound(to: scale)
    ).run(x)
  }
}

extension Tensor {
  /// `count` rows of `depth` elements from row `first` on, as a matrix.
  fileprivate func rows(_ first: Int, _ count: Int, _ depth: Int) throws(Refusal) -> Tensor {
    let op = Slice(starts: [first], ends: [first + count], axes: [0])
    let matrix = try relabelled([self.count / max(depth, 1), depth])
    return try Reference.evaluate(op: .slice(op), inputs: [matrix])[0]
  }

  fileprivate func relabelled(_ shape: [Int]) throws(Refusal) -> Tensor {
    guard let tensor = reshaped(shape) else {
      throw Evaluation.refusal("T-reshape", "\(count) elements do not fill the shape \(shape)")
    }
    return tensor
  }
}
