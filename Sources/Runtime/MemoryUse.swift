/// Bytes that a network ready to run holds, without the file it came from.
package struct MemoryUse: Hashable, Sendable {
  /// Packed weights, each once however many plans read them.
  package var weights = 0
  /// Per-channel parameters of kernels, and constants that are no weights.
  package var constants = 0
  /// Activations of all plans that run side by side.
  package var activations = 0
  /// Scratch of all threads.
  package var scratch = 0

  package init() {}

  package var total: Int { weights + constants + activations + scratch }
}
