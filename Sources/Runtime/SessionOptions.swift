internal import Glibc

/// How a ``Session`` runs.
public struct SessionOptions: Sendable {
  /// Which executor runs the steps.
  public enum ExecutorKind: String, Hashable, Sendable, CaseIterable {
    /// The fast one.
    case plan
    /// The plain one that the other is tested against.
    case reference
  }

  public var threads: Int
  public var executor: ExecutorKind
  /// Most bytes of activations alive at one time; a network that needs more is refused before it runs (L12).
  public var memoryLimit: Int

  /// - Parameters:
  ///   - threads: Threads used by the executor, at least 1.
  ///   - executor: Which executor runs the steps.
  ///   - memoryLimit: Most bytes of activations; nil: the machine's memory.
  public init(threads: Int = 1, executor: ExecutorKind = .plan, memoryLimit: Int? = nil) {
    self.threads = max(1, threads)
    self.executor = executor
    self.memoryLimit = memoryLimit ?? SessionOptions.physicalMemory
  }

  /// Bytes of memory the machine has.
  public static var physicalMemory: Int {
    let pages = sysconf(Int32(_SC_PHYS_PAGES))
    let size = sysconf(Int32(_SC_PAGESIZE))
    return pages > 0 && size > 0 ? pages * size : 1 << 32
  }
}
