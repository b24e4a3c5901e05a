internal import GraphIR

/// How the elements of a value lie in memory.
enum Layout: Hashable, Sendable {
  /// In the order of the graph's axes.
  case plain
  /// Batch, spatial axes, channels: the channel axis (1) is last.
  case channelsLast
}

/// Index of a ``Slot``.
struct SlotID: Hashable {
  let index: Int
}

/// A place for a value in one layout; a value may have one slot per layout.
struct Slot {
  /// nil for what one operation leaves to the next.
  let value: ValueID?
  let dtype: DType
  /// Extents in the order of the graph's axes.
  let shape: [Int]
  let layout: Layout

  var count: Int { shape.reduce(1, *) }
  var byteCount: Int { count * dtype.size }

  /// Extents in the order of memory.
  var physicalShape: [Int] {
    layout == .plain ? shape : [shape[0]] + shape.dropFirst(2) + [shape[1]]
  }

  /// Where axis `axis` of the graph is in memory.
  func physicalAxis(_ axis: Int) -> Int {
    guard layout == .channelsLast, axis > 0 else { return axis }
    return axis == 1 ? shape.count - 1 : axis - 1
  }

  /// Elements of the spatial axes (2 and up) of one image.
  var pixels: Int { shape.dropFirst(2).reduce(1, *) }
}
