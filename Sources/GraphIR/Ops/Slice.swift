public import BinaryIO

/// A strided range per axis, numpy semantics; the ranges are attributes, or i64 inputs `starts, ends, axes, steps`.
public struct Slice: OpPayload {
  /// First index per axis.
  public var starts: [Int]?
  /// Index after the last one per axis.
  public var ends: [Int]?
  /// The axes; nil: the first ones.
  public var axes: [Int]?
  /// Steps, not 0; nil: 1.
  public var steps: [Int]?

  public init(starts: [Int]? = nil, ends: [Int]? = nil, axes: [Int]? = nil, steps: [Int]? = nil) {
    self.starts = starts
    self.ends = ends
    self.axes = axes
    self.steps = steps
  }

  init(_ a: inout AttributeReader) throws(Refusal) {
    starts = try a.ints("starts")
    ends = try a.ints("ends")
    axes = try a.ints("axes")
    steps = try a.ints("steps")
  }

  public var name: String { "slice" }
  public var inputCount: ClosedRange<Int> { 1...5 }
  public var outputCount: ClosedRange<Int> { 1...1 }

  public var attributes: Attributes {
    var result = Attributes()
    result.set("starts", starts)
    result.set("ends", ends)
    result.set("axes", axes)
    result.set("steps", steps)
    return result
  }

  public func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType] {
    let rule = try TypeRule(self, inputs)
    let x = try rule.type(0)
    let starts = try rule.ints(self.starts, or: 1)
    let ends = try rule.ints(self.ends, or: 2)
    guard let starts, let ends else { return try rule.result(x.dtype, unknownWhereSliced(x, rule)) }
    let givenAxes = try rule.ints(self.axes, or: 3)
    let axes = try rule.axes(givenAxes ?? Array(starts.indices), rank: x.rank)
    let steps = try rule.ints(self.steps, or: 4) ?? starts.map { _ in 1 }
    try rule.require(
      starts.count == ends.count && starts.count == axes.count && starts.count == steps.count,
      "starts, ends, axes and steps have \(starts.count), \(ends.count), \(axes.count) and \(steps.count) entries"
    )
    var dims = x.dims
    for (index, axis) in axes.enumerated() {
      let step = steps[index]
      try rule.require(step != 0 && step != .min, "a step is \(step)")
      guard let extent = x.dims[axis].value else {
        let isWhole = starts[index] == 0 && ends[index] >= Limits.standard.dimension && step == 1
        dims[axis] = isWhole ? x.dims[axis] : .unknown
        continue
      }
      dims[axis] = .known(
        Slice.indices(extent: extent, start: starts[index], end: ends[index], step: step).count
      )
    }
    return try rule.result(x.dtype, dims)
  }

  /// The chosen indices of one axis as (first, count), numpy semantics; `step` is not 0.
  package static func indices(extent: Int, start: Int, end: Int, step: Int) -> (first: Int, count: Int) {
    let lowest = step > 0 ? 0 : -1
    let highest = step > 0 ? extent : extent - 1
    func clamp(_ index: Int) -> Int {
      Swift.min(
        Swift.max(index < 0 ? index.addingReportingOverflow(extent).partialValue : index, lowest),
        highest
      )
    }
    let first = start == .min ? lowest : clamp(start)
    let last = end == .min ? lowest : clamp(end)
    let distance = step > 0 ? last - first : first - last
    let stride = step.magnitude
    return (first, distance > 0 ? Int((UInt(distance) + stride - 1) / stride) : 0)
  }

  private func unknownWhereSliced(_ x: TensorType, _ rule: TypeRule) throws(Refusal) -> [Dim] {
    guard let axes = try rule.ints(self.axes, or: 3) else { return x.dims.map { _ in .unknown } }
    let sliced = try rule.axes(axes, rank: x.rank)
    return x.dims.indices.map { sliced.contains($0) ? .unknown : x.dims[$0] }
  }
}
