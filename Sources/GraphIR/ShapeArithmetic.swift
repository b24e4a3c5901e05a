internal import BinaryIO

/// What graphs compute about shapes: the elements of small integer scalars and vectors, symbolically.
///
/// An element is a ``Dim``: a known integer (which may be negative here), a symbol, or unknown. Whatever goes beyond
/// copying symbols, such as a product with one, is unknown.
package enum ShapeArithmetic {
  /// Longest vector that is followed.
  static let limit = 64

  /// Whether values of this type are followed: an integer or bool scalar or a short vector.
  package static func isSmall(_ type: TensorType) -> Bool {
    guard !type.dtype.isFloatingPoint, type.rank <= 1, let count = type.elementCount else { return false }
    return count <= limit
  }

  /// The elements of a constant; nil if it is not followed.
  package static func value(of constant: Tensor) -> [Dim]? {
    guard isSmall(constant.type) else { return nil }
    return constant.intValues()?.map(Dim.known)
  }

  /// The elements of each output of an operator, nil where nothing can be said.
  package static func values(of op: Op, _ inputs: [OperandInfo?], outputTypes: [TensorType]) -> [[Dim]?] {
    let operands = inputs.map { $0.flatMap(elements) }
    if case .split(let split) = op { return parts(split, operands, outputTypes) }
    guard let type = outputTypes.first, isSmall(type), let count = type.elementCount else {
      return outputTypes.map { _ in nil }
    }
    let value = value(of: op, inputs, operands, type)
    let fits = value?.count == count && value?.contains { $0 != .unknown } == true
    return outputTypes.indices.map { $0 == 0 && fits ? value : nil }
  }

  /// The elements of an operand: what is known, or as many unknown ones as its type says.
  private static func elements(_ operand: OperandInfo) -> [Dim]? {
    if let value = operand.shapeValue { return value }
    guard isSmall(operand.type), let count = operand.type.elementCount else { return nil }
    return Array(repeating: .unknown, count: count)
  }

  private static func value(
    of op: Op,
    _ inputs: [OperandInfo?],
    _ operands: [[Dim]?],
    _ type: TensorType
  ) -> [Dim]? {
    let first = operands.first ?? nil
    switch op {
    case .shape(let op): return (inputs.first ?? nil).flatMap { extents($0.type.dims, op) }
    case .cast(let op): return first.flatMap { cast($0, to: op.to) }
    case .reshape, .flatten, .squeeze, .unsqueeze, .transpose: return first
    case .expand: return first.flatMap { broadcast($0, to: type) }
    case .concat: return joined(operands)
    case .gather: return gather(operands)
    case .slice(let op): return slice(op, operands)
    case .constantOfShape(let op): return repeated(op, type)
    case .range: return range(operands)
    case .reduce(let op): return first.flatMap { reduce(op.kind, $0) }
    case .binary(let op): return pairwise(operands, type) { arithmetic(op.kind, $0, $1) }
    case .compare(let op): return pairwise(operands, type) { compare(op.kind, $0, $1) }
    case .where: return select(operands, type)
    case .unary(let op): return first?.map { unary(op.kind, $0) }
    case .conv, .convTranspose, .gemm, .matMul, .lstm, .gru, .batchNorm, .layerNorm, .maxPool, .averagePool,
      .globalPool,
      .argMax, .gatherElements, .gatherND, .scatterND, .cumSum, .tile, .clip, .hardSigmoid, .leakyRelu, .elu,
      .gelu, .prelu, .softmax, .split, .pad, .resize,
      .quantizeLinear, .dequantizeLinear, .dequantizeBias, .dequantizeBlocks, .dynamicQuantize:
      return nil
    }
  }

  private static func extents(_ dims: [Dim], _ op: ShapeOf) -> [Dim] {
    Array(dims[op.range(rank: dims.count)])
  }

  private static func cast(_ elements: [Dim], to dtype: DType) -> [Dim]? {
    guard !dtype.isFloatingPoint else { return nil }
    return elements.map { element in
      guard let value = element.value else { return dtype == .int64 || dtype == .int32 ? element : .unknown }
      if dtype == .bool { return .known(value == 0 ? 0 : 1) }
      return range(of: dtype).contains(value) ? element : .unknown
    }
  }

  private static func range(of dtype: DType) -> ClosedRange<Int> {
    switch dtype {
    case .int8: -128...127
    case .uint8: 0...255
    case .int16: -32_768...32_767
    case .uint16: 0...65_535
    case .int32: Int(Int32.min)...Int(Int32.max)
    case .uint32: 0...Int(UInt32.max)
    case .uint64: 0...Int.max
    case .bool: 0...1
    case .int64, .float32, .float16, .float64, .bfloat16: Int.min...Int.max
    }
  }

  private static func broadcast(_ elements: [Dim], to type: TensorType) -> [Dim]? {
    guard let count = type.elementCount, elements.count == count || elements.count == 1 else { return nil }
    return elements.count == count ? elements : Array(repeating: elements[0], count: count)
  }

  private static func joined(_ operands: [[Dim]?]) -> [Dim]? {
    var result: [Dim] = []
    for operand in operands {
      guard let operand, result.count + operand.count <= limit else { return nil }
      result += operand
    }
    return result
  }

  private static func gather(_ operands: [[Dim]?]) -> [Dim]? {
    guard operands.count == 2, let elements = operands[0], let indices = operands[1] else { return nil }
    return indices.map { index in
      guard let index = index.value, index >= -elements.count, index < elements.count else { return .unknown }
      return elements[index < 0 ? index + elements.count : index]
    }
  }

  /// A range of a vector; as numpy, bounds are counted from the end where negative, then clamped.
  private static func slice(_ op: Slice, _ operands: [[Dim]?]) -> [Dim]? {
    func bound(_ attribute: [Int]?, _ operand: Int) -> Int? {
      if let attribute { return attribute.count == 1 ? attribute[0] : nil }
      guard operand < operands.count, let values = operands[operand], values.count == 1 else { return nil }
      return values[0].value
    }
    let hasSteps = op.steps != nil || (operands.count > 4 && operands[4] != nil)
    guard let elements = operands.first ?? nil, let start = bound(op.starts, 1), let end = bound(op.ends, 2),
      let step = hasSteps ? bound(op.steps, 4) : 1, step != 0, step != .min
    else { return nil }
    let chosen = Slice.indices(extent: elements.count, start: start, end: end, step: step)
    return (0..<chosen.count).map { elements[chosen.first + $0 * step] }
  }

  private static func parts(_ op: Split, _ operands: [[Dim]?], _ types: [TensorType]) -> [[Dim]?] {
    guard let elements = operands.first ?? nil, types.allSatisfy({ $0.rank == 1 }) else {
      return types.map { _ in nil }
    }
    var start = 0
    return types.map { type in
      guard let count = type.elementCount, count <= elements.count - start else { return nil }
      defer { start += count }
      return Array(elements[start..<(start + count)])
    }
  }

  private static func repeated(_ op: ConstantOfShape, _ type: TensorType) -> [Dim]? {
    guard let count = type.elementCount, count <= limit, let value = Int(exactly: op.value) else {
      return nil
    }
    return Array(repeating: .known(value), count: count)
  }

  private static func range(_ operands: [[Dim]?]) -> [Dim]? {
    let bounds = operands.map { $0?.count == 1 ? $0?[0].value : nil }
    guard bounds.count == 3, let start = bounds[0], let end = bounds[1], let delta = bounds[2], delta != 0
    else {
      return nil
    }
    var result: [Dim] = []
    var value = start
    while delta > 0 ? value < end : value > end {
      guard result.count < limit else { return nil }
      result.append(.known(value))
      guard let next = Checked.sum(value, delta) else { break }
      value = next
    }
    return result
  }

  /// Over all elements: a vector has one axis, so nothing else can be reduced.
  private static func reduce(_ kind: Reduce.Kind, _ elements: [Dim]) -> [Dim]? {
    let combine: Binary.Kind
    let neutral: Dim?
    switch kind {
    case .prod: (combine, neutral) = (.mul, 1)
    case .sum: (combine, neutral) = (.add, 0)
    case .max: (combine, neutral) = (.max, nil)
    case .min: (combine, neutral) = (.min, nil)
    case .mean, .sumSquare, .l2: return nil
    }
    guard let start = neutral ?? elements.first else { return nil }
    return [elements.reduce(start) { arithmetic(combine, $0, $1) }]
  }

  private static func pairwise(_ operands: [[Dim]?], _ type: TensorType, _ body: (Dim, Dim) -> Dim) -> [Dim]?
  {
    guard operands.count == 2, let a = operands[0].flatMap({ broadcast($0, to: type) }),
      let b = operands[1].flatMap({ broadcast($0, to: type) })
    else { return nil }
    return zip(a, b).map(body)
  }

  private static func select(_ operands: [[Dim]?], _ type: TensorType) -> [Dim]? {
    guard operands.count == 3, let condition = operands[0].flatMap({ broadcast($0, to: type) }),
      let a = operands[1].flatMap({ broadcast($0, to: type) }),
      let b = operands[2].flatMap({ broadcast($0, to: type) })
    else { return nil }
    return condition.indices.map { index in
      guard let chooses = condition[index].value else { return a[index] == b[index] ? a[index] : .unknown }
      return chooses != 0 ? a[index] : b[index]
    }
  }
}
