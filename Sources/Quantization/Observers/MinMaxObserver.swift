/// The least and the greatest value of all samples.
package struct MinMaxObserver: Observer {
  package init() {}

  package func bounds(of statistics: ValueStatistics) -> ClosedRange<Float>? { statistics.bounds }
}
