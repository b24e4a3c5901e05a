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

  private init(outer: Int, channels: Int, inner: Int) {
    self.outer = outer
    self.channels = channels
    self.inner = inner
  }
}
