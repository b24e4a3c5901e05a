import Quantization
import Testing

/// Correlated vectors, `[patch, length]`.
private func patches(_ count: Int, _ length: Int, seed: UInt64) -> [[Float]] {
  var random = SplitMix(state: seed)
  return (0..<count).map { _ in
    let common = random.uniform() * 2 + 1
    return (0..<length).map { _ in common + random.uniform() * 0.5 }
  }
}

/// `E[y yᵀ]`, less the means' product where `isCentred`.
private func covariance(_ rows: [[Float]], isCentred: Bool = false) -> [Double] {
  let length = rows[0].count
  let count = Double(rows.count)
  let means = (0..<length).map { i in isCentred ? rows.reduce(0) { $0 + Double($1[i]) } / count : 0 }
  return (0..<(length * length)).map { place in
    let (i, j) = place.quotientAndRemainder(dividingBy: length)
    return rows.reduce(0) { $0 + Double($1[i]) * Double($1[j]) } / count - means[i] * means[j]
  }
}

@Suite("CompensatedRounding")
struct CompensatedRoundingTests {
  @Test("Cholesky factors multiply to the matrix, and solve it")
  func cholesky() {
    let length = 11
    var matrix = covariance(patches(60, length, seed: 8), isCentred: true)
    for index in 0..<length { matrix[index * length + index] += 0.01 }
    let lower = Cholesky.lower(matrix, length)
    for i in 0..<length {
      for j in 0..<length {
        let product = (0..<length).reduce(0.0) { $0 + lower[i * length + $1] * lower[j * length + $1] }
        #expect(abs(product - matrix[i * length + j]) < 1e-9)
      }
    }
    let wanted = (0..<length).map { Double($0) - 4 }
    let row = (0..<length).map { j in
      (0..<length).reduce(0.0) { $0 + wanted[$1] * matrix[$1 * length + j] }
    }
    for (found, expected) in zip(Cholesky.solve(lower, row), wanted) { #expect(abs(found - expected) < 1e-6) }
  }

  @Test("independent inputs are rounded to nearest")
  func diagonal() {
    let length = 6
    var identity = [Double](repeating: 0, count: length * length)
    for index in 0..<length { identity[index * length + index] = Double(index + 1) }
    let weights = [0.26, -0.74, 1.4, 126.9, -300, 0.5]
    let row = CompensatedRounding(covariance: identity, length: length).round(weights, scale: 1, sweeps: 4)
    #expect(row.values == [0, -1, 1, 127, -127, 0])
  }

  @Test("errors are far smaller than those of nearest rounding, and sweeps never raise them")
  func gain() {
    let length = 24
    let rounding = CompensatedRounding(covariance: covariance(patches(400, length, seed: 5)), length: length)
    var random = SplitMix(state: 6)
    var (nearest, plain, refined) = (0.0, 0.0, 0.0)
    for _ in 0..<40 {
      let weights = (0..<length).map { _ in Double(random.uniform()) }
      let scale: Float = 1 / 7
      let integers = weights.map { Int8(($0 / Double(scale)).rounded(.toNearestOrEven)) }
      nearest += rounding.error(weights, integers, Double(scale))
      let row = rounding.round(weights, scale: scale, sweeps: 0)
      let better = rounding.round(weights, scale: scale, sweeps: 8)
      #expect(better.error <= row.error * 1.0001)
      plain += row.error
      refined += better.error
    }
    #expect(plain < nearest / 2)
    #expect(refined <= plain)
  }

  @Test("three weights are rounded nearly as well as by trying all integers")
  func exhaustive() {
    let rounding = CompensatedRounding(covariance: covariance(patches(200, 3, seed: 9)), length: 3)
    var random = SplitMix(state: 10)
    var (total, best) = (0.0, 0.0)
    for _ in 0..<50 {
      let weights = (0..<3).map { _ in Double(random.uniform()) * 4 }
      total += rounding.round(weights, scale: 1, sweeps: 8).error
      var least = Double.infinity
      for a in -5...5 as ClosedRange<Int8> {
        for b in -5...5 as ClosedRange<Int8> {
          for c in -5...5 as ClosedRange<Int8> { least = min(least, rounding.error(weights, [a, b, c], 1)) }
        }
      }
      best += least
    }
    #expect(total <= best * 1.3)
  }
}
