package import BinaryIO

/// The first 64 bytes of a file; see `schemas/qmodel.md`.
///
///     0 magic   8 major   10 minor   12 features   16 file length   24 index offset
///     32 sections   36 index CRC   40 content identifier   56 reserved   60 header CRC
package struct Header: Hashable, Sendable {
  package var major: UInt16 = 1
  package var minor: UInt16 = 0
  /// Bits a reader must know.
  package var features: UInt32 = 0
  package var fileLength: Int
  package var sectionCount: Int
  package var indexChecksum: UInt32
  /// 16 bytes.
  package var identifier: [UInt8]

  package static let size = 64
  package static let magic: [UInt8] = [0xD1, 0x51, 0x4D, 0x44, 0x0D, 0x0A, 0x1A, 0x0A]
  /// Every section begins at a multiple of it.
  package static let alignment = 64

  package init(fileLength: Int, sectionCount: Int, indexChecksum: UInt32, identifier: [UInt8]) {
    self.fileLength = fileLength
    self.sectionCount = sectionCount
    self.indexChecksum = indexChecksum
    self.identifier = identifier
  }

  /// Reads and checks the header of a file of `length` bytes.
  ///
  /// - Throws: A refusal under Q1, Q2 or Q16.
  package init(_ bytes: RawSpan, length: Int) throws(Refusal) {
    var reader = ByteReader(bytes)
    guard bytes.byteCount >= Header.size, let start = reader.skip(8) else {
      throw malformed("header", "Q2", "has \(bytes.byteCount) bytes, at least 64 are needed")
    }
    let magic = start.map { bytes.byte($0) ?? 0 }
    guard magic == Header.magic else { throw Header.wrongMagic(magic) }
    major = reader.read() ?? 0
    minor = reader.read() ?? 0
    features = reader.read() ?? 0
    let claimed: UInt64 = reader.read() ?? 0
    let indexOffset: UInt64 = reader.read() ?? 0
    let sections: UInt32 = reader.read() ?? 0
    indexChecksum = reader.read() ?? 0
    identifier = (reader.skip(16) ?? 0..<0).map { bytes.byte($0) ?? 0 }
    let reserved: UInt32 = reader.read() ?? 0
    let checksum: UInt32 = reader.read() ?? 0
    var actual = CRC32()
    actual.update(bytes.extracting(0..<60))
    guard actual.value == checksum else {
      throw malformed("header", "Q1", "has CRC \(hex(actual.value)), \(hex(checksum)) is recorded")
    }
    guard major == 1 else { throw Header.newer("is in version \(major).\(minor)", "understands 1.x") }
    guard features == 0 else { throw Header.newer("needs features \(hex(features))", "knows none") }
    guard let exact = Int(exactly: claimed), exact == length else {
      throw malformed("header", "Q2", "says the file has \(claimed) bytes, but it has \(length)")
    }
    guard indexOffset == UInt64(Header.size), reserved == 0 else {
      throw malformed("header", "Q16", "has an index offset other than 64 or a reserved field other than 0")
    }
    fileLength = exact
    sectionCount = Int(sections)
  }

  /// The 64 bytes.
  package var bytes: [UInt8] {
    var writer = ByteWriter()
    writer.write(Header.magic)
    writer.write(major)
    writer.write(minor)
    writer.write(features)
    writer.write(UInt64(fileLength))
    writer.write(UInt64(Header.size))
    writer.write(UInt32(sectionCount))
    writer.write(indexChecksum)
    writer.write(identifier)
    writer.write(UInt32(0))
    writer.write(CRC32(writer.bytes).value)
    return writer.bytes
  }

  private static func newer(_ problem: String, _ ours: String) -> Refusal {
    Refusal(
      .unsupported,
      at: "header",
      rule: "Q1",
      "\(problem), this qconvert \(ours)",
      remedy: "use a newer qconvert"
    )
  }

  private static func wrongMagic(_ found: [UInt8]) -> Refusal {
    let isStripped = found.first == 0x51 && Array(found[1..<4]) == Array(magic[1..<4])
    let isTranslated = Array(found[..<4]) == Array(magic[..<4])
    guard isStripped || isTranslated else {
      return malformed("header", "Q1", "does not begin as a .qmodel file does", remedy: "check the path")
    }
    return malformed(
      "header",
      "Q1",
      "was changed by a transfer in text mode",
      remedy: "copy the file again in binary mode"
    )
  }
}

/// A refusal of damaged or malformed content.
func malformed(
  _ place: String,
  _ rule: String,
  _ problem: String,
  remedy: String = "the file is damaged or incomplete: copy or convert it again"
) -> Refusal {
  Refusal(.invalid, at: place, rule: rule, problem, remedy: remedy)
}

func hex(_ value: UInt32) -> String {
  let digits = String(value, radix: 16)
  return "0x" + String(repeating: "0", count: 8 - digits.count) + digits
}
