import BinaryIO
import GraphIR

/// Text encoders in transformers' BERT, RoBERTa and DistilBERT layouts, among them MiniLM and what sentence-transformers makes of
/// them.
///
/// Inputs are `input_ids`, `attention_mask` and, in BERT, `token_type_ids`, i64 `[batch, length]`; RoBERTa counts positions as if
/// no padding stood before a token. Results are
/// `last_hidden_state`, and beside the modules of a sentence encoder `sentence_embedding`; with a pooling layer
/// `pooler_output`, with a classifier `logits`. Heads are those of the settings, or 64 channels wide for the widths
/// that BERT was published in. What pre-training adds is left out.
enum BERT {
  static let all = [Architecture("bert", preprocessing: nil, describe: describe)]

  @Sendable
  private static func describe(_ net: inout Network) {
    let shape = net.shape(Shape.init)
    check(&net, shape)
    let type = TensorType(.int64, [.symbol("batch"), .symbol("length")])
    let ids = net.input("input_ids", type)
    let mask = net.input("attention_mask", type)
    let kinds = shape.layout == .bert ? net.input("token_type_ids", type) : nil
    let weights = net.cast("attention_mask.f32", mask)
    let bias = maskBias(&net, weights)
    var x = embed(&net, ids, kinds, shape)
    for index in 0..<shape.depth {
      x = layer(&net, "\(shape.prefix)\(shape.layout.layer(index))", x, bias, shape)
    }
    net.output("last_hidden_state", x)
    BERTHead(shape: shape, state: x, weights: weights).describe(&net)
  }

  /// What a checkpoint tells; standard values where it does not.
  struct Shape {
    let prefix: String
    let layout: BERTLayout
    let width: Int
    let words: Int
    let positions: Int
    let kinds: Int
    let depth: Int
    let heads: Int?
    let epsilon: Float
    let settings: ModelSettings
    /// What normalisations call their parameters.
    let normNames: [String]

    /// The published sizes; their heads have 64 channels.
    private static let widths = [128, 256, 512, 768, 1024]

    init(_ checkpoint: Checkpoint) {
      let words = "embeddings.word_embeddings.weight"
      let prefix = BERTLayout.prefixes.first { checkpoint["\($0)\(words)"] != nil } ?? ""
      let layout = BERTLayout(checkpoint, prefix: prefix)
      (self.prefix, self.layout) = (prefix, layout)
      settings = checkpoint.settings
      width = checkpoint.extent("\(prefix)\(words)", axis: 1) ?? 768
      self.words = checkpoint.extent("\(prefix)\(words)", axis: 0) ?? 30_522
      positions = checkpoint.extent("\(prefix)embeddings.position_embeddings.weight", axis: 0) ?? 512
      kinds =
        checkpoint.extent("\(prefix)embeddings.token_type_embeddings.weight", axis: 0)
        ?? (layout == .roberta ? 1 : 2)
      let count = checkpoint.blockCount { "\(prefix)\(layout.layer($0)).\(layout.names.query).weight" }
      depth = count == 0 ? 12 : count
      epsilon = checkpoint.settings.epsilon ?? layout.epsilon
      normNames =
        checkpoint["\(prefix)embeddings.LayerNorm.gamma"] == nil ? ["weight", "bias"] : ["gamma", "beta"]
      if let heads = checkpoint.settings.heads, checkpoint.settings.width ?? width == width {
        self.heads = heads > 0 && width % heads == 0 ? heads : nil
      } else {
        heads = Shape.widths.contains(width) ? width / 64 : nil
      }
    }
  }

  /// Refuses what no tensor tells.
  private static func check(_ net: inout Network, _ shape: Shape) {
    if shape.heads == nil {
      net.refuse(
        "the attention heads of an encoder \(shape.width) channels wide are not known",
        remedy:
          "put the network's config.json, whose num_attention_heads divides \(shape.width), beside the checkpoint"
      )
    }
    let activation = shape.settings.activation ?? "gelu"
    if !Network.geluNames.contains(activation) {
      net.refuse(
        "its activation is \(Refusal.quoted(activation)), known are \(Network.geluNames.joined(separator: ", "))",
        remedy: "export the network to ONNX"
      )
    }
    if let positions = shape.settings.positions, positions != "absolute" {
      net.refuse(
        "its positions are \(Refusal.quoted(positions)), known are \"absolute\"",
        remedy: "export the network to ONNX"
      )
    }
    let prefix = shape.prefix
    net.ignore(["\(prefix)embeddings.position_ids"])
    net.ignore(
      net.checkpoint.entries.map(\.name).filter { name in
        shape.layout.pretraining.contains { name.hasPrefix($0) }
      }
    )
  }

  /// 0 where a token counts, the least float where it does not: `[batch, 1, 1, length]`.
  private static func maskBias(_ net: inout Network, _ weights: Feature) -> Feature {
    let open = net.unsqueeze("attention_mask.spread", weights, axes: [1, 2])
    let shifted = net.shifted("attention_mask.shifted", open, by: -1)
    return net.scaled("attention_mask.bias", shifted, by: Float.greatestFiniteMagnitude)
  }

  private static func embed(
    _ net: inout Network,
    _ ids: Feature,
    _ kinds: Feature?,
    _ shape: Shape
  ) -> Feature {
    let prefix = "\(shape.prefix)embeddings"
    func table(_ name: String, _ rows: Int) -> Feature {
      Feature(parameter: Network.Demand(name: "\(prefix).\(name).weight", shape: [rows, shape.width]))
    }
    let words = net.gather("\(prefix).words", table("word_embeddings", shape.words), ids)
    var sum = words
    if shape.layout != .distilbert {
      let table = table("token_type_embeddings", shape.kinds)
      let types = kinds.map { net.gather("\(prefix).types", table, $0) }
      sum = net.sum("\(prefix).typed", words, types ?? net.slice("\(prefix).type", table, 0..<1, axis: 0))
    }
    let places = net.indices("\(prefix).places", of: ids, axis: 1)
    var rows = table("position_embeddings", shape.positions)
    let first = shape.layout.firstPosition
    if first > 0 {
      rows = net.slice("\(prefix).rows", rows, first..<max(shape.positions, first + 1), axis: 0)
    }
    let positions = net.gather("\(prefix).positions", rows, places)
    return norm(&net, "\(prefix).LayerNorm", net.sum("\(prefix).sum", sum, positions), shape)
  }

  private static func norm(_ net: inout Network, _ name: String, _ x: Feature, _ shape: Shape) -> Feature {
    net.layerNorm(name, x, epsilon: shape.epsilon, parameters: shape.normNames)
  }

  /// Attention and perceptron, each added to its input and normalised.
  private static func layer(
    _ net: inout Network,
    _ name: String,
    _ x: Feature,
    _ mask: Feature,
    _ shape: Shape
  ) -> Feature {
    let names = shape.layout.names
    let attention = Attention(name: "\(name).attention", width: shape.width, heads: shape.heads ?? 1)
    var y = attention.describe(
      &net,
      query: net.linear("\(name).\(names.query)", x, shape.width),
      key: net.linear("\(name).\(names.key)", x, shape.width),
      value: net.linear("\(name).\(names.value)", x, shape.width),
      mask: mask
    )
    y = net.linear("\(name).\(names.projection)", y, shape.width)
    let middle = norm(&net, "\(name).\(names.attentionNorm)", net.sum("\(name).attention.add", y, x), shape)
    let first = "\(name).\(names.expansion)"
    y = net.linear(first, middle, net.width(first, standard: 4 * shape.width))
    y = net.gelu("\(name).intermediate.act", y, named: shape.settings.activation)
    y = net.linear("\(name).\(names.contraction)", y, shape.width)
    return norm(&net, "\(name).\(names.norm)", net.sum("\(name).add", y, middle), shape)
  }
}

/// What an encoder makes of the states of its tokens.
struct BERTHead {
  let shape: BERT.Shape
  /// `[batch, length, width]`.
  let state: Feature
  /// 1 for tokens that count, otherwise 0: `[batch, length]`.
  let weights: Feature

  func describe(_ net: inout Network) {
    let pooler = "\(shape.prefix)pooler.dense"
    if let head = shape.settings.sentence {
      net.ignore(["\(pooler).weight", "\(pooler).bias"])
      sentence(&net, head)
      return
    }
    var features = state
    if net.has("\(pooler).weight") {
      features = net.tanh("\(pooler).tanh", net.linear(pooler, token(&net), shape.width))
      net.output("pooler_output", features)
    }
    if net.has("classifier.weight") {
      if net.has("pre_classifier.weight") {
        let hidden = net.linear("pre_classifier", token(&net), shape.width)
        features = net.relu("pre_classifier.relu", hidden)
      }
      net.output("logits", net.classifier("classifier", features, standard: 2))
    } else if net.has("classifier.out_proj.weight") {
      let hidden = net.tanh("classifier.tanh", net.linear("classifier.dense", token(&net), shape.width))
      net.output("logits", net.classifier("classifier.out_proj", hidden, standard: 2))
    } else if net.has("qa_outputs.weight") {
      net.output("logits", net.classifier("qa_outputs", state, standard: 2))
    }
  }

  /// The first token: `[batch, width]`.
  private func token(_ net: inout Network) -> Feature {
    net.reshape("token.flat", net.slice("token", state, 0..<1, axis: 1), [0, shape.width])
  }

  private func sentence(_ net: inout Network, _ head: ModelSettings.SentenceHead) {
    if let module = head.unknownModule {
      net.refuse(
        "its module \(Refusal.quoted(module)) is not known",
        remedy: "export the sentence encoder to ONNX"
      )
    }
    var y: Feature
    switch head.pooling {
    case "cls": y = token(&net)
    case "mean": y = mean(&net)
    default:
      net.refuse(
        "its pooling is \(Refusal.quoted(head.pooling)), known are \"mean\" and \"cls\"",
        remedy: "export the sentence encoder to ONNX"
      )
      return
    }
    if head.normalizes {
      let length = net.reduce("sentence.length", .l2, y, axis: 1)
      y = net.quotient("sentence.unit", y, net.atLeast("sentence.bounded", length, 1e-12))
    }
    net.output("sentence_embedding", y)
  }

  /// The mean of the tokens that count; 0 where none does.
  private func mean(_ net: inout Network) -> Feature {
    let spread = net.unsqueeze("sentence.weights", weights, axes: [2])
    let weighted = net.product("sentence.weighted", state, spread)
    let sum = net.reduce("sentence.sum", .sum, weighted, axis: 1, keepsAxis: false)
    let count = net.atLeast("sentence.count", net.reduce("sentence.tokens", .sum, weights, axis: 1), 1e-9)
    return net.quotient("sentence.mean", sum, count)
  }
}
