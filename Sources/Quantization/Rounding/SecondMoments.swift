/// Sums over the rows that a matrix product reads, from which their covariance follows.
package struct SecondMoments: Sendable {
  /// Elements of a row.
  package let length: Int
  /// Rows seen.
  package private(set) var count = 0
  /// `length`, rounded up to whole vectors.
  private let stride: Int
  private var sums: [Double]
  /// `Σ y_i · y_j` for `j` from the vector of `i` on; rows of ``stride``.
  private var products: [Float]

  package init(length: Int) {
    self.length = length
    stride = (length + SecondMoments.lanes - 1) / SecondMoments.lanes * SecondMoments.lanes
    sums = [Double](repeating: 0, count: length)
    products = [Float](repeating: 0, count: stride * stride)
  }

  /// Bytes that the sums of rows of a length take.
  package static func bytes(length: Int) -> Int { (length + lanes) * (length + lanes) * 4 }

  /// Adds some rows of a matrix.
  ///
  /// - Parameters:
  ///   - values: Rows of ``length``, one after the other.
  ///   - chosen: The numbers of those to add.
  package mutating func add(_ values: UnsafeBufferPointer<Float>, rows chosen: [Int]) {
    precondition(chosen.allSatisfy { $0 >= 0 && ($0 + 1) * length <= values.count })
    count += chosen.count
    for first in Swift.stride(from: 0, to: chosen.count, by: SecondMoments.blockRows) {
      let part = chosen[first..<min(first + SecondMoments.blockRows, chosen.count)]
      var block = [Float](repeating: 0, count: part.count * stride)
      for (place, row) in part.enumerated() {
        for index in 0..<length {
          let value = unsafe values[row &* length &+ index]
          block[place &* stride &+ index] = value
          sums[index] += Double(value)
        }
      }
      accumulate(block, part.count)
    }
  }

  /// The mean of every element.
  package var mean: [Double] { sums.map { $0 / Double(max(count, 1)) } }

  /// `E[y yᵀ]`, less the means' product where `isCentred`; rows of ``length``.
  package func covariance(isCentred: Bool) -> [Double] {
    let mean = isCentred ? mean : [Double](repeating: 0, count: length)
    var result = [Double](repeating: 0, count: length * length)
    for row in 0..<length {
      for column in row..<length {
        let value = Double(products[row * stride + column]) / Double(max(count, 1)) - mean[row] * mean[column]
        result[row * length + column] = value
        result[column * length + row] = value
      }
    }
    return result
  }

  private static let lanes = 16
  /// Rows that are summed before their sum joins the others: they stay in the cache.
  private static let blockRows = 64

  /// Four rows of the products by sixteen columns at a time.
  private mutating func accumulate(_ block: [Float], _ rows: Int) {
    unsafe block.withUnsafeBufferPointer { (block) in
      unsafe products.withUnsafeMutableBufferPointer { (target) in
        let raw = UnsafeRawBufferPointer(block)
        let sums = UnsafeMutableRawBufferPointer(target)
        for i in Swift.stride(from: 0, to: stride, by: 4) {
          for j in Swift.stride(from: i / 16 * 16, to: stride, by: 16) {
            var (a, b) = (SIMD16<Float>.zero, SIMD16<Float>.zero)
            var (c, d) = (a, b)
            for row in 0..<rows {
              let base = row &* stride
              let x = unsafe raw.loadUnaligned(fromByteOffset: (base &+ j) &* 4, as: SIMD16<Float>.self)
              unsafe a += x * block[base &+ i]
              unsafe b += x * block[base &+ i &+ 1]
              unsafe c += x * block[base &+ i &+ 2]
              unsafe d += x * block[base &+ i &+ 3]
            }
            for (offset, sum) in [a, b, c, d].enumerated() {
              let place = ((i + offset) * stride + j) * 4
              let old = unsafe sums.loadUnaligned(fromByteOffset: place, as: SIMD16<Float>.self)
              unsafe sums.storeBytes(of: old + sum, toByteOffset: place, as: SIMD16<Float>.self)
            }
          }
        }
      }
    }
  }
}
