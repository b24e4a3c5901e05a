/// Limits on what a reader accepts, so that memory and time stay bounded whatever a file claims.
///
/// The identifiers L1-L13 appear in refusals.
public struct Limits: Sendable {
  /// Dimensions of a tensor in a graph (L1).
  public var rank = 8
  /// One dimension (L2).
  public var dimension = Int(Int32.max)
  /// Elements of a tensor (L3).
  public var elements = 1 << 40
  /// Tensors, nodes and values, each (L5).
  public var objects = 1_000_000
  /// Inputs plus outputs of a node (L6).
  public var nodeArity = 65_536
  /// Attributes of a node (L6).
  public var attributes = 256
  /// Items of an attribute list (L6).
  public var attributeItems = 1_048_576
  /// Bytes of a name (L7).
  public var nameBytes = 4_096
  /// Bytes of a documentation string or metadata value (L7).
  public var textBytes = 1 << 20
  /// Nested protobuf messages (L8).
  public var messageDepth = 100
  /// Nested sub-graphs (L8).
  public var graphDepth = 16
  /// Bytes of an ONNX file without its external data (L10).
  public var onnxBytes = Int(Int32.max)

  public init() {}

  /// The limits used unless a caller raises them.
  public static let standard = Limits()
}
