package import BinaryIO
import Glibc

/// A .qmodel file, opened: header and index are checked, sections are read on demand.
package struct QModelFile: Sendable {
  /// As the user named it.
  package let path: String
  package let header: Header
  package let sections: [Section]
  /// The whole file.
  package let bytes: ByteSlice

  /// Whether bytes begin as those of a .qmodel file do.
  package static func hasMagic(_ bytes: RawSpan) -> Bool {
    Header.magic.indices.allSatisfy { bytes.byte($0) == Header.magic[$0] }
  }

  /// Maps a file and checks header, index and padding.
  ///
  /// - Parameters:
  ///   - path: The file.
  ///   - limits: Bounds on the number of sections.
  /// - Throws: A refusal under Q1-Q3, Q6, Q7, Q9, Q15 or Q16.
  package static func open(_ path: String, limits: Limits = .standard) throws(Refusal) -> QModelFile {
    do { return try QModelFile(path, try MappedFile.open(path), limits) } catch { throw error.inFile(path) }
  }

  /// As ``open(_:limits:)``, for bytes that are in memory.
  package static func parse(_ bytes: ByteSlice, limits: Limits = .standard) throws(Refusal) -> QModelFile {
    try QModelFile("", bytes, limits)
  }

  private init(_ path: String, _ bytes: ByteSlice, _ limits: Limits) throws(Refusal) {
    self.path = path
    self.bytes = bytes
    let (header, sections) = try bytes.withBytes { (span) throws(Refusal) in
      let header = try Header(span, length: bytes.count)
      return (header, try QModelFile.index(span, header, limits))
    }
    self.header = header
    self.sections = sections
  }

  private static func index(
    _ span: RawSpan,
    _ header: Header,
    _ limits: Limits
  ) throws(Refusal) -> [Section] {
    let count = header.sectionCount
    guard count >= 2, count <= Checked.sum(limits.objects, 2) ?? .max else {
      throw malformed("header", "L5", "names \(count) sections, 2 to \(limits.objects + 2) are allowed")
    }
    guard let size = Checked.product(count, Section.entrySize), size <= span.byteCount - Header.size else {
      throw malformed("index", "Q3", "has \(count) entries, which go beyond the file")
    }
    let end = Header.size + size
    let index = span.extracting(Header.size..<end)
    var checksum = CRC32()
    checksum.update(index)
    guard checksum.value == header.indexChecksum else {
      let found = hex(checksum.value)
      throw malformed("index", "Q3", "has CRC \(found), \(hex(header.indexChecksum)) is recorded")
    }
    let sections = try entries(index, count, fileLength: span.byteCount)
    try checkPadding(span, from: end, sections)
    guard Section.identifier(of: sections) == header.identifier else {
      throw malformed("header", "Q1", "has an identifier that does not follow from the index")
    }
    return sections
  }

  private static func entries(
    _ index: RawSpan,
    _ count: Int,
    fileLength: Int
  ) throws(Refusal) -> [Section] {
    var reader = ByteReader(index)
    var sections: [Section] = []
    sections.reserveCapacity(count)
    var end = Header.size + count * Section.entrySize
    var total = 0
    for position in 0..<count {
      let start = Checked.roundUp(end, to: Header.alignment) ?? .max
      let section = try Section(&reader, position: position, expectedOffset: start, fileLength: fileLength)
      guard let sum = Checked.sum(total, section.rawLength), sum <= Section.largestTotal else {
        throw malformed("index", "Q7", "names more than \(Section.largestTotal) raw bytes")
      }
      total = sum
      end = section.end
      sections.append(section)
    }
    guard sections[0].kind == .graph, sections[1].kind == .metadata else {
      throw malformed("index", "Q9", "does not begin with the graph and the metadata section")
    }
    guard end == fileLength else {
      throw malformed(
        "byte \(end)",
        "Q15",
        "is followed by \(fileLength - end) bytes that belong to no section"
      )
    }
    return sections
  }

  private static func checkPadding(_ span: RawSpan, from start: Int, _ sections: [Section]) throws(Refusal) {
    var end = start
    for section in sections {
      for offset in end..<section.offset where span.byte(offset) != 0 {
        throw malformed("byte \(offset)", "Q3", "is padding, but not 0")
      }
      end = section.end
    }
  }
}

extension QModelFile {
  /// Constants of at most so many bytes are stored inside the graph section.
  package static let inlineBytes = 64

  /// Zero bytes between index and sections.
  package var paddingBytes: Int {
    bytes.count - Header.size - sections.count * Section.entrySize - sections.map(\.storedLength).reduce(0, +)
  }

  /// The content identifier in UUID notation.
  package var identifierText: String {
    let digits = header.identifier.map { byte in
      let text = String(byte, radix: 16)
      return text.count == 1 ? "0" + text : text
    }.joined()
    var result = ""
    for (index, digit) in digits.enumerated() {
      if [8, 12, 16, 20].contains(index) { result.append("-") }
      result.append(digit)
    }
    return result
  }

  /// The raw bytes of a section, whose checksums are verified: a slice of the mapping, or decompressed.
  ///
  /// - Parameters:
  ///   - section: One of ``sections``.
  ///   - allocator: Where decompressed bytes live.
  /// - Throws: A refusal under Q3, Q4, Q5 or Q7, or when memory runs out.
  package func read(_ section: Section, in allocator: StorageAllocator = .heap) throws(Refusal) -> ByteSlice {
    let stored = try checkStored(section)
    switch section.codec {
    case .raw: return stored
    case .zlib, .zlibPlanes:
      let inflated = try Inflate.decompress(
        stored,
        count: section.rawLength,
        order: section.codec.order,
        in: allocator
      )
      guard let inflated else {
        throw malformed(section.place, "Q7", "is no zlib stream of exactly \(section.rawLength) raw bytes")
      }
      let checksum = CRC32(inflated).value
      guard checksum == section.rawChecksum else {
        throw malformed(
          section.place,
          "Q5",
          "has raw CRC \(hex(checksum)), \(hex(section.rawChecksum)) is recorded"
        )
      }
      return inflated
    }
  }

  /// Verifies the stored bytes of a section.
  ///
  /// - Returns: The stored bytes.
  /// - Throws: A refusal under Q3, Q4 or Q5.
  @discardableResult
  package func checkStored(_ section: Section) throws(Refusal) -> ByteSlice {
    guard let stored = bytes.slice(section.offset..<section.end) else {
      throw malformed(section.place, "Q6", "goes beyond the file")
    }
    let plain = CRC32(stored)
    let checksum = section.seed(header.identifier).followed(by: plain).value
    guard checksum == section.storedChecksum else {
      throw malformed(
        section.place,
        "Q4",
        "at byte \(section.offset) has CRC \(hex(checksum)), \(hex(section.storedChecksum)) is recorded"
      )
    }
    guard section.codec != .raw || plain.value == section.rawChecksum else {
      throw malformed(section.place, "Q5", "has a raw CRC that is not that of its bytes")
    }
    if stored.count >= QModelFile.releaseThreshold { stored.storage.releasePages(stored.range) }
    return stored
  }

  /// Sections from this size on leave the resident memory after they were checked, until they are used.
  private static let releaseThreshold = 1 << 20

  /// Refuses to decompress more than the machine's memory can hold.
  ///
  /// - Throws: A refusal under L11.
  func checkMemory() throws(Refusal) {
    let pages = sysconf(Int32(_SC_PHYS_PAGES))
    let size = sysconf(Int32(_SC_PAGESIZE))
    guard pages > 0, size > 0, let memory = Checked.product(pages, size) else { return }
    let needed = sections.filter { $0.codec != .raw }.map(\.rawLength).reduce(0, +)
    guard needed <= memory else {
      throw Refusal(
        .limit,
        at: "index",
        rule: "L11",
        "holds \(needed) bytes after decompression, more than the machine's memory of \(memory) bytes",
        remedy: "convert the model again without --compress, so that it is mapped instead"
      )
    }
  }
}
