import BinaryIO
import CProtobufC
import CQModelProto

/// The metadata section: text by key.
enum MetadataCoder {
  /// Bytes of all values together.
  private static let largestTotal = 64 << 20

  static func encode(_ metadata: [String: String]) -> [UInt8] {
    var message = ProtoWriter()
    for key in metadata.keys.sorted(by: precedes) {
      var entry = ProtoWriter()
      entry.field(1, key)
      entry.field(2, metadata[key] ?? "")
      message.field(1, entry)
    }
    return message.bytes
  }

  /// Decodes a metadata section.
  ///
  /// - Throws: A refusal under Q10 or Q17.
  static func decode(_ bytes: ByteSlice, limits: Limits) throws(Refusal) -> [String: String] {
    guard bytes.count <= largestTotal else {
      throw malformed(
        "metadata section",
        "Q17",
        "has \(bytes.count) bytes, at most \(largestTotal) are allowed"
      )
    }
    return try unsafe Unpacked.metadata(bytes, limits: limits) { (message) throws(Refusal) in
      var result: [String: String] = [:]
      var last: String?
      for index in unsafe 0..<message.n_entries {
        guard let entry = unsafe message.entries[index]?.pointee else { continue }
        let key = try unsafe Unpacked.name(entry.key, "metadata entry \(index)", limits: limits)
        let place = "metadata \(Refusal.quoted(key))"
        guard last.map({ precedes($0, key) }) ?? true else {
          throw malformed(place, "Q17", "is given twice or out of order")
        }
        guard unsafe entry.value.len <= limits.textBytes else {
          throw unsafe malformed(
            place,
            "Q17",
            "has \(entry.value.len) bytes, at most \(limits.textBytes) are allowed"
          )
        }
        result[key] = try unsafe Unpacked.text(entry.value, place)
        last = key
      }
      return result
    }
  }

  /// Order of keys: by their bytes.
  private static func precedes(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }
}
