internal import GraphIR

/// Which family of networks the quantization is set up for.
public enum Preset: String, Sendable, CaseIterable {
  /// What the network contains decides.
  case auto
  /// One dynamic range per activation.
  case cnn
  /// One dynamic range per token in front of matrix products; normalisation, softmax, GELU, patch embeddings and a small
  /// classifier stay float. Activations are smoothed, and outlier columns stay float.
  case transformer

  /// The family that `graph`, simplified, belongs to, and why.
  func resolved(for graph: Graph) -> (preset: Preset, reason: String) {
    guard self == .auto else { return (self, "as asked") }
    var (norms, softmaxes, products) = (0, 0, 0)
    for id in graph.order {
      switch graph[id].op {
      case .layerNorm: norms += 1
      case .softmax: softmaxes += 1
      case .matMul: products += 1
      default: break
      }
    }
    guard norms > 0, softmaxes > 0, products > 1 else {
      return (.cnn, "the network has no attention with layer normalisation")
    }
    return (.transformer, "\(norms) layer normalisations and \(softmaxes) softmaxes between matrix products")
  }
}
