internal import BinaryIO
internal import GraphIR

extension IntegerAveragePool {
  func run(_ x: Tensor) throws(Refusal) -> Tensor {
    let shape = try Reference.shape(of: pool, [x.shape], .uint8)
    let loop = try pool.loop(input: x.shape, output: shape)
    return try unsafe Tensor.build(.uint8, shape, as: UInt8.self) { (y) throws(Refusal) in
      unsafe x.withElements(as: UInt8.self) { x in
        loop.forEachWindow { window in
          var sum: Int32 = 0
          loop.forEachTap(of: window) { sum &+= Int32(unsafe x[$0]) - Int32(inputZeroPoint) }
          let divisor = pool.countIncludePad ? window.padded : window.count
          unsafe y[window.target] = clamp(Float(sum) * multiplier(divisor))
        }
      }
    }
  }
}

extension IntegerGlobalPool {
  func run(_ x: Tensor) throws(Refusal) -> Tensor {
    let full = try Reference.shape(of: GlobalPool(.average), [x.shape], .uint8)
    let positions = x.shape.dropFirst(2).reduce(1, *)
    let pooled = try unsafe Tensor.build(.uint8, full, as: UInt8.self) { (y) throws(Refusal) in
      unsafe x.withElements(as: UInt8.self) { x in
        for index in 0..<y.count {
          let plane = unsafe UnsafeBufferPointer(rebasing: x[index * positions..<(index + 1) * positions])
          unsafe y[index] = function.pooled(plane)
        }
      }
    }
    guard !keepDims else { return pooled }
    return pooled.reshaped(Array(full.prefix(2))) ?? pooled
  }
}

extension IntegerGlobalPool.Function {
  func pooled(_ plane: UnsafeBufferPointer<UInt8>) -> UInt8 {
    switch self {
    case .average(let zeroPoint, let inputScale, let outputScale, let clamp):
      var sum: Int32 = 0
      for index in 0..<plane.count { sum &+= Int32(unsafe plane[index]) - Int32(zeroPoint) }
      return clamp(Float(sum) * Float(Double(inputScale) / (Double(outputScale) * Double(plane.count))))
    case .max(let table):
      var largest: UInt8 = 0
      for index in 0..<plane.count { largest = Swift.max(largest, unsafe plane[index]) }
      return table.map { $0[Int(largest)] } ?? largest
    }
  }
}

extension IntegerMaxPool {
  func run(_ x: Tensor) throws(Refusal) -> Tensor {
    let shape = try Reference.shape(of: pool, [x.shape], .uint8)
    let loop = try pool.loop(input: x.shape, output: shape)
    return try loop.maxima(x, shape: shape, as: UInt8.self) { $0 > $1 }.looked(up: table)
  }
}
