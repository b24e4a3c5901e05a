internal import BinaryIO

/// A wish of the user to stop early, which is no error.
enum Interruption {
  /// - Throws: A refusal of the kind `interrupted` when `isInterrupted` says so.
  static func check(_ isInterrupted: () -> Bool) throws(Refusal) {
    guard isInterrupted() else { return }
    throw Refusal(.interrupted, at: "conversion", rule: "C7", "was interrupted", remedy: "run it again")
  }
}

extension QConvert {
  /// Lets the next SIGINT or SIGTERM be seen by ``isInterrupted`` in place of ending the process; the second one ends it.
  public static func catchInterrupts() { ProcessSignals.catchInterrupts() }

  /// Whether a signal came since ``catchInterrupts()``.
  public static var isInterrupted: Bool { ProcessSignals.isInterrupted }
}
