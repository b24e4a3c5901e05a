internal import CKernels

/// Elements of a buffer as an array of any strides.
package struct StridedView: Hashable, Sendable {
  /// Elements along each axis; never empty.
  package private(set) var extents: [Int] = []
  /// Elements between neighbours, 0 where one element is repeated.
  package private(set) var strides: [Int] = []
  /// The first element.
  package let offset: Int

  /// A view with neighbouring axes joined where one step along the outer is a whole run along the inner.
  ///
  /// - Returns: nil for more axes than the kernels take.
  package init?(extents: [Int], strides: [Int], offset: Int = 0) {
    precondition(extents.count == strides.count)
    self.offset = offset
    for (extent, stride) in zip(extents, strides) where extent != 1 {
      if let last = self.strides.last, last == stride * extent {
        self.extents[self.extents.count - 1] *= extent
        self.strides[self.strides.count - 1] = stride
      } else {
        self.extents.append(extent)
        self.strides.append(stride)
      }
    }
    if self.extents.isEmpty { (self.extents, self.strides) = ([1], [1]) }
    guard self.extents.count <= Int(QK_MAX_AXES) else { return nil }
  }

  /// Two views of the same extents, of which neighbouring axes are joined where both allow it.
  ///
  /// - Returns: nil for more axes than the kernels take.
  package static func pair(
    extents: [Int],
    _ a: [Int],
    _ b: [Int]
  ) -> (StridedView, StridedView)? {
    var joined: (extents: [Int], a: [Int], b: [Int]) = ([], [], [])
    for (axis, extent) in extents.enumerated() where extent != 1 {
      let last = joined.extents.count - 1
      if last >= 0, joined.a[last] == a[axis] * extent, joined.b[last] == b[axis] * extent {
        joined.extents[last] *= extent
        (joined.a[last], joined.b[last]) = (a[axis], b[axis])
      } else {
        joined.extents.append(extent)
        joined.a.append(a[axis])
        joined.b.append(b[axis])
      }
    }
    if joined.extents.isEmpty { joined = ([1], [1], [1]) }
    guard joined.extents.count <= Int(QK_MAX_AXES) else { return nil }
    return (
      StridedView(joined: joined.extents, strides: joined.a),
      StridedView(joined: joined.extents, strides: joined.b)
    )
  }

  private init(joined extents: [Int], strides: [Int]) {
    self.extents = extents
    self.strides = strides
    offset = 0
  }

  package var count: Int { extents.reduce(1, *) }

  /// Whether it is a run of neighbours.
  package var isDense: Bool { extents.count == 1 && (strides[0] == 1 || extents[0] == 1) }

  /// One past the last element of the buffer that it reads; strides must not be negative.
  var end: Int {
    guard count > 0 else { return 0 }
    return offset + zip(extents, strides).reduce(1) { $0 + ($1.0 - 1) * $1.1 }
  }

  var isForward: Bool { strides.allSatisfy { $0 >= 0 } }

  var value: qk_view {
    var view = qk_view()
    view.rank = extents.count
    unsafe withUnsafeMutableBytes(of: &view.extents) { bytes in
      let target = unsafe bytes.bindMemory(to: Int.self)
      for (axis, extent) in extents.enumerated() { unsafe target[axis] = extent }
    }
    unsafe withUnsafeMutableBytes(of: &view.strides) { bytes in
      let target = unsafe bytes.bindMemory(to: Int.self)
      for (axis, stride) in strides.enumerated() { unsafe target[axis] = stride }
    }
    return view
  }
}

/// Kernels that read their operands through views.
package enum ViewKernel {
  /// Writes the elements of a view one after another; elements have 1, 2, 4 or 8 bytes.
  package static func gather(
    elementSize: Int,
    _ view: StridedView,
    _ x: Buffer,
    _ y: Buffer,
    in context: KernelContext
  ) {
    precondition([1, 2, 4, 8].contains(elementSize) && view.isForward)
    var value = view.value
    let target = unsafe y.pointer(view.count * elementSize)
    let source = unsafe x.pointer(view.end * elementSize) + view.offset * elementSize
    unsafe qk_gather_view(elementSize, &value, source, target, context.pool)
  }

  /// A function of two views of the same extents.
  package static func floats(
    _ function: FloatBinary,
    _ views: (StridedView, StridedView),
    _ a: Buffer,
    _ b: Buffer,
    _ y: Buffer,
    in context: KernelContext
  ) {
    precondition(views.0.extents == views.1.extents && views.0.isForward && views.1.isForward)
    var (left, right) = (views.0.value, views.1.value)
    unsafe qk_f32_binary_views(
      context.isa,
      &left,
      a.elements(views.0.end, of: Float.self),
      &right,
      b.elements(views.1.end, of: Float.self),
      y.elements(views.0.count, of: Float.self),
      function.value,
      context.pool
    )
  }
}
