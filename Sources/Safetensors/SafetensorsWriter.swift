public import BinaryIO
public import GraphIR

/// Writes tensors and metadata as one safetensors file.
///
/// The bytes depend on nothing but the arguments: metadata come first and sorted by key, tensors by element size
/// (largest first), then by name. The header is padded with spaces to a multiple of 64 bytes, so that every tensor
/// is aligned to its elements. One tensor at a time is read, and its pages are released.
public enum SafetensorsWriter {
  /// Writes a whole file into `sink`, which is called with consecutive pieces.
  ///
  /// - Parameters:
  ///   - tensors: In any order; names must be unique.
  ///   - metadata: Strings for `__metadata__`; none is written when empty.
  ///   - sink: Takes the bytes.
  /// - Throws: A refusal when a name cannot be stored, or what `sink` throws.
  public static func write(
    _ tensors: [(name: String, tensor: Tensor)],
    metadata: [String: String] = [:],
    to sink: (RawSpan) throws(Refusal) -> Void
  ) throws(Refusal) {
    let ordered = tensors.sorted {
      let (a, b) = ($0.tensor.dtype.size, $1.tensor.dtype.size)
      return a == b ? $0.name < $1.name : a > b
    }
    let start = try header(ordered, metadata)
    try unsafe sink(start.span.bytes)
    for (_, tensor) in ordered where !tensor.bytes.range.isEmpty {
      try tensor.bytes.withBytes { (span) throws(Refusal) in try sink(span) }
      tensor.releasePages()
    }
  }

  /// The length field, the header text and its padding.
  private static func header(
    _ tensors: [(name: String, tensor: Tensor)],
    _ metadata: [String: String]
  ) throws(Refusal) -> [UInt8] {
    var members: [String] = []
    if !metadata.isEmpty {
      let strings = metadata.keys.sorted().map { "\(quoted($0)):\(quoted(metadata[$0] ?? ""))" }
      members.append("\"__metadata__\":{\(strings.joined(separator: ","))}")
    }
    var names: Set<String> = []
    var offset = 0
    for (name, tensor) in tensors {
      try checkName(name, .standard)
      guard name != "__metadata__", names.insert(name).inserted else {
        throw Refusal(
          .output,
          at: "tensor \(Refusal.quoted(name))",
          rule: "S4",
          "cannot be stored: the name is reserved or given twice",
          remedy: "rename the tensor"
        )
      }
      let end = offset + tensor.bytes.count
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      members.append(
        "\(quoted(name)):{\"dtype\":\"\(tensor.dtype.safetensorsName)\",\"shape\":[\(shape)],"
          + "\"data_offsets\":[\(offset),\(end)]}"
      )
      offset = end
    }
    var text = Array("{\(members.joined(separator: ","))}".utf8)
    while (8 + text.count) % 64 != 0 { text.append(0x20) }
    guard text.count <= SafetensorsFile.headerLimit else {
      throw Refusal(
        .output,
        at: "header",
        rule: "S1",
        "would have \(text.count) bytes, at most \(SafetensorsFile.headerLimit) can be stored",
        remedy: "write the model as .qmodel"
      )
    }
    let length = UInt64(text.count).littleEndian
    return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + text
  }

  /// `text` as a JSON string.
  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case "\r": result += "\\r"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
