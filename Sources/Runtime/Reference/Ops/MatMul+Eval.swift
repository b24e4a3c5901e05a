internal import BinaryIO
internal import GraphIR

extension Gemm {
  /// Products and sums in f64 over ascending inner index, rounded to f32 once; then `alpha`, `c` and activation in f32.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let a = try transA ? e.real(0).matrixTransposed() : e.real(0)
    let b = try transB ? e.real(1) : e.real(1).matrixTransposed()
    let shape = try e.shape()
    let c = try e.optionalReal(2)
    let (rows, columns, inner) = (shape.dropLast().reduce(1, *), shape[shape.count - 1], a.shape.last ?? 1)
    var addend: [Float]?
    if let elements = c?.elements(as: Float.self), let c {
      var spread: [Float] = []
      Broadcast(shape, [c.shape]).visit { (_, offsets) in spread.append(elements[offsets[0]]) }
      addend = spread
    }
    let result = try unsafe Tensor.build(.float32, shape, as: Float.self) { (y) throws(Refusal) in
      unsafe a.withElements(as: Float.self) { a in
        unsafe b.withElements(as: Float.self) { b in
          for row in 0..<rows {
            for column in 0..<columns {
              let sum = unsafe dot(a, row * inner, b, column * inner, inner)
              var value = alpha == 1 ? Float(sum) : alpha * Float(sum)
              if let addend {
                let term = addend[row * columns + column]
                value += beta == 1 ? term : beta * term
              }
              unsafe y[row * columns + column] = Pointwise.apply(activation, value)
            }
          }
        }
      }
    }
    return try result.narrowed(to: e.dtype)
  }
}

extension MatMul {
  /// Products and sums in f64 over ascending inner index, rounded to f32 once.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let a = try e.real(0)
    let b = try e.real(1)
    let shape = try e.shape()
    let left = a.shape.count == 1 ? [1] + a.shape : a.shape
    let right = b.shape.count == 1 ? b.shape + [1] : b.shape
    let (rows, inner, columns) = (left[left.count - 2], left[left.count - 1], right[right.count - 1])
    let leading = Array(shape.prefix(max(left.count, right.count) - 2))
    let walk = Broadcast(leading, [Array(left.dropLast(2)), Array(right.dropLast(2))])
    let result = try unsafe Tensor.build(.float32, shape, as: Float.self) { (y) throws(Refusal) in
      unsafe a.withElements(as: Float.self) { a in
        unsafe b.withElements(as: Float.self) { b in
          walk.visit { (index, offsets) in
            for row in 0..<rows {
              for column in 0..<columns {
                var sum = 0.0
                for k in 0..<inner {
                  let x = Double(unsafe a[(offsets[0] * rows + row) * inner + k])
                  sum += x * Double(unsafe b[(offsets[1] * inner + k) * columns + column])
                }
                unsafe y[(index * rows + row) * columns + column] = Float(sum)
              }
            }
          }
        }
      }
    }
    return try result.narrowed(to: e.dtype)
  }
}

extension Tensor {
  /// The transpose of an f32 matrix.
  fileprivate func matrixTransposed() throws(Refusal) -> Tensor {
    try Mover.pick(self, shape: [shape[1], shape[0]], offsets: Mover.permuted(shape, [1, 0]))
  }
}

/// The dot product of two runs of `count` elements, in f64.
private func dot(
  _ a: UnsafeBufferPointer<Float>,
  _ aStart: Int,
  _ b: UnsafeBufferPointer<Float>,
  _ bStart: Int,
  _ count: Int
) -> Double {
  var sum = 0.0
  for k in 0..<count { sum += Double(unsafe a[aStart + k]) * Double(unsafe b[bStart + k]) }
  return sum
}
