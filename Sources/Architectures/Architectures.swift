public import BinaryIO
public import GraphIR

/// Turns bare weights into a graph, by the architecture that their names and shapes tell.
public enum Architectures {
  /// All that are known; among equally near ones the first is named.
  static let all: [Architecture] =
    ResNet.all + MobileNetV2.all + MobileNetV3.all + SqueezeNet.all + VGG.all + CIFARResNet.all
    + EfficientNetLite.all + VisionTransformer.all + BERT.all

  /// Names for `--arch`.
  public static var allNames: [String] { all.map(\.name) }

  /// The graph of a checkpoint: for images input `input: f32[batch, 3, H, W]` and output `output`.
  ///
  /// Constants carry the tensors' names and share their bytes; a tensor that is not f32 is cast in the graph.
  /// Prefixes of training wrappers (`module.`, `model.`, ...) are dropped where all names have them, and
  /// `num_batches_tracked` is ignored.
  ///
  /// - Parameters:
  ///   - checkpoint: The weights.
  ///   - named: One of ``allNames``; nil chooses the one that fits.
  /// - Returns: A graph with its architecture and usual preprocessing in the metadata.
  /// - Throws: A refusal that lists what is missing, misshapen or extra for the nearest architecture; one (S18) when
  ///   the tensors fit, but something else about the network is not known or not supported.
  public static func build(_ checkpoint: Checkpoint, named: String? = nil) throws(Refusal) -> Graph {
    let checkpoint = try checkpoint.unwrapped()
    let candidates = try candidates(named)
    let matches = candidates.map { Match($0, checkpoint) }
    guard let best = matches.min(by: { $0.problems < $1.problems }) else { throw unknown(named ?? "") }
    guard best.problems == 0 else { throw mismatch(best, checkpoint, named: named) }
    let fitting = matches.filter { $0.problems == 0 }.map(\.architecture.name)
    guard fitting.count == 1 else { throw ambiguous(fitting) }
    var graph = try best.network.graph(named: best.architecture.name)
    graph.metadata[MetadataKey.architecture] = best.architecture.name
    graph.metadata[MetadataKey.preprocessing] = best.network.preprocessing
    return graph
  }

  private static func candidates(_ name: String?) throws(Refusal) -> [Architecture] {
    guard let name else { return all }
    guard let architecture = all.first(where: { $0.name == name }) else { throw unknown(name) }
    return [architecture]
  }

  private static func unknown(_ name: String) -> Refusal {
    Refusal(
      .usage,
      at: "architecture \(Refusal.quoted(name))",
      rule: "S17",
      "is not known",
      remedy: "known are \(allNames.joined(separator: ", "))"
    )
  }

  private static func mismatch(_ match: Match, _ checkpoint: Checkpoint, named: String?) -> Refusal {
    guard named != nil || match.shared > 0 else {
      return Refusal(
        .unsupported,
        at: "checkpoint",
        rule: "S17",
        "has \(checkpoint.entries.count) tensors, none of which belongs to a known architecture",
        remedy: "export the model to ONNX; known are \(allNames.joined(separator: ", "))"
      )
    }
    let verb = named == nil ? "matches no architecture; the nearest is" : "does not match"
    return Refusal(
      .invalid,
      at: "checkpoint",
      rule: "S17",
      "\(verb) \(match.architecture.name), where tensors are \(match.report)",
      remedy: "save the checkpoint of the unchanged network, or export the model to ONNX"
    )
  }

  private static func ambiguous(_ names: [String]) -> Refusal {
    Refusal(
      .usage,
      at: "checkpoint",
      rule: "S17",
      "fits \(names.joined(separator: " and ")), whose tensors are the same but whose arithmetic is not",
      remedy: "choose with --arch \(names.joined(separator: " or --arch "))"
    )
  }
}
