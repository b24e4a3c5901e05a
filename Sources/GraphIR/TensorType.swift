internal import BinaryIO

/// One dimension of a shape.
public enum Dim: Hashable, Sendable, CustomStringConvertible {
  /// A known extent, at least 0.
  case known(Int)
  /// A named extent: equal names mean equal extents within a graph.
  case symbol(String)
  /// An extent that is known only when the graph runs.
  case unknown

  /// The extent if it is known.
  public var value: Int? {
    guard case .known(let value) = self else { return nil }
    return value
  }

  public var description: String {
    switch self {
    case .known(let value): String(value)
    case .symbol(let name): name
    case .unknown: "?"
    }
  }
}

extension Dim: ExpressibleByIntegerLiteral {
  public init(integerLiteral value: Int) { self = .known(value) }
}

/// Element type and shape of a value.
public struct TensorType: Hashable, Sendable, CustomStringConvertible {
  public var dtype: DType
  public var dims: [Dim]

  public init(_ dtype: DType, _ dims: [Dim]) {
    self.dtype = dtype
    self.dims = dims
  }

  public init(_ dtype: DType, known dims: [Int]) {
    self.dtype = dtype
    self.dims = dims.map(Dim.known)
  }

  public var rank: Int { dims.count }

  /// The extents if all are known.
  public var knownDims: [Int]? {
    let values = dims.compactMap(\.value)
    return values.count == dims.count ? values : nil
  }

  /// Elements if all extents are known and the product does not overflow.
  public var elementCount: Int? { knownDims.flatMap { Checked.product($0) } }

  /// As in the text form: `f32[batch, 3, 224, 224]`.
  public var description: String {
    "\(dtype.name)[\(dims.map(\.description).joined(separator: ", "))]"
  }
}
