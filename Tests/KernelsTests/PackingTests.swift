import CKernels
import TestSupport
import Testing

@testable import Kernels

/// The order of packed weights, written out element by element.
@Suite("packed weights")
struct PackingTests {
  private struct Case {
    var columns: Int
    var taps: Int
    var depth: Int
    var width: Int
    /// Strides of column, tap and depth in the source.
    var strides: (n: Int, t: Int, k: Int)
    /// Taps whose depth lies together.
    var run = 1
    /// Whether it is for tiles, whose steps of depth are equal and at most 64.
    var isTiled = false

    /// Depth between runs of a column of its panel.
    var runDepth: Int { padded(run * depth) }
    var panelBytes: Int { runDepth * (taps / run) * width }
    var bytes: Int { (columns + width - 1) / width * panelBytes }

    private func padded(_ depth: Int) -> Int {
      let steps = isTiled ? (depth + 63) / 64 : 1
      return ((depth + steps - 1) / steps + 3) / 4 * 4 * steps
    }
  }

  private static func cases() -> [Case] {
    var cases: [Case] = []
    for (columns, taps, depth, width) in [
      (1, 1, 1, 16), (17, 1, 6, 16), (64, 9, 64, 64), (70, 9, 67, 64), (33, 25, 130, 32), (48, 1, 1030, 48),
      (40, 3, 20, 16), (33, 9, 76, 32),
    ] {
      for (run, isTiled) in [1, taps == 25 ? 5 : taps == 9 ? 3 : taps].flatMap({ [($0, false), ($0, true)] })
      {
        let orders = [(taps * depth, 1, taps), (taps * depth, depth, 1), (1, columns, columns * taps)]
        for strides in orders {
          cases.append(
            Case(
              columns: columns,
              taps: taps,
              depth: depth,
              width: width,
              strides: (n: strides.0, t: strides.1, k: strides.2),
              run: run,
              isTiled: isTiled
            )
          )
        }
      }
    }
    return cases
  }

  @Test("bytes lie by panel, tap, four of depth and column, on memory that held something else")
  func bytes() {
    var numbers = SplitMix64(seed: 41)
    for test in PackingTests.cases() {
      let source = numbers.signedBytes(test.columns * test.taps * test.depth)
      var expected = [Int8](repeating: 0, count: test.bytes)
      var expectedSums = [Int32](repeating: 0, count: test.columns)
      for n in 0..<test.columns {
        for t in 0..<test.taps {
          for k in 0..<test.depth {
            let value = source[n * test.strides.n + t * test.strides.t + k * test.strides.k]
            let depth = t / test.run * test.runDepth + t % test.run * test.depth + k
            let place = depth / 4 * test.width * 4 + n % test.width * 4 + depth % 4
            expected[n / test.width * test.panelBytes + place] = value
            expectedSums[n] += Int32(value)
          }
        }
      }
      var packed = [Int8](repeating: 77, count: test.bytes)
      var sums = [Int32](repeating: 5, count: test.columns)
      unsafe qk_pack_weights(
        QK_QU8,
        test.isTiled ? QK_ISA_AMX : QK_ISA_PORTABLE,
        QK_SOURCE_S8,
        source,
        test.columns,
        test.taps,
        test.run,
        test.depth,
        test.strides.n,
        test.strides.t,
        test.strides.k,
        test.width,
        1,
        &packed,
        &sums
      )
      #expect(packed == expected, "\(test)")
      #expect(sums == expectedSums, "\(test)")
    }
  }
}
