/// The least and the greatest value of all samples.
package struct MinMaxObserver: Observer {
  package private(set) var samples = 0
  package private(set) var nonFinite = 0
  package private(set) var bounds: ClosedRange<Float>?

  package init() {}

  package mutating func observe(_ values: Span<Float>) {
    let extent = Extent(values)
    samples += 1
    nonFinite += extent.nonFinite
    widen(extent.bounds)
  }

  /// Takes in what another observer saw.
  package mutating func merge(_ other: MinMaxObserver) {
    samples += other.samples
    nonFinite += other.nonFinite
    widen(other.bounds)
  }

  private mutating func widen(_ other: ClosedRange<Float>?) {
    guard let other else { return }
    bounds =
      bounds.map { min($0.lowerBound, other.lowerBound)...max($0.upperBound, other.upperBound) } ?? other
  }
}
