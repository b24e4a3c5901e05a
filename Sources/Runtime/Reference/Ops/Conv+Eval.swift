internal import BinaryIO
internal import GraphIR

extension Conv {
  /// Products and sums in f64 in the order of ``ConvLoop``, rounded to f32 once, then bias and activation in f32.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.real(0)
    let w = try e.real(1)
    let bias = try e.optionalReal(2)?.elements(as: Float.self)
    let shape = try e.shape()
    let geometry = ConvGeometry(self, kernel: w.shape.dropFirst(2))
    let loop = ConvLoop(geometry, input: x.shape, output: shape)
    let result = try unsafe Tensor.build(.float32, shape, as: Float.self) { (y) throws(Refusal) in
      unsafe x.withElements(as: Float.self) { x in
        unsafe w.withElements(as: Float.self) { w in
          unsafe Conv.convolve(loop, x, w, into: y, width: shape.last ?? 0) { (sum, channel) in
            let value = Float(sum) + (bias?[channel] ?? 0)
            return Pointwise.apply(activation, value)
          }
        }
      }
    }
    return try result.narrowed(to: e.dtype)
  }

  private static func convolve(
    _ loop: ConvLoop,
    _ x: UnsafeBufferPointer<Float>,
    _ w: UnsafeBufferPointer<Float>,
    into y: UnsafeMutableBufferPointer<Float>,
    width: Int,
    finish: (Double, Int) -> Float
  ) {
    unsafe withUnsafeTemporaryAllocation(of: Double.self, capacity: width) { sums in
      loop.forEachRow { row in
        unsafe sums.update(repeating: 0)
        loop.forEachTap(of: row) { tap in
          let weight = Double(unsafe w[tap.weight])
          let first = tap.positions.lowerBound
          for index in 0..<tap.positions.count {
            unsafe sums[first + index] += weight * Double(x[tap.source + index * tap.step])
          }
        }
        for position in 0..<row.count {
          unsafe y[row.start + position] = finish(sums[position], row.channel)
        }
      }
    }
  }
}
