package import GraphIR

/// A tensor seen as `[outer, channels, inner]` around one axis, in C order.
package struct ChannelLayout: Hashable, Sendable {
  package let outer: Int
  package let channels: Int
  package let inner: Int

  /// The layout around `axis`; nil when the tensor has no such axis.
  ///
  /// Without an axis the whole tensor is one channel.
  package init?(_ tensor: Tensor, axis: Int?) {
    guard let axis else {
      self.init(outer: 1, channels: 1, inner: tensor.count)
      return
    }
    guard tensor.shape.indices.contains(axis) else { return nil }
    self.init(
      outer: tensor.shape[..<axis].reduce(1, *),
      channels: tensor.shape[axis],
      inner: tensor.shape[(axis + 1)...].reduce(1, *)
    )
  }

  /// Splits a run of elements where the channel changes.
  ///
  /// - Parameters:
  ///   - range: Indices of elements.
  ///   - body: Takes a part of the range, its row, and its first channel. Where ``inner`` is 1, each next element belongs
  ///     to the next channel; otherwise all belong to the same one.
  @inline(__always)
  package func forEachRun(in range: Range<Int>, _ body: (Range<Int>, _ row: Int, _ channel: Int) -> Void) {
    let rowLength = channels * inner
    guard rowLength > 0 else { return }
    var start = range.lowerBound
    while start < range.upperBound {
      let (row, position) = start.quotientAndRemainder(dividingBy: rowLength)
      let (channel, offset) = position.quotientAndRemainder(dividingBy: inner)
      let length = inner == 1 ? channels - channel : inner - offset
      let end = min(start + length, range.upperBound)
      body(start..<end, row, channel)
      start = end
    }
  }

  private init(outer: Int, channels: Int, inner: Int) {
    self.outer = outer
    self.channels = channels
    self.inner = inner
  }
}
