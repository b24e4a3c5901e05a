import BinaryIO
import Glibc

/// The files beside a model that hold its large tensors (O50-O58).
///
/// Every file is mapped once. A location is resolved component by component below the model's folder, never through
/// a symbolic link, so that a model cannot reach files that do not belong to it.
final class ExternalData {
  /// Distinct files of one model (O54).
  static let maximumFiles = 10_000
  /// Bytes of a location (O51).
  static let maximumLocation = 1_024

  private struct File {
    let bytes: ByteSlice
    /// Ends of the tensors' ranges by their start, to tell shared ranges from overlapping ones.
    var ends: [Int: Int] = [:]
  }

  private let folder: String
  private let modelPath: String
  private var files: [String: File] = [:]

  /// - Parameter modelPath: The model that refers to the files.
  init(modelPath: String) {
    self.modelPath = modelPath
    folder = modelPath.lastIndex(of: "/").map { String(modelPath[...$0]) } ?? "."
  }

  /// The bytes that a tensor's `external_data` entries name.
  ///
  /// - Parameters:
  ///   - entries: Keys with values.
  ///   - expected: Bytes that the tensor's type and shape need.
  /// - Returns: A slice of the mapped file.
  /// - Throws: A refusal when an entry breaks a rule, or the file cannot be opened.
  func bytes(_ entries: [Proto.Entry], expected: Int) throws(Refusal) -> ByteSlice {
    var values: [String: String] = [:]
    for entry in entries {
      guard values.updateValue(entry.value, forKey: entry.key) == nil else {
        throw refusal("O50", "external data gives '\(Refusal.printable(entry.key))' twice")
      }
    }
    if values["checksum"] != nil {
      throw refusal(
        "O56",
        "external data has a checksum, which qconvert cannot verify",
        .unsupported,
        remedy: "save the external data again without checksums"
      )
    }
    guard let location = values["location"] else { throw refusal("O51", "external data has no location") }
    let components = try ExternalData.components(location)
    let offset = try number(values["offset"], "offset") ?? 0
    let length = try number(values["length"], "length") ?? expected
    guard length == expected else {
      throw refusal("O53", "external data has \(length) bytes, the tensor needs \(expected)")
    }
    return try slice(components, location, offset, length)
  }

  private func slice(
    _ components: [Substring],
    _ location: String,
    _ offset: Int,
    _ length: Int
  ) throws(Refusal) -> ByteSlice {
    let key = components.joined(separator: "/")
    let bytes = try file(key, components, location)
    guard offset <= bytes.count, length <= bytes.count - offset,
      let slice = bytes.slice(offset..<(offset + length))
    else {
      throw refusal(
        "O53",
        "external data \(Refusal.quoted(location)) has \(bytes.count) bytes, "
          + "\(length) at offset \(offset) are needed",
        remedy: "fetch the whole file; it seems to be cut off"
      )
    }
    guard length > 0 else { return slice }
    let end = offset + length
    guard files[key]?.ends.updateValue(end, forKey: offset) ?? end == end else { throw overlap(location) }
    return slice
  }

  /// The bytes of a file, mapped at its first use.
  private func file(_ key: String, _ components: [Substring], _ location: String) throws(Refusal) -> ByteSlice
  {
    if let known = files[key] { return known.bytes }
    guard files.count < ExternalData.maximumFiles else {
      throw refusal("O54", "the model has more than \(ExternalData.maximumFiles) external files", .limit)
    }
    let bytes = try open(components, location)
    files[key] = File(bytes: bytes)
    return bytes
  }

  /// Checks that ranges of different tensors are identical or apart (O55).
  ///
  /// - Throws: A refusal when two overlap.
  func checkRanges() throws(Refusal) {
    for location in files.keys.sorted() {
      var reached = 0
      for (start, end) in (files[location]?.ends ?? [:]).sorted(by: { $0.key < $1.key }) {
        guard start >= reached else { throw overlap(location) }
        reached = end
      }
    }
  }

  // MARK: Locations

  /// The components of a location that stays below the model's folder.
  static func components(_ location: String) throws(Refusal) -> [Substring] {
    if location.hasPrefix("*/_ORT_MEM_ADDR_") {
      throw locationRefusal("O58", location, "is an address in another program's memory")
    }
    guard !location.isEmpty, location.utf8.count <= maximumLocation else {
      throw locationRefusal(
        "O51",
        location,
        "has \(location.utf8.count) bytes, must be 1 to \(maximumLocation)"
      )
    }
    guard !location.hasPrefix("/"), !location.utf8.contains(UInt8(ascii: "\\")),
      location.utf8.dropFirst().first != UInt8(ascii: ":")
    else { throw locationRefusal("O51", location, "is not relative to the model's folder") }
    let components = location.split(separator: "/", omittingEmptySubsequences: true).filter { $0 != "." }
    guard !components.isEmpty, !components.contains("..") else {
      throw locationRefusal("O51", location, "leaves the model's folder")
    }
    return components
  }

  private func number(_ text: String?, _ name: String) throws(Refusal) -> Int? {
    guard let text else { return nil }
    guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int(text) else {
      throw refusal("O53", "external data has the \(name) \(Refusal.quoted(text)), must be a plain number")
    }
    return value
  }

  // MARK: Opening

  private func open(_ components: [Substring], _ location: String) throws(Refusal) -> ByteSlice {
    let place = "external data \(Refusal.quoted(location))"
    var descriptor = unsafe Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    for (index, component) in components.enumerated() where descriptor >= 0 {
      let isLast = index == components.count - 1
      let flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | (isLast ? O_NONBLOCK : O_DIRECTORY)
      let next = unsafe openat(descriptor, String(component), flags)
      let failure = errno
      close(descriptor)
      errno = failure
      descriptor = next
    }
    guard descriptor >= 0 else {
      let isLink = errno == ELOOP
      throw refusal(
        "O52",
        isLink ? "\(place) is a symbolic link" : "\(place) cannot be opened: \(lastError())",
        .unreadable,
        remedy: isLink ? "put the file itself beside the model" : "put the file beside the model"
      )
    }
    defer { close(descriptor) }
    try checkIdentity(descriptor, place)
    do { return try MappedFile.map(descriptor, path: modelPath, maximum: 1 << 41) } catch {
      throw error.at(place)
    }
  }

  private func checkIdentity(_ descriptor: Int32, _ place: String) throws(Refusal) {
    var status = stat()
    var model = stat()
    guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw refusal("O52", "\(place) is not a regular file", .unreadable)
    }
    guard status.st_nlink == 1 else {
      throw refusal(
        "O52",
        "\(place) has \(status.st_nlink) hard links, so that it may be another file in disguise",
        .unreadable,
        remedy: "copy the file"
      )
    }
    guard
      unsafe stat(modelPath, &model) != 0
        || (model.st_dev, model.st_ino) != (status.st_dev, status.st_ino)
    else { throw refusal("O57", "\(place) is the model itself") }
  }

  // MARK: Refusing

  private func overlap(_ location: String) -> Refusal {
    refusal("O55", "tensors share a part of external data \(Refusal.quoted(location))")
  }

  private func refusal(
    _ rule: String,
    _ problem: String,
    _ kind: Refusal.Kind = .invalid,
    remedy: String = "save the model's external data again"
  ) -> Refusal {
    Refusal(kind, at: "", rule: rule, problem, remedy: remedy)
  }

  private static func locationRefusal(_ rule: String, _ location: String, _ problem: String) -> Refusal {
    Refusal(
      .invalid,
      at: "external data \(Refusal.quoted(location))",
      rule: rule,
      problem,
      remedy: "save the model with external data in files beside it"
    )
  }
}
