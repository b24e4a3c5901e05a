internal import CSignals

/// What a process that writes files should do about signals; for the start of `main`, not for libraries.
public enum ProcessSignals {
  /// Makes a closed pipe and a file size limit errors of the write, not the end of the process.
  public static func ignoreWriteSignals() { qc_ignore_write_signals() }

  /// Lets SIGINT, SIGTERM and SIGHUP remove unfinished outputs before the process ends.
  ///
  /// A SIGBUS, which a mapped input raises when another program truncates it, prints an error line and exits
  /// with 1.
  public static func removeTemporariesOnExit() {
    unsafe UnsafeRawPointer(truncationMessage.utf8Start).withMemoryRebound(to: CChar.self, capacity: 1) {
      unsafe qc_install_handlers($0)
    }
  }

  /// Lets the next SIGINT or SIGTERM be told by ``isInterrupted`` in place of ending the process; the one after that ends it.
  public static func catchInterrupts() { qc_catch_interrupts() }

  /// Whether a signal came since ``catchInterrupts()``.
  public static var isInterrupted: Bool { qc_is_interrupted() != 0 }

  private static var truncationMessage: StaticString {
    """
    qconvert: error: a file that is being read was truncated by another program [IO4]; \
    run again when the file is complete

    """
  }
}
