internal import BinaryIO
internal import GraphIR

/// Which tokens of a sample count, where it pads texts to one length.
///
/// What a network computes for padding reaches no result, so calibration must not look at it.
struct TokenMask {
  /// What transformers calls the input that tells.
  private static let input = "attention_mask"

  private let counts: [Bool]?

  init(_ sample: [String: Tensor]) {
    let values = sample[TokenMask.input]?.intValues()
    counts = values.map { $0.map { $0 != 0 } }
  }

  /// The rows of a value with a row per token that count; all rows of other values.
  func rows(of count: Int) -> [Int] {
    guard let counts, counts.count == count, counts.contains(true) else { return Array(0..<count) }
    return counts.indices.filter { counts[$0] }
  }
}
