/// Least and greatest finite value of a buffer, and how many are not finite.
struct Extent {
  var bounds: ClosedRange<Float>?
  var nonFinite = 0

  /// Floats order like their bits once those of negative numbers are flipped, so that an integer loop, which
  /// vectorises, finds both ends; NaN and infinity lie outside of all finite numbers.
  init(_ values: Span<Float>) {
    guard !values.isEmpty else { return }
    var low = Int32.max
    var high = Int32.min
    for index in values.indices {
      let key = Extent.key(values[index])
      low = min(low, key)
      high = max(high, key)
    }
    guard low > Extent.key(-.infinity), high < Extent.key(.infinity) else {
      sift(values)
      return
    }
    bounds = Extent.value(low)...Extent.value(high)
  }

  private mutating func sift(_ values: Span<Float>) {
    for index in values.indices {
      let value = values[index]
      guard value.isFinite else {
        nonFinite += 1
        continue
      }
      bounds = bounds.map { min($0.lowerBound, value)...max($0.upperBound, value) } ?? value...value
    }
  }

  @inline(__always)
  private static func key(_ value: Float) -> Int32 {
    let bits = Int32(bitPattern: value.bitPattern)
    return bits ^ ((bits >> 31) & 0x7FFF_FFFF)
  }

  private static func value(_ key: Int32) -> Float {
    Float(bitPattern: UInt32(bitPattern: key ^ ((key >> 31) & 0x7FFF_FFFF)))
  }
}
