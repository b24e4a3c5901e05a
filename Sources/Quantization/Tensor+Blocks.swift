import BinaryIO
package import GraphIR

extension Tensor {
  /// Shows all elements in order, block by block, so that memory does not grow with the tensor.
  ///
  /// Blocks are aligned copies where the bytes are not aligned, as inside of an ONNX file, and the pages of a mapped tensor
  /// are released behind the last block. The body gets a block and the index of its first element.
  package func forEachBlock<Element: BitwiseCopyable>(
    of element: Element.Type,
    _ body: (UnsafeBufferPointer<Element>, Int) -> Void
  ) {
    let size = MemoryLayout<Element>.size
    precondition(size == dtype.size)
    let isAligned = bytes.isAligned(to: MemoryLayout<Element>.alignment)
    let scratch = UnsafeMutableRawBufferPointer.allocate(
      byteCount: isAligned ? 0 : min(bytes.count, blockBytes),
      alignment: 64
    )
    defer { unsafe scratch.deallocate() }
    var start = 0
    while start < bytes.count {
      let end = min(start + blockBytes, bytes.count)
      unsafe bytes.withUnsafeBytes { (raw) in
        let block = unsafe UnsafeRawBufferPointer(rebasing: raw[start..<end])
        if isAligned {
          unsafe body(block.bindMemory(to: Element.self), start / size)
        } else {
          unsafe scratch.copyMemory(from: block)
          let copy = unsafe UnsafeRawBufferPointer(start: scratch.baseAddress, count: block.count)
          unsafe body(copy.bindMemory(to: Element.self), start / size)
        }
      }
      releasePages(start..<end)
      start = end
    }
  }

  private func releasePages(_ range: Range<Int>) {
    let base = bytes.range.lowerBound
    bytes.storage.releasePages((base + range.lowerBound)..<(base + range.upperBound))
  }
}

/// Bytes of a block: large enough to be worth a loop, small enough for any machine.
private let blockBytes = 8 << 20
