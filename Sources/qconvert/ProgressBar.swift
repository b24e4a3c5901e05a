import Glibc

/// A progress line on standard error, drawn only when that is a terminal.
///
/// Not thread-safe: reports come from the thread that runs the work.
final class ProgressBar {
  private let label: String
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private let start = ContinuousClock.now
  private var drawn = -1

  init(_ label: String) { self.label = label }

  /// Shows `done` of `total` with the time that remains.
  func update(_ done: Int, of total: Int) {
    guard isTerminal, total > 0 else { return }
    let permille = done * 1000 / total
    guard permille != drawn else { return }
    drawn = permille
    let width = 30
    let filled = done * width / total
    let elapsed = Double((ContinuousClock.now - start).components.seconds)
    let rest = done > 0 ? Int(elapsed * Double(total - done) / Double(done)) : 0
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
    Output.error("\r\(label) [\(bar)] \(done)/\(total), \(rest) s left\u{1B}[K", terminator: "")
  }

  /// Removes the line.
  func finish() {
    guard isTerminal, drawn >= 0 else { return }
    Output.error("\r\u{1B}[K", terminator: "")
  }
}
