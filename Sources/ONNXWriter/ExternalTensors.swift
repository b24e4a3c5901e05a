import BinaryIO

/// A file beside the model with the tensors that are too large for it.
struct ExternalTensors {
  /// Tensors below stay in the model.
  static let leastBytes = 1_024
  /// Tensors begin at multiples of it.
  static let alignment = 64

  /// The file as the model names it, relative to its own folder.
  let location: String
  /// Where each constant begins; nil for one that stays in the model.
  private(set) var offsets: [Int?] = []

  /// Writes the file.
  init(_ constants: [ONNXConstant], path: String) throws(Refusal) {
    location = path.split(separator: "/").last.map(String.init) ?? path
    var file = try AtomicFile(path)
    for constant in constants {
      guard constant.bytes.count >= ExternalTensors.leastBytes else {
        offsets.append(nil)
        continue
      }
      try file.align(to: ExternalTensors.alignment)
      offsets.append(file.size)
      try file.write(constant.bytes)
      constant.bytes.storage.releasePages(constant.bytes.range)
    }
    try file.commit { _ in }
  }
}
