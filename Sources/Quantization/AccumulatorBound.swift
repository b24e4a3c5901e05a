/// What fits an int32 accumulator of i8 weights (at most 127) times u8 distances (at most 255), with a bias (K5).
package enum AccumulatorBound {
  /// The most products one output may sum, with room left for a bias of 2^20 steps.
  package static let terms = (Int(Int32.max) - leastBias) / product

  /// The largest magnitude an i32 bias may have beside a sum of `terms` products, so that no accumulator overflows.
  ///
  /// At most 2^30, so that the bias alone stays far from the ends of int32 even where `terms` is small.
  package static func bias(besideTerms terms: Int) -> Int {
    min(1 << 30, Int(Int32.max) - max(0, min(terms, AccumulatorBound.terms)) * product)
  }

  private static let product = 127 * 255
  private static let leastBias = 1 << 20
}
