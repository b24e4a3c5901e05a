package import BinaryIO
private import CZip
package import GraphIR

/// NumPy's `.npz` format: a zip archive of `.npy` arrays, plain or deflated.
package enum NPZFile {
  /// The arrays of an archive.
  package struct Contents {
    /// Names of all arrays, in the archive's order, without `.npy`.
    package var names: [String]
    /// The arrays that were asked for, in the archive's order.
    package var arrays: [(name: String, tensor: Tensor)]
  }

  /// Deflate shrinks by less than this, so that a small file cannot ask for much memory.
  private static let largestRatio = 1040

  /// Reads the arrays whose names `isWanted` accepts.
  ///
  /// - Parameters:
  ///   - path: The archive; every entry must be an `.npy` file with a name of its own.
  ///   - allocator: Where the arrays live.
  ///   - isWanted: Chooses arrays by name.
  /// - Throws: A refusal naming the file, and the entry where one is damaged.
  package static func read(
    _ path: String,
    in allocator: StorageAllocator = .heap,
    where isWanted: (String) -> Bool = { _ in true }
  ) throws(Refusal) -> Contents {
    let fileSize = try MappedFile.open(path).count
    var code: Int32 = 0
    guard let archive = unsafe zip_open(path, ZIP_RDONLY | ZIP_CHECKCONS, &code) else {
      throw refusal(.invalid, path, "archive", "is no intact zip archive: \(text(of: code))", again)
    }
    defer { unsafe zip_discard(archive) }
    var contents = Contents(names: [], arrays: [])
    var seen = Set<String>()
    let count = unsafe zip_get_num_entries(archive, 0)
    guard count <= Limits.standard.objects else {
      throw refusal(.limit, path, "archive", "has \(count) entries", "split it")
    }
    for index in 0..<zip_uint64_t(max(0, count)) {
      var entry = unsafe zip_stat_t()
      unsafe zip_stat_init(&entry)
      guard unsafe zip_stat_index(archive, index, 0, &entry) == 0, let raw = unsafe entry.name,
        let fileName = unsafe String(validatingCString: raw)
      else { throw refusal(.invalid, path, "entry \(index)", "has no readable name", again) }
      let place = "entry \(Refusal.quoted(fileName))"
      guard fileName.hasSuffix(".npy"), seen.insert(fileName).inserted else {
        throw refusal(.invalid, path, place, "is no .npy array or occurs twice", again)
      }
      let name = String(fileName.dropLast(4))
      contents.names.append(name)
      guard isWanted(name) else { continue }
      do {
        let bytes = try unsafe inflate(archive, index, entry, fileSize: fileSize, in: allocator)
        contents.arrays.append((name, try NPYFile.read(bytes)))
      } catch { throw error.at(place).inFile(path) }
    }
    return contents
  }

  private static func inflate(
    _ archive: OpaquePointer,
    _ index: zip_uint64_t,
    _ entry: zip_stat_t,
    fileSize: Int,
    in allocator: StorageAllocator
  ) throws(Refusal) -> ByteSlice {
    let needed = zip_uint64_t(ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE)
    guard unsafe entry.valid & needed == needed, let size = unsafe Int(exactly: entry.size),
      let stored = unsafe Int(exactly: entry.comp_size), stored <= fileSize,
      let most = Checked.product(stored, largestRatio), size <= most + 64
    else { throw damaged("states sizes that cannot be") }
    guard let file = unsafe zip_fopen_index(archive, index, 0) else {
      throw damaged("cannot be opened: \(unsafe String(cString: zip_strerror(archive)))")
    }
    defer { unsafe zip_fclose(file) }
    return try unsafe ByteSlice.build(count: size, in: allocator) { (target) throws(Refusal) in
      var done = 0
      while done < size {
        let part = unsafe UnsafeMutableRawBufferPointer(rebasing: target[done...])
        guard let base = part.baseAddress else { break }
        let count = unsafe zip_fread(file, base, zip_uint64_t(part.count))
        guard count > 0 else { throw damaged("is cut off or damaged") }
        done += Int(count)
      }
      var extra: UInt8 = 0
      guard unsafe zip_fread(file, &extra, 1) == 0 else { throw damaged("does not match its checksum") }
    }
  }

  /// Writes arrays as an uncompressed archive: the same arrays give the same bytes.
  ///
  /// - Throws: A refusal when an element type has no `.npy` form or the file cannot be written.
  package static func write(_ arrays: [(name: String, tensor: Tensor)], to path: String) throws(Refusal) {
    var code: Int32 = 0
    guard let archive = unsafe zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code) else {
      throw refusal(.output, path, "archive", "cannot be created: \(text(of: code))", writable)
    }
    var isOpen = true
    defer { if isOpen { unsafe zip_discard(archive) } }
    var kept: [ByteSlice] = []
    for (name, tensor) in arrays {
      let header = try NPYFile.header(for: tensor)
      let slices = [
        try unsafe ByteSlice.build(count: header.count) { (target) throws(Refusal) in
          unsafe target.copyBytes(from: header)
        },
        tensor.bytes,
      ]
      kept += slices
      guard unsafe add(slices, as: name + ".npy", to: archive) else {
        throw refusal(
          .output,
          path,
          "array \(Refusal.quoted(name))",
          "cannot be added to the archive",
          writable
        )
      }
    }
    guard withExtendedLifetime(kept, { unsafe zip_close(archive) }) == 0 else {
      let problem = unsafe String(cString: zip_strerror(archive))
      throw refusal(.output, path, "archive", "cannot be written: \(problem)", writable)
    }
    isOpen = false
  }

  private static func add(_ slices: [ByteSlice], as name: String, to archive: OpaquePointer) -> Bool {
    var fragments = unsafe slices.map { slice in
      let start = unsafe (slice.storage.base + slice.range.lowerBound).assumingMemoryBound(
        to: zip_uint8_t.self
      )
      return unsafe zip_buffer_fragment_t(data: start, length: zip_uint64_t(slice.count))
    }
    let count = unsafe zip_uint64_t(fragments.count)
    guard let source = unsafe zip_source_buffer_fragment(archive, &fragments, count, 0) else { return false }
    let index = unsafe zip_file_add(archive, name, source, zip_flags_t(ZIP_FL_ENC_UTF_8))
    guard index >= 0 else {
      unsafe zip_source_free(source)
      return false
    }
    let entry = zip_uint64_t(index)
    let firstDay: zip_uint16_t = 0x21
    return unsafe zip_set_file_compression(archive, entry, ZIP_CM_STORE, 0) == 0
      && zip_file_set_dostime(archive, entry, 0, firstDay, 0) == 0
  }

  private static let again = "save it again with numpy.savez"
  private static let writable = "check the path, its permissions and the free space"

  private static func text(of code: Int32) -> String {
    var error = unsafe zip_error_t()
    unsafe zip_error_init_with_code(&error, code)
    defer { unsafe zip_error_fini(&error) }
    return unsafe String(cString: zip_error_strerror(&error))
  }

  private static func damaged(_ problem: String) -> Refusal {
    Refusal(.invalid, at: "array", rule: "D6", problem, remedy: again)
  }

  private static func refusal(
    _ kind: Refusal.Kind,
    _ path: String,
    _ place: String,
    _ problem: String,
    _ remedy: String
  ) -> Refusal {
    Refusal(kind, file: path, at: place, rule: "D6", problem, remedy: remedy)
  }
}
