import BinaryIO

/// A file of another kind that was given as an ONNX model (O8).
struct MistakenFile {
  let refusal: Refusal

  /// Nil when the first bytes could begin an ONNX model.
  init?(_ file: ByteSlice) {
    let head = file.withBytes { (bytes: RawSpan) in
      (0..<min(64, bytes.byteCount)).compactMap { bytes.byte($0) }
    }
    guard let (problem, remedy) = MistakenFile.find(head, size: file.count) else { return nil }
    refusal = Refusal(.invalid, at: "file", rule: "O8", problem, remedy: remedy)
  }

  private static func find(_ head: [UInt8], size: Int) -> (problem: String, remedy: String)? {
    let lowered = head.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
    func begins(_ text: String) -> Bool { lowered.starts(with: text.utf8) }
    if size == 0 { return ("is empty, not an ONNX model", "export or download the model again") }
    if head.starts(with: [0x50, 0x4B, 0x03, 0x04]) {
      return (
        "is a zip archive, such as a PyTorch checkpoint, not an ONNX model",
        "export the model with torch.onnx.export, or its weights as safetensors"
      )
    }
    if head.starts(with: [0x80, 0x02]) || head.starts(with: [0x80, 0x04]) {
      return (
        "is a Python pickle, such as an old PyTorch checkpoint, not an ONNX model",
        "export the model with torch.onnx.export, or its weights as safetensors"
      )
    }
    if begins("gguf") {
      return ("is a GGUF file, not an ONNX model", "convert the original model to ONNX or safetensors")
    }
    if begins("version https://git-lfs") {
      return ("is a Git LFS pointer, not the model itself", "fetch the model with 'git lfs pull'")
    }
    if begins("<!doctype") || begins("<html") || begins("<?xml") {
      return ("is a web page, not an ONNX model", "download the model itself, not the page about it")
    }
    if head.count > 8, head[8] == UInt8(ascii: "{"), head[4..<8].allSatisfy({ $0 == 0 }) {
      return ("is a safetensors file, not an ONNX model", "give it the extension .safetensors")
    }
    return nil
  }
}
