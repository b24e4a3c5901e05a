package import BinaryIO
package import GraphIR

/// Several samples, joined along the first axis of every input.
package struct Batch: Sendable {
  package var inputs: [String: Tensor]
  package var labels: [Int?]

  package var count: Int { labels.count }
}

extension Dataset {
  /// Reads the samples `range` and joins them.
  ///
  /// - Throws: A refusal when a sample cannot be read or has another shape than the first one.
  package func batch(_ range: Range<Int>) throws(Refusal) -> Batch {
    var samples: [Sample] = []
    for index in range { samples.append(try sample(index)) }
    guard let first = samples.first else { return Batch(inputs: [:], labels: []) }
    guard samples.count > 1 else { return Batch(inputs: first.inputs, labels: [first.label]) }
    var inputs: [String: Tensor] = [:]
    for name in first.inputs.keys.sorted() {
      var parts: [Tensor] = []
      for (offset, sample) in samples.enumerated() {
        guard let part = sample.inputs[name], part.type == first.inputs[name]?.type else {
          throw Refusal(
            .invalid,
            at: "sample \(Refusal.quoted(self.name(range.lowerBound + offset)))",
            rule: "D11",
            "has another shape than the sample before it",
            remedy: "give --resize HxW or --crop, so that all samples have one size"
          )
        }
        parts.append(part)
      }
      inputs[name] = try joined(parts)
    }
    return Batch(inputs: inputs, labels: samples.map(\.label))
  }

  private func joined(_ parts: [Tensor]) throws(Refusal) -> Tensor {
    let shape = [parts.reduce(0) { $0 + $1.shape[0] }] + parts[0].shape.dropFirst()
    let size = parts.reduce(0) { $0 + $1.bytes.count }
    let bytes = try unsafe ByteSlice.build(count: size) { (target) throws(Refusal) in
      var offset = 0
      for part in parts {
        unsafe part.bytes.withUnsafeBytes { source in
          unsafe UnsafeMutableRawBufferPointer(rebasing: target[offset...]).copyMemory(from: source)
        }
        offset += part.bytes.count
      }
    }
    guard let tensor = Tensor(parts[0].dtype, shape, bytes: bytes) else {
      throw Refusal(.invalid, at: "batch", rule: "D11", "cannot be joined", remedy: "use a batch of 1")
    }
    return tensor
  }
}
