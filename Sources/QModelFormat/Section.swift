package import BinaryIO

/// What a section holds; its numbers are append-only.
package enum SectionKind: UInt16, Hashable, Sendable, CaseIterable {
  case graph = 1
  case metadata = 2
  case tensor = 3

  package var name: String {
    switch self {
    case .graph: "graph"
    case .metadata: "metadata"
    case .tensor: "tensor"
    }
  }
}

/// How a section's bytes are stored; its numbers are append-only.
package enum Codec: Hashable, Sendable {
  case raw
  case zlib
  /// Byte planes of elements of 2 or 4 bytes, then zlib.
  case zlibPlanes(elementSize: Int)

  package init?(number: UInt8, elementSize: UInt8) {
    switch (number, elementSize) {
    case (0, 0): self = .raw
    case (1, 0): self = .zlib
    case (2, 2), (2, 4): self = .zlibPlanes(elementSize: Int(elementSize))
    default: return nil
    }
  }

  package var number: UInt8 {
    switch self {
    case .raw: 0
    case .zlib: 1
    case .zlibPlanes: 2
    }
  }

  package var elementSize: UInt8 {
    switch self {
    case .raw, .zlib: 0
    case .zlibPlanes(let size): UInt8(truncatingIfNeeded: size)
    }
  }

  package var name: String {
    switch self {
    case .raw: "raw"
    case .zlib: "zlib"
    case .zlibPlanes: "zlib-planes"
    }
  }

  var order: ByteOrder {
    switch self {
    case .raw, .zlib: .plain
    case .zlibPlanes(let size): .planes(elementSize: size)
    }
  }
}

/// One entry of the index: 48 bytes.
///
///     0 offset   8 stored length   16 raw length   24 stored CRC   28 raw CRC
///     32 id   36 kind   38 codec   39 flags   40 element size   41 reserved
package struct Section: Hashable, Sendable {
  package var offset: Int
  package var storedLength: Int
  package var rawLength: Int
  /// CRC of ``seed(_:)`` and the stored bytes.
  package var storedChecksum: UInt32
  package var rawChecksum: UInt32
  package var id: Int
  /// The kind's number, which may be unknown in an optional section.
  package var kindNumber: UInt16
  package var codec: Codec
  /// Whether readers that do not know the kind may go on.
  package var isOptional: Bool

  package static let entrySize = 48

  package var kind: SectionKind? { SectionKind(rawValue: kindNumber) }
  /// One past the last stored byte.
  package var end: Int { offset + storedLength }
  package var place: String { "section \(id) (\(kind?.name ?? "kind \(kindNumber)"))" }

  /// The entry's bytes.
  package var bytes: [UInt8] {
    var writer = ByteWriter()
    writer.write(UInt64(offset))
    writer.write(UInt64(storedLength))
    writer.write(UInt64(rawLength))
    writer.write(storedChecksum)
    writer.write(rawChecksum)
    writer.write(UInt32(id))
    writer.write(kindNumber)
    writer.write(codec.number)
    writer.write(UInt8(isOptional ? 1 : 0))
    writer.write(codec.elementSize)
    writer.writeZeros(7)
    return writer.bytes
  }

  /// What the stored bytes' CRC starts with, so that a section that moved fails it.
  package func seed(_ identifier: [UInt8]) -> CRC32 {
    var writer = ByteWriter()
    writer.write(identifier)
    writer.write(UInt64(rawLength))
    writer.write(UInt32(id))
    writer.write(kindNumber)
    writer.write(codec.number)
    writer.write(codec.elementSize)
    return CRC32(writer.bytes)
  }

  /// The identifier of a file with these sections.
  package static func identifier(of sections: [Section]) -> [UInt8] {
    var hash = SHA256()
    for section in sections {
      var writer = ByteWriter()
      writer.write(section.kindNumber)
      writer.write(UInt8(section.isOptional ? 1 : 0))
      writer.writeZeros(5)
      writer.write(UInt64(section.rawLength))
      writer.write(section.rawChecksum)
      writer.writeZeros(4)
      unsafe hash.update(writer.bytes.span.bytes)
    }
    var result = Array(hash.finish()[..<16])
    result[6] = result[6] & 0x0F | 0x80
    result[8] = result[8] & 0x3F | 0x80
    return result
  }
}

extension Section {
  /// Reads the entry at a position of the index and checks all that does not need the section's bytes.
  ///
  /// - Parameters:
  ///   - reader: At the entry.
  ///   - position: The entry's number.
  ///   - expectedOffset: Where the section must begin.
  ///   - fileLength: Bytes of the file.
  /// - Throws: A refusal under Q6, Q7, Q9 or Q16.
  init(
    _ reader: inout ByteReader,
    position: Int,
    expectedOffset: Int,
    fileLength: Int
  ) throws(Refusal) {
    let place = "index entry \(position)"
    guard let offset: UInt64 = reader.read(), let stored: UInt64 = reader.read(),
      let raw: UInt64 = reader.read(), let storedChecksum: UInt32 = reader.read(),
      let rawChecksum: UInt32 = reader.read(), let id: UInt32 = reader.read(),
      let kind: UInt16 = reader.read(), let codecNumber: UInt8 = reader.read(),
      let flags: UInt8 = reader.read(), let elementSize: UInt8 = reader.read(), let tail = reader.skip(7)
    else { throw malformed(place, "Q6", "is cut off") }
    guard tail.allSatisfy({ reader.bytes.byte($0) == 0 }), flags & ~1 == 0 else {
      throw malformed(place, "Q16", "has a reserved field that is not 0")
    }
    guard Int(id) == position else { throw malformed(place, "Q6", "has id \(id)") }
    guard offset == UInt64(expectedOffset) else {
      throw malformed(place, "Q6", "begins at \(offset), must begin at \(expectedOffset)")
    }
    guard let storedLength = Int(exactly: stored), expectedOffset <= fileLength,
      storedLength <= fileLength - expectedOffset
    else { throw malformed(place, "Q6", "has \(stored) bytes, which go beyond the file") }
    guard let rawLength = Int(exactly: raw), rawLength <= Section.largestTotal else {
      throw malformed(place, "Q7", "has \(raw) raw bytes, at most \(Section.largestTotal) are allowed")
    }
    guard let codec = Codec(number: codecNumber, elementSize: elementSize) else {
      throw malformed(
        place,
        "Q7",
        "has codec \(codecNumber) with element size \(elementSize), which is not known"
      )
    }
    self.offset = expectedOffset
    self.storedLength = storedLength
    self.rawLength = rawLength
    self.storedChecksum = storedChecksum
    self.rawChecksum = rawChecksum
    self.id = position
    self.kindNumber = kind
    self.codec = codec
    isOptional = flags & 1 == 1
    try checkKind(place)
    try checkSizes(place)
  }

  /// Bytes of all sections together after decompression.
  static let largestTotal = 1 << 41

  private func checkKind(_ place: String) throws(Refusal) {
    guard let kind else {
      guard isOptional else {
        throw Refusal(
          .unsupported,
          at: place,
          rule: "Q9",
          "has kind \(kindNumber), which is not known and not optional",
          remedy: "use a newer qconvert"
        )
      }
      return
    }
    guard !isOptional else {
      throw malformed(place, "Q9", "is marked optional, but is a \(kind.name) section")
    }
    let isInPlace =
      switch kind {
      case .graph: id == 0
      case .metadata: id == 1
      case .tensor: id >= 2
      }
    guard isInPlace else {
      throw malformed(place, "Q9", "is a \(kind.name) section, which does not belong there")
    }
  }

  private func checkSizes(_ place: String) throws(Refusal) {
    switch codec {
    case .raw:
      guard rawLength == storedLength else {
        throw malformed(
          place,
          "Q7",
          "has \(storedLength) stored bytes, but \(rawLength) raw ones without a codec"
        )
      }
    case .zlib, .zlibPlanes:
      guard Inflate.isPlausible(raw: rawLength, stored: storedLength),
        rawLength % max(Int(codec.elementSize), 1) == 0
      else {
        throw malformed(place, "Q7", "cannot hold \(rawLength) raw bytes in \(storedLength) stored ones")
      }
      guard kind == .tensor || rawLength <= Section.largestMessage(stored: storedLength) else {
        throw malformed(place, "L11", "has \(rawLength) raw bytes in \(storedLength) stored ones")
      }
    }
  }

  /// The most raw bytes of a compressed graph or metadata section.
  static func largestMessage(stored: Int) -> Int {
    guard let scaled = Checked.product(stored, 64), let bound = Checked.sum(scaled, 64 << 20) else {
      return .max
    }
    return bound
  }
}
