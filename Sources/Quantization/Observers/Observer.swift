package import BinaryIO
package import GraphIR

/// Finds the range of a value while samples stream by; memory does not grow with their number.
///
/// Merging is that of streams: the state after `a.merge(b)` is the one `a` would have after it had also seen
/// everything that `b` saw, in order, so shards of a data set can be observed apart.
package protocol Observer: Sendable {
  /// Samples seen.
  var samples: Int { get }

  /// Values that were NaN or infinite; they do not count otherwise.
  var nonFinite: Int { get }

  /// Takes the value of one sample.
  mutating func observe(_ values: Span<Float>)

  /// The bounds so far; nil before the first finite value.
  var bounds: ClosedRange<Float>? { get }
}

extension Observer {
  /// The range to quantize for.
  ///
  /// - Throws: A refusal (K7) when nothing was seen, or a value was NaN or infinite.
  package func range() throws(Refusal) -> ClosedRange<Float> {
    guard nonFinite == 0 else {
      throw observerRefusal(
        "\(nonFinite) of the observed values are NaN or infinite",
        "check the model and the preprocessing; a range cannot be told"
      )
    }
    guard let bounds else {
      throw observerRefusal("no value was observed", "calibrate with at least one sample")
    }
    return bounds
  }

  /// Takes the f32 tensor of one sample.
  package mutating func observe(_ tensor: Tensor) {
    precondition(tensor.dtype == .float32)
    unsafe tensor.withElements(as: Float.self) { observe(unsafe Span(_unsafeElements: $0)) }
  }
}

private func observerRefusal(_ problem: String, _ remedy: String) -> Refusal {
  Refusal(.invalid, at: "observed range", rule: "K7", problem, remedy: remedy)
}

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
