internal import BinaryIO
internal import GraphIR

/// What tells one network from another.
enum ModelHash {
  /// SHA-256 over the text of a graph without its metadata, and the bytes of its constants: 64 hexadecimal digits.
  static func text(of graph: Graph) -> String {
    var bare = graph
    bare.metadata = [:]
    var hash = SHA256()
    let text = Array(GraphPrinter.text(bare, constants: .external).utf8)
    unsafe hash.update(text.span.bytes)
    for id in bare.valueIDs {
      guard let tensor = bare[id].constant else { continue }
      tensor.bytes.withBytes { hash.update($0) }
      tensor.releasePages()
    }
    return hexadecimal(hash.finish())
  }

  static func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
