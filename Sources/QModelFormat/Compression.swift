import BinaryIO
import GraphIR

/// One way to compress a section.
struct Compression: Hashable {
  let codec: Codec
  let strategy: Deflate.Strategy

  init(_ codec: Codec, _ strategy: Deflate.Strategy) {
    self.codec = codec
    self.strategy = strategy
  }

  /// The ways worth trying for elements of a type: floats of 2 and 4 bytes also by planes.
  static func candidates(for dtype: DType) -> [Compression] {
    var codecs = [Codec.zlib]
    if dtype.isFloatingPoint, dtype.size == 2 || dtype.size == 4 {
      codecs.append(.zlibPlanes(elementSize: dtype.size))
    }
    return codecs.flatMap { codec in Deflate.Strategy.allCases.map { Compression(codec, $0) } }
  }

  /// The candidate with the smallest result, and its size; nil when none is smaller than the raw bytes.
  ///
  /// Sizes are measured without keeping the result, so that memory does not grow with the section.
  ///
  /// - Throws: A refusal when memory runs out.
  static func best(
    _ bytes: ByteSlice,
    candidates: [Compression]
  ) throws(Refusal) -> (compression: Compression, size: Int)? {
    var best: (compression: Compression, size: Int)?
    for candidate in candidates {
      let bound = best?.size ?? bytes.count
      var size = 0
      let isComplete = try Deflate.compress(
        bytes,
        order: candidate.codec.order,
        strategy: candidate.strategy
      ) { (piece) throws(Refusal) in
        size += piece.byteCount
        return size < bound
      }
      if isComplete { best = (candidate, size) }
    }
    return best
  }
}
