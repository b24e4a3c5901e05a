package import BinaryIO

/// What the type rules of the operators share: operands, broadcasting, axes and windows.
///
/// Dimensions that are not known are carried along, never compared.
package struct TypeRule {
  let op: String
  let inputs: [OperandInfo?]

  init(_ op: any OpPayload, _ inputs: [OperandInfo?]) throws(Refusal) {
    self.op = op.name
    self.inputs = inputs
    guard op.inputCount.contains(inputs.count) else {
      throw refusal(
        "has \(inputs.count) inputs, takes \(op.inputCount.lowerBound) to \(op.inputCount.upperBound)"
      )
    }
  }

  /// A refusal under this operator's rule.
  package func refusal(_ problem: String, remedy: String = "correct the model in its exporter") -> Refusal {
    Refusal(.invalid, at: "", rule: "T-\(op)", problem, remedy: remedy)
  }

  func require(_ condition: Bool, _ problem: @autoclosure () -> String) throws(Refusal) {
    guard condition else { throw refusal(problem()) }
  }

  /// The operand at `index`, which must be given.
  func operand(_ index: Int) throws(Refusal) -> OperandInfo {
    guard index < inputs.count, let operand = inputs[index] else {
      throw refusal("input \(index) is missing")
    }
    return operand
  }

  func type(_ index: Int) throws(Refusal) -> TensorType { try operand(index).type }

  func optional(_ index: Int) -> OperandInfo? { index < inputs.count ? inputs[index] : nil }

  /// The operand's type, which must be floating point.
  func float(_ index: Int) throws(Refusal) -> TensorType {
    let type = try type(index)
    try require(type.dtype.isFloatingPoint, "input \(index) is \(type), must be floating point")
    return type
  }

  /// The operand's elements as integers, if it is a constant or shape arithmetic knows them all.
  func ints(_ index: Int) throws(Refusal) -> [Int]? {
    guard let operand = optional(index) else { return nil }
    try require(
      operand.type.dtype == .int64 || operand.type.dtype == .int32,
      "input \(index) is \(operand.type), must be i64 or i32"
    )
    try require(operand.type.rank <= 1, "input \(index) is \(operand.type), must be a vector")
    if let values = operand.constant?.intValues() { return values }
    guard let dims = operand.shapeValue else { return nil }
    let values = dims.compactMap(\.value)
    return values.count == dims.count ? values : nil
  }

  /// The list of an attribute or, where it is absent, of an operand.
  func ints(_ attribute: [Int]?, or index: Int) throws(Refusal) -> [Int]? {
    guard let attribute else { return try ints(index) }
    return attribute
  }

  /// The type of an operand of indices.
  func indices(_ index: Int) throws(Refusal) -> TensorType {
    let type = try type(index)
    try require(type.dtype == .int64 || type.dtype == .int32, "input \(index) is \(type), must be i64 or i32")
    return type
  }

  /// The length of the index vectors along the last axis.
  func indexLength(_ indices: TensorType, atMost limit: Int) throws(Refusal) -> Int {
    guard let length = indices.dims.last?.value, (0...limit).contains(length) else {
      throw refusal("the last axis of the indices \(indices) must have at most \(limit) entries")
    }
    return length
  }

  /// `axis` counted from the front.
  func axis(_ axis: Int, rank: Int) throws(Refusal) -> Int {
    try require(axis >= -rank && axis < rank, "axis \(axis) is outside of \(-rank)..<\(rank)")
    return axis < 0 ? axis + rank : axis
  }

  /// Axes counted from the front; they must be unique.
  func axes(_ axes: [Int], rank: Int) throws(Refusal) -> [Int] {
    var result: [Int] = []
    for item in axes { result.append(try axis(item, rank: rank)) }
    try require(Set(result).count == result.count, "axes \(axes) are not unique")
    return result
  }

  /// The dimension both operands have, where equality is required.
  func same(_ a: Dim, _ b: Dim, _ what: @autoclosure () -> String) throws(Refusal) -> Dim {
    if let x = a.value, let y = b.value { try require(x == y, "\(what()): \(x) against \(y)") }
    return a.value == nil && b.value != nil ? b : a
  }

  /// The shape two operands broadcast to, as numpy's rules say.
  func broadcast(_ a: [Dim], _ b: [Dim]) throws(Refusal) -> [Dim] {
    let rank = max(a.count, b.count)
    var result: [Dim] = []
    for index in 0..<rank {
      let x = index < rank - a.count ? Dim.known(1) : a[index - (rank - a.count)]
      let y = index < rank - b.count ? Dim.known(1) : b[index - (rank - b.count)]
      result.append(try broadcast(x, y, of: a, b))
    }
    return result
  }

  private func broadcast(_ x: Dim, _ y: Dim, of a: [Dim], _ b: [Dim]) throws(Refusal) -> Dim {
    switch (x, y) {
    case (1, let other), (let other, 1): return other
    case (.known(let p), .known(let q)):
      try require(p == q, "shapes \(describe(a)) and \(describe(b)) do not broadcast")
      return x
    case (.known, _): return x
    case (_, .known): return y
    default: return x == y ? x : .unknown
    }
  }

  /// A bias operand, if given, must be a vector of `channels`.
  func checkBias(_ bias: OperandInfo?, _ channels: Dim) throws(Refusal) {
    guard let bias = bias?.type else { return }
    try require(bias.rank == 1, "the bias is \(bias), must be a vector")
    _ = try same(bias.dims[0], channels, "bias and output channels differ")
  }

  /// The scale operand must be a float scalar, or with an axis a vector along it.
  func checkScale(_ index: Int, axis: Int?, of x: TensorType) throws(Refusal) {
    let scale = try float(index)
    guard let channelAxis = axis else {
      return try require(scale.rank == 0, "the scale is \(scale), must be a scalar without an axis")
    }
    let along = try self.axis(channelAxis, rank: x.rank)
    try require(scale.rank == 1, "the scale is \(scale), must be a vector along axis \(along)")
    _ = try same(scale.dims[0], x.dims[along], "the scale's length and the channel axis differ")
  }

  func describe(_ dims: [Dim]) -> String { "[\(dims.map(\.description).joined(separator: ", "))]" }

  /// The result's type if its rank and extents stay within the limits.
  func result(_ dtype: DType, _ dims: [Dim]) throws(Refusal) -> [TensorType] {
    try require(
      dims.count <= Limits.standard.rank,
      "the result has \(dims.count) axes, at most \(Limits.standard.rank)"
    )
    for dim in dims {
      guard let value = dim.value else { continue }
      try require(value >= 0 && value <= Limits.standard.dimension, "the result has an extent of \(value)")
    }
    guard let count = Checked.product(dims.map { $0.value ?? 1 }) else {
      throw refusal("the result has more elements than can be counted")
    }
    try require(count <= Limits.standard.elements, "the result has \(count) elements")
    return [TensorType(dtype, dims)]
  }
}

/// The attributes of a sliding window over `kernel.count` spatial axes.
struct Window {
  var kernel: [Dim]
  var strides: [Int]
  var pads: [Int]
  var dilations: [Int]
  var ceilMode = false

  /// Checks the attributes' lengths and ranges.
  func check(_ rule: TypeRule) throws(Refusal) {
    let axes = kernel.count
    try rule.require((1...3).contains(axes), "has \(axes) spatial axes, 1 to 3 are supported")
    for (name, list, count) in [
      ("strides", strides, axes), ("dilations", dilations, axes), ("pads", pads, 2 * axes),
    ] {
      try rule.require(list.count == count, "\(name) has \(list.count) entries, must have \(count)")
    }
    for value in strides + dilations + kernel.compactMap(\.value) {
      try rule.require(
        (1...65_535).contains(value),
        "a kernel extent, stride or dilation is \(value), must be 1 to 65535"
      )
    }
    for value in pads {
      try rule.require((0...65_535).contains(value), "a pad is \(value), must be 0 to 65535")
    }
  }

  /// The output's spatial extents.
  func output(_ input: [Dim], _ rule: TypeRule) throws(Refusal) -> [Dim] {
    var result: [Dim] = []
    for axis in input.indices { result.append(try output(input[axis], axis, rule)) }
    return result
  }

  private func output(_ input: Dim, _ axis: Int, _ rule: TypeRule) throws(Refusal) -> Dim {
    guard let extent = input.value, let taps = kernel[axis].value else { return .unknown }
    let effective = (taps - 1) * dilations[axis] + 1
    let padded = extent + pads[axis] + pads[axis + kernel.count]
    try rule.require(
      effective <= padded,
      "the window of \(effective) is larger than the padded input of \(padded)"
    )
    let steps = padded - effective
    let stride = strides[axis]
    guard ceilMode else { return .known(steps / stride + 1) }
    let raised = (steps + stride - 1) / stride + 1
    return .known((raised - 1) * stride >= extent + pads[axis] ? raised - 1 : raised)
  }
}
