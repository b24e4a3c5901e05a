/// The Cholesky factorization of symmetric matrices.
package enum Cholesky {
  /// `L` with `L Lᵀ = matrix`, rows of `length`, zeros above the diagonal.
  ///
  /// A pivot that rounding made too small is raised to a trillionth of the diagonal's largest element.
  package static func lower(_ matrix: [Double], _ length: Int) -> [Double] {
    precondition(matrix.count == length * length)
    var result = [Double](repeating: 0, count: length * length)
    let peak = (0..<length).reduce(0.0) { max($0, matrix[$1 * length + $1]) }
    let least = peak > 0 ? peak * 1e-12 : 1
    unsafe result.withUnsafeMutableBufferPointer { (l) in
      for row in 0..<length {
        for column in 0...row {
          let a = row &* length
          let b = column &* length
          var lanes = SIMD4<Double>.zero
          var index = 0
          while index &+ 4 <= column {
            let x = unsafe SIMD4(l[a &+ index], l[a &+ index &+ 1], l[a &+ index &+ 2], l[a &+ index &+ 3])
            let y = unsafe SIMD4(l[b &+ index], l[b &+ index &+ 1], l[b &+ index &+ 2], l[b &+ index &+ 3])
            lanes += x * y
            index &+= 4
          }
          var sum = matrix[a &+ column] - (lanes[0] + lanes[1] + lanes[2] + lanes[3])
          while index < column {
            unsafe sum -= l[a &+ index] * l[b &+ index]
            index &+= 1
          }
          if row == column {
            unsafe l[a &+ row] = max(sum, least).squareRoot()
          } else {
            unsafe l[a &+ column] = sum / l[b &+ column]
          }
        }
      }
    }
    return result
  }

  /// Solves `x · (L Lᵀ) = row` for `x`.
  package static func solve(_ lower: [Double], _ row: [Double]) -> [Double] {
    let length = row.count
    var x = row
    unsafe x.withUnsafeMutableBufferPointer { (x) in
      unsafe lower.withUnsafeBufferPointer { (lower) in
        for i in 0..<length {
          var sum = unsafe x[i]
          for j in 0..<i { unsafe sum -= lower[i &* length &+ j] * x[j] }
          unsafe x[i] = sum / lower[i &* length &+ i]
        }
        for i in Swift.stride(from: length - 1, through: 0, by: -1) {
          unsafe x[i] /= lower[i &* length &+ i]
          let value = unsafe x[i]
          for j in 0..<i { unsafe x[j] -= lower[i &* length &+ j] * value }
        }
      }
    }
    return x
  }
}
