/// Overflow-checked arithmetic for sizes that come from a file.
///
/// Every function returns nil on overflow.
public enum Checked {
  /// The sum, or nil on overflow.
  public static func sum(_ a: Int, _ b: Int) -> Int? {
    let (value, overflow) = a.addingReportingOverflow(b)
    return overflow ? nil : value
  }

  /// The product, or nil on overflow.
  public static func product(_ a: Int, _ b: Int) -> Int? {
    let (value, overflow) = a.multipliedReportingOverflow(by: b)
    return overflow ? nil : value
  }

  /// The product of non-negative factors; nil if one is negative or the product of the non-zero ones overflows.
  ///
  /// A zero factor must not hide an overflow of the others, since parts of the product are used as strides.
  public static func product(_ factors: some Sequence<Int>) -> Int? {
    var nonZero = 1
    var hasZero = false
    for factor in factors {
      guard factor >= 0 else { return nil }
      if factor == 0 {
        hasZero = true
        continue
      }
      guard let next = product(nonZero, factor) else { return nil }
      nonZero = next
    }
    return hasZero ? 0 : nonZero
  }

  /// `value` rounded up to a multiple of `alignment` (a power of two), or nil on overflow.
  public static func roundUp(_ value: Int, to alignment: Int) -> Int? {
    guard let raised = sum(value, alignment - 1) else { return nil }
    return raised & ~(alignment - 1)
  }
}
