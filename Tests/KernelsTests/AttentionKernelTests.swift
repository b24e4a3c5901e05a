import Foundation
import TestSupport
import Testing

@testable import Kernels

/// Attention against sums in f64, on every instruction set.
@Suite("attention kernel")
struct AttentionKernelTests {
  struct Case: CustomTestStringConvertible {
    var queries: Int
    var keys: Int
    var depth: Int
    var columns: Int
    var heads = 2
    /// Elements between queries and between keys of the mask; nil: no mask.
    var mask: (row: Int, column: Int)?
    var factor: Float = 1

    var testDescription: String {
      "\(queries)x\(keys)x\(depth)x\(columns) mask \(mask.map { "\($0)" } ?? "none")"
    }
  }

  static let cases = [
    Case(queries: 1, keys: 1, depth: 1, columns: 1),
    Case(queries: 5, keys: 7, depth: 3, columns: 2, mask: (0, 1), factor: 0.5),
    Case(queries: 24, keys: 16, depth: 16, columns: 64),
    Case(queries: 25, keys: 33, depth: 8, columns: 17, heads: 1, mask: (33, 1)),
    Case(queries: 61, keys: 69, depth: 64, columns: 64, heads: 3, factor: 0.125),
    Case(queries: 130, keys: 5, depth: 12, columns: 9, heads: 1, mask: (1, 0)),
  ]

  /// The operands of a case; heads lie next to each other in a row, as projections write them.
  private struct Operands {
    let test: Case
    let q: [Float]
    let k: [Float]
    let v: [Float]
    let mask: [Float]
    let kernel: AttentionKernel

    init(_ test: Case, seed: UInt64) {
      var numbers = SplitMix64(seed: seed)
      let (heads, depth, columns) = (test.heads, test.depth, test.columns)
      self.test = test
      q = numbers.floats(test.queries * heads * depth, in: -2...2)
      k = numbers.floats(test.keys * heads * depth, in: -2...2)
      v = numbers.floats(test.keys * heads * columns)
      var mask = numbers.floats(test.queries * test.keys, in: -3...3)
      for index in stride(from: 0, to: mask.count, by: 5) { mask[index] = -.greatestFiniteMagnitude }
      self.mask = mask
      func matrices(_ width: Int) -> AttentionKernel.Matrices {
        AttentionKernel.Matrices(offsets: (0..<heads).map { $0 * width }, row: heads * width, column: 1)
      }
      var kernel = AttentionKernel(
        queries: test.queries,
        keys: test.keys,
        depth: depth,
        columns: columns,
        q: matrices(depth),
        k: matrices(depth),
        v: matrices(columns),
        mask: test.mask.map {
          AttentionKernel.Matrices(
            offsets: [Int](repeating: 0, count: heads),
            row: $0.row,
            column: $0.column
          )
        },
        y: matrices(columns)
      )
      kernel.factor = test.factor
      self.kernel = kernel
    }

    /// One result in f64.
    func expected(_ head: Int, _ query: Int) -> [Double] {
      let (heads, depth, columns) = (test.heads, test.depth, test.columns)
      var scores = (0..<test.keys).map { key in
        let products = (0..<depth).map { index in
          Double(q[(query * heads + head) * depth + index]) * Double(k[(key * heads + head) * depth + index])
        }
        let score = products.reduce(0, +) * Double(test.factor)
        return test.mask.map { score + Double(mask[query * $0.row + key * $0.column]) } ?? score
      }
      let most = scores.max() ?? 0
      scores = scores.map { exp($0 - most) }
      let sum = scores.reduce(0, +)
      return (0..<columns).map { column in
        (0..<test.keys).reduce(0) { total, key in
          total + scores[key] / sum * Double(v[(key * heads + head) * columns + column])
        }
      }
    }
  }

  @Test("follows softmax(q k^T f + mask) v and does not depend on threads", arguments: cases)
  func follows(test: Case) throws {
    let operands = Operands(test, seed: 31)
    var first: [InstructionSet: [Float]] = [:]
    for (set, threads) in LinearKernelTests.contexts {
      let context = try #require(KernelContext(threads: threads, instructionSet: set))
      let count = test.queries * test.heads * test.columns
      let y = try #require(Memory(count: count * 4)).buffer
      try #require(context.reserve(operands.kernel.scratchBytes(context)))
      operands.kernel.run(
        try LinearKernelTests.buffer(operands.q),
        try LinearKernelTests.buffer(operands.k),
        try LinearKernelTests.buffer(operands.v),
        mask: test.mask == nil ? nil : try LinearKernelTests.buffer(operands.mask),
        y,
        in: context
      )
      let got = y.read(count, as: Float.self)
      for head in 0..<test.heads {
        for query in 0..<test.queries {
          let start = (query * test.heads + head) * test.columns
          for (value, wanted) in zip(got[start...], operands.expected(head, query)) {
            #expect(abs(Double(value) - wanted) < 2e-6, "\(set), head \(head), query \(query)")
          }
        }
      }
      #expect(first[set] == nil || first[set] == got, "\(set) differs with \(threads) threads")
      first[set] = got
    }
  }
}
