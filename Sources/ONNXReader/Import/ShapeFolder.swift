import BinaryIO
import GraphIR

/// Evaluates the integer arithmetic on shapes that exporters leave in a graph.
///
/// So an operator that needs a constant (`Pad`, `Resize`) finds one even where the exporter did not fold it. Elements
/// are dimensions in C order. Scalars and vectors are left to ``ShapeArithmetic``; the matrices that PyTorch makes of
/// the amounts of a padding are followed here.
enum ShapeFolder {
  /// Larger matrices are left alone.
  private static let limit = 64

  /// The elements of a small integer constant; nil for others.
  static func value(of tensor: Tensor) -> [Dim]? {
    if let value = ShapeArithmetic.value(of: tensor) { return value }
    guard tensor.shape.count == 2, tensor.dtype == .int64, tensor.count <= limit else { return nil }
    return tensor.intValues()?.map(Dim.known)
  }

  /// The elements of each result of an operator, nil where nothing can be said.
  static func values(of op: Op, _ inputs: [OperandInfo?], _ types: [TensorType]) -> [[Dim]?] {
    guard types.count == 1, types[0].rank == 2 else {
      return ShapeArithmetic.values(of: op, inputs, outputTypes: types)
    }
    guard types[0].dtype == .int64, let shape = types[0].knownDims, let x = inputs.first ?? nil,
      let elements = x.shapeValue, let result = matrix(op, elements, x.type.knownDims ?? [], inputs),
      result.count == shape[0] * shape[1]
    else { return [nil] }
    return [result]
  }

  /// The constant with these elements; nil when one is not known or the type is not that of a shape.
  static func tensor(_ dims: [Dim], _ type: TensorType) throws(Refusal) -> Tensor? {
    let values = dims.compactMap(\.value)
    guard values.count == dims.count, let shape = type.knownDims, Checked.product(shape) == values.count
    else {
      return nil
    }
    switch type.dtype {
    case .int64: return try Tensor.make(.int64, shape, values.map(Int64.init))
    case .int32:
      let narrow = values.compactMap(Int32.init(exactly:))
      return narrow.count == values.count ? try Tensor.make(.int32, shape, narrow) : nil
    case .bool: return try Tensor.make(.bool, shape, values.map { UInt8($0 == 0 ? 0 : 1) })
    case .uint8, .int8, .uint16, .int16, .uint32, .uint64, .float16, .bfloat16, .float32, .float64: return nil
    }
  }

  /// The elements of a matrix made of other elements.
  private static func matrix(
    _ op: Op,
    _ elements: [Dim],
    _ shape: [Int],
    _ inputs: [OperandInfo?]
  ) -> [Dim]? {
    if case .reshape = op { return elements }
    guard shape.count == 2 else { return nil }
    let rows = (0..<shape[0]).map { Array(elements[($0 * shape[1])..<(($0 + 1) * shape[1])]) }
    switch op {
    case .transpose(let op) where op.perm == [1, 0]:
      return (0..<shape[1]).flatMap { column in rows.map { $0[column] } }
    case .slice(let op):
      guard op.axes == [0], let start = op.starts, let end = op.ends, start.count == 1, end.count == 1,
        op.steps == nil || op.steps?.count == 1, case let step = op.steps?.first ?? 1, step != 0, step != .min
      else { return nil }
      let chosen = Slice.indices(extent: rows.count, start: start[0], end: end[0], step: step)
      return (0..<chosen.count).flatMap { rows[chosen.first + $0 * step] }
    default: return nil
    }
  }
}
