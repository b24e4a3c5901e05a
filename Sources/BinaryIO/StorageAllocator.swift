import Glibc

/// Decides where new tensor bytes live: on the heap, or, above a threshold, in an unlinked file.
///
/// A conversion creates weights as large as the model. With a spill folder the large ones live in unlinked temporary
/// files that are mapped, so that they are page cache the kernel can write back, not anonymous memory.
public struct StorageAllocator: Sendable {
  /// Folder of the spill files; nil keeps everything on the heap.
  let spillFolder: String?
  /// Blocks of at least this many bytes are spilled.
  let threshold: Int

  /// Everything on the heap.
  public static let heap = StorageAllocator(spillFolder: nil, threshold: .max)

  /// Blocks of 1 MiB and more go to unlinked files in `folder`.
  public static func spilling(to folder: String) -> StorageAllocator {
    StorageAllocator(spillFolder: folder, threshold: 1 << 20)
  }

  /// Zeroed storage of `count` bytes; falls back to the heap where the folder takes no file.
  package func allocate(count: Int) throws(Refusal) -> ByteStorage {
    guard let spillFolder, count >= threshold, let spilled = spill(count, in: spillFolder) else {
      return try ByteStorage.heap(count: count)
    }
    return spilled
  }

  private func spill(_ count: Int, in folder: String) -> ByteStorage? {
    let flags = temporaryFileFlag | O_RDWR | O_CLOEXEC
    let descriptor = unsafe open(folder.isEmpty ? "." : folder, flags, 0o600)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    guard posix_fallocate(descriptor, 0, off_t(count)) == 0 else { return nil }
    let base = unsafe mmap(nil, count, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    guard let base = unsafe base, unsafe base != MAP_FAILED else { return nil }
    return unsafe ByteStorage(owning: base, count: count, kind: .mapped)
  }
}

/// `O_TMPFILE`, which Glibc's module map does not export because it is a compound macro.
private let temporaryFileFlag: Int32 = 0o20000000 | O_DIRECTORY
