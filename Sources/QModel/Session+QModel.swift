public import BinaryIO
@_exported public import GraphIR
internal import QModelFormat
@_exported public import Runtime

extension Session {
  /// Opens a `.qmodel` and makes it ready to run.
  ///
  /// ```swift
  /// let session = try Session(contentsOf: "net.qmodel")
  /// let outputs = try session.run(["input": Tensor(pixels, shape: [1, 3, 224, 224])])
  /// let logits = outputs["output"]?.floats
  /// ```
  ///
  /// - Parameters:
  ///   - path: The file; all checksums are verified.
  ///   - options: How it runs.
  /// - Throws: A refusal naming the file when it is damaged or cannot run.
  public convenience init(contentsOf path: String, options: SessionOptions = SessionOptions()) throws(Refusal)
  {
    do {
      try self.init(QModelReader.read(path), options: options)
    } catch {
      throw error.inFile(path)
    }
  }
}
