internal import BinaryIO
internal import GraphIR

extension DequantizeBlocks {
  /// Section 3.1 of `schemas/arithmetic.md`.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let scales = try e.real(1).elements(as: Float.self)
    let q = try e.input(0)
    let (rows, rowBytes) = (q.shape[0], q.shape[1])
    let blocks = (depth - 1) / block + 1
    let mask = (1 << bits) - 1
    let zero = 1 << (bits - 1)
    return try unsafe Tensor.build(.float32, e.shape(), as: Float.self) { (out) in
      unsafe q.withElements(as: UInt8.self) { bytes in
        for row in 0..<rows {
          for k in 0..<depth {
            let (byte, shift) = (k &* bits).quotientAndRemainder(dividingBy: 8)
            let place = row &* rowBytes &+ byte
            var pair = unsafe Int(bytes[place])
            if shift + bits > 8 { pair |= unsafe Int(bytes[place &+ 1]) << 8 }
            let value = Float((pair >> shift) & mask &- zero) * scales[row &* blocks &+ k / block]
            unsafe out[isTransposed ? k &* rows &+ row : row &* depth &+ k] = value
          }
        }
      }
    }
  }
}
