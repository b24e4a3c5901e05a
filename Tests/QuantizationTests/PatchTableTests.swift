import GraphIR
import Quantization
import Testing

@Suite("PatchTable and OutputFitting")
struct PatchTableTests {
  private static let count = 88

  /// Correlated integers of `length` elements, `[element, patch]`.
  private func integers(_ length: Int, seed: UInt64) throws -> ([UInt8], QuantParams) {
    var random = SplitMix(state: seed)
    let count = PatchTableTests.count
    var rows = [UInt8](repeating: 0, count: length * count)
    for patch in 0..<count {
      let common = random.uniform() * 20
      for term in 0..<length {
        rows[term * count + patch] = UInt8(max(0, min(255, Int(40 + common + random.uniform() * 30))))
      }
    }
    return (rows, try QuantParams(scale: 0.25, zeroPoint: 7, dtype: .uint8))
  }

  private func table(_ length: Int, seed: UInt64) throws -> PatchTable {
    let (rows, params) = try integers(length, seed: seed)
    var table = PatchTable(groups: 1, length: length, capacity: PatchTableTests.count, params: params)
    unsafe table.add(PatchTableTests.count) { (target, first) in
      for index in rows.indices { unsafe target[first + index] = rows[index] }
    }
    return table
  }

  @Test("sums over patches are what brute force gives", arguments: [1, 5, 8, 19])
  func sums(length: Int) throws {
    let (rows, params) = try integers(length, seed: 3)
    let table = try table(length, seed: 3)
    let centre = (0..<length).map { Double($0) / 2 }
    let columns = PatchColumns(table, 0, centre: centre)
    let count = PatchTableTests.count
    let values = rows.indices.map { Double(params.dequantize(Int(rows[$0]))) - centre[$0 / count] }
    let covariance = columns.covariance(threads: 2)
    #expect(covariance == columns.covariance(threads: 1))
    #expect(columns.shrinkage == Double(length) / Double(length + count))
    let row = (0..<length).map { Float($0) - 2 }
    let responses = columns.responses(row, factor: 0.25)
    for i in 0..<length {
      for j in 0..<length {
        let products = (0..<count).map { values[i * count + $0] * values[j * count + $0] }
        let product = products.reduce(0, +) / Double(count)
        let expected = i == j ? product : product * Double(count) / Double(count + length)
        #expect(abs(covariance[i * length + j] - expected) < 1e-4)
      }
    }
    for patch in 0..<count {
      let expected = (0..<length).reduce(0.0) { $0 + Double(row[$1]) * values[$1 * count + patch] }
      #expect(abs(Double(responses[patch]) - expected) < 1e-2)
    }
  }

  private static let planted: [Int8] = [12, -40, 33, 5, -21, 17]

  private func fitting(_ activation: Activation = .relu) throws -> (OutputFitting, [Double]) {
    let columns = PatchColumns(try table(6, seed: 4), 0, centre: [Double](repeating: 12, count: 6))
    return (OutputFitting(columns, activation), PatchTableTests.planted.map { Double($0) * 0.02 })
  }

  @Test("fitting moved integers lowers the error, and never raises it")
  func fit() throws {
    let (fitting, weights) = try fitting()
    var moved = PatchTableTests.planted
    for (index, step) in [1, -1, 0, 2, 0, -1].enumerated() { moved[index] += Int8(step) }
    let start = OutputFitting.Row(values: moved, scale: 0.02)
    let before = fitting.fit(start, to: weights, mean: 1, floor: nil, rounds: 0).error
    let row = fitting.fit(start, to: weights, mean: 1, floor: nil, rounds: 50)
    #expect(row.error < before / 3)
    #expect(row.scale == 0.02)
    var last = before
    for rounds in 1...4 {
      let error = fitting.fit(start, to: weights, mean: 1, floor: 0, rounds: rounds).error
      #expect(error <= last)
      last = error
    }
    #expect(fitting.fit(start, to: weights, mean: 1, floor: 0.02, rounds: 3).scale >= 0.02)
    let exact = OutputFitting.Row(values: PatchTableTests.planted, scale: 0.02)
    #expect(fitting.fit(exact, to: weights, mean: 1, floor: nil, rounds: 0).error < 1e-9)
  }

  @Test("what the activation cuts off is no error of the outputs")
  func cut() throws {
    let start = OutputFitting.Row(values: [1, 2, 3, 4, 5, 6], scale: 0.02)
    let (relu, weights) = try fitting()
    let (clip, _) = try fitting(.clip(min: -1e4, max: 6))
    let (plain, _) = try fitting(.none)
    let error = plain.fit(start, to: weights, mean: 0, floor: nil, rounds: 0).error
    let hidden = relu.fit(start, to: weights, mean: -1e3, floor: nil, rounds: 0).error
    #expect(hidden < error / 5)
    #expect(clip.fit(start, to: weights, mean: 1e3, floor: nil, rounds: 0).error == hidden)
    #expect(abs(relu.fit(start, to: weights, mean: 1e3, floor: nil, rounds: 0).error - error) < 1e-2 * error)
    #expect(plain.isLinear && !relu.isLinear)
  }

  @Test("results come in order whatever the number of threads")
  func parallel() {
    let expected = (0..<37).map { $0 * $0 }
    for threads in [1, 2, 5, 64] {
      #expect(Parallel.map(37, threads: threads) { $0 * $0 } == expected)
    }
    #expect(Parallel.map(0, threads: 4) { $0 }.isEmpty)
  }
}
