internal import BinaryIO

/// An output file for text that is opened before the text is there, so that a wrong path is refused at once.
final class PlotFile {
  private var file: AtomicFile?

  init(_ path: String) throws(Refusal) { file = try AtomicFile(path) }

  /// Writes the file; only the first call does.
  func write(_ text: String) throws(Refusal) {
    guard var open = file.take() else { return }
    try open.write(Array(text.utf8))
    try open.commit()
  }
}
