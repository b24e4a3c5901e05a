import BinaryIO
import GraphIR

/// Vision transformers: ViT, DeiT and DINOv2, with and without registers and LayerScale, in the layouts of timm, of
/// transformers and of the DINOv2 repository.
///
/// Depth, widths, patch and input extent are those of the checkpoint; heads are those of its settings, otherwise 64
/// channels wide. The head is a classifier on the normalised class token (two of them, averaged, on class and
/// distillation token), or one of DINOv2 on the class tokens of the last blocks and the mean of the patches. Without a
/// head the result is the normalised class token.
enum VisionTransformer {
  static let all = [Architecture("vit", preprocessing: nil, describe: describe)]

  @Sendable
  private static func describe(_ net: inout Network) {
    let shape = net.shape(VisionShape.init)
    net.preprocessing = shape.preprocessing
    net.ignore(shape.names.dispensable)
    check(&net, shape)
    var x = embed(&net, net.imageInput(shape.size), shape)
    var states: [Feature] = []
    for block in shape.names.blocks {
      x = self.block(&net, block, x, shape)
      states.append(x)
    }
    VisionHead(shape: shape, states: states).describe(&net)
  }

  /// Refuses what no tensor tells.
  private static func check(_ net: inout Network, _ shape: VisionShape) {
    if shape.heads == nil {
      net.refuse(
        "the attention heads of a network \(shape.width) channels wide are not known",
        remedy:
          "put the network's config.json, whose num_attention_heads divides \(shape.width), beside the checkpoint"
      )
    }
    if shape.size.height % shape.patch != 0 || shape.size.width % shape.patch != 0 {
      net.refuse(
        "images of \(shape.size.height)x\(shape.size.width) pixels are no whole patches of \(shape.patch)",
        remedy: "give --input-size multiples of \(shape.patch)"
      )
    }
    if shape.grid.rows * shape.grid.columns > 1 << 16 {
      net.refuse("the input has more than 65536 patches", remedy: "give a smaller --input-size")
    }
    let activation = net.checkpoint.settings.activation ?? "gelu"
    if !Network.geluNames.contains(activation) {
      net.refuse(
        "its activation is \(Refusal.quoted(activation)), known are \(Network.geluNames.joined(separator: ", "))",
        remedy: "export the network to ONNX"
      )
    }
  }

  /// Patches as tokens, the tokens that all images share before them, positions added.
  private static func embed(_ net: inout Network, _ image: Feature, _ shape: VisionShape) -> Feature {
    let name = shape.names.patches
    var x = net.conv(
      name,
      image,
      shape.width,
      kernel: shape.patch,
      stride: shape.patch,
      padding: .symmetric(0),
      bias: true
    )
    x = net.reshape("\(name).flatten", x, [0, 0, -1])
    x = net.transpose("\(name).tokens", x, [0, 2, 1])
    // Zeros in the places of the shared tokens, and a constant that has those tokens there.
    x = net.padTokens("\(name).padded", x, shape.prefixCount)
    return net.sum("\(name).positions", x, constantTokens(&net, shape))
  }

  /// The shared tokens and the positions of the patches, `[1, tokens, width]`.
  private static func constantTokens(_ net: inout Network, _ shape: VisionShape) -> Feature {
    let name = "\(shape.names.prefix)tokens"
    let grid = PositionGrid(
      side: shape.side,
      rows: shape.grid.rows,
      columns: shape.grid.columns,
      filter: shape.filter
    )
    let placed = shape.placed
    let stored = [1, placed + shape.side * shape.side, shape.width]
    let patches = Feature(
      parameter: Network.Demand(name: shape.names.positions, shape: stored) { (table) throws(Refusal) in
        try grid.resampled(table, prefix: placed)
      }
    )
    var parts = net.parameters(shape.tokens.map { ($0.name, [1, $0.count, shape.width]) })
    if placed > 0 {
      let own = Feature(
        parameter: Network.Demand(name: shape.names.positions, shape: stored) { (table) throws(Refusal) in
          try table.leadingRows(placed)
        }
      )
      if placed == shape.prefixCount {
        let all = parts.count == 1 ? parts[0] : net.joinTokens("\(name).prefix", parts)
        parts = [net.sum("\(name).placed", own, all)]
      } else {
        parts[0] = net.sum("\(name).placed", own, parts[0])
      }
    }
    return net.joinTokens("\(name).constant", parts + [patches])
  }

  private static func block(
    _ net: inout Network,
    _ names: VisionNames.Block,
    _ x: Feature,
    _ shape: VisionShape
  ) -> Feature {
    let name = names.name
    var y = net.layerNorm(names.norm1, x, epsilon: shape.epsilon)
    y = attention(&net, names, y, shape)
    if shape.isScaled { y = net.scaled(names.scale1.layer, y, by: names.scale1.tensor) }
    let middle = net.sum("\(name).add1", x, y)
    y = net.layerNorm(names.norm2, middle, epsilon: shape.epsilon)
    y = perceptron(&net, names, y, shape)
    if shape.isScaled { y = net.scaled(names.scale2.layer, y, by: names.scale2.tensor) }
    return net.sum("\(name).add2", middle, y)
  }

  /// Two layers with GELU between, or `silu(a) · b` of the halves of the first one's result.
  private static func perceptron(
    _ net: inout Network,
    _ names: VisionNames.Block,
    _ x: Feature,
    _ shape: VisionShape
  ) -> Feature {
    let first = net.present(names.expansion)
    let second = net.present(names.contraction)
    let inner = net.width(first, standard: 4 * shape.width)
    var y = net.linear(first, x, inner)
    if let depth = net.depth(second), inner == 2 * depth {
      let gate = net.slice("\(first).gate", y, 0..<depth, axis: 2, channels: depth)
      let value = net.slice("\(first).value", y, depth..<inner, axis: 2, channels: depth)
      y = net.product("\(first).gated", net.silu("\(first).silu", gate), value)
    } else {
      y = net.gelu("\(names.name).mlp.act", y, named: net.checkpoint.settings.activation)
    }
    return net.linear(second, y, shape.width)
  }

  private static func attention(
    _ net: inout Network,
    _ names: VisionNames.Block,
    _ x: Feature,
    _ shape: VisionShape
  ) -> Feature {
    let attention = Attention(name: "\(names.name).attn", width: shape.width, heads: shape.heads ?? 1)
    let isJoined = shape.names.library == .timm
    let joined = isJoined ? net.linear(names.qkv, x, 3 * shape.width, bias: shape.hasQueryBias) : x
    var parts: [Feature] = []
    for (index, layer) in [names.query, names.key, names.value].enumerated() {
      let range = index * shape.width..<(index + 1) * shape.width
      parts.append(
        isJoined
          ? net.slice("\(layer).part", joined, range, axis: 2, channels: shape.width)
          : net.linear(layer, x, shape.width, bias: shape.hasQueryBias)
      )
    }
    let y = attention.describe(&net, query: parts[0], key: parts[1], value: parts[2])
    return net.linear(names.projection, y, shape.width)
  }
}

/// What a vision transformer makes of the tokens behind its blocks.
struct VisionHead {
  let shape: VisionShape
  /// What each block makes.
  let states: [Feature]

  func describe(_ net: inout Network) {
    guard let last = states.last else { return }
    let x = net.layerNorm(shape.names.norm, last, epsilon: shape.epsilon)
    let token = token(&net, "token", x, 0)
    let prefix = shape.names.prefix
    if net.has("linear_head.weight") {
      tokenHead(&net, "linear_head", x, token)
    } else if shape.names.library != .timm, net.has("classifier.weight") {
      tokenHead(&net, "classifier", x, token)
    } else if let (first, second) = pair(net) {
      let both = [net.classifier(first, token), net.classifier(second, self.token(&net, "dist", x, 1))]
      _ = net.scaled("mean", net.sum("sum", both[0], both[1]), by: Float(0.5))
    } else if net.has("\(prefix)head.weight") {
      _ = net.classifier("\(prefix)head", token)
    }
  }

  /// The classifiers of class and distillation token.
  private func pair(_ net: Network) -> (String, String)? {
    let prefix = shape.names.prefix
    return [("\(prefix)head", "\(prefix)head_dist"), ("cls_classifier", "distillation_classifier")]
      .first { net.has("\($0.0).weight") && net.has("\($0.1).weight") }
  }

  /// A linear classifier of class token, of class token and mean of patches, or of the last four blocks' class tokens
  /// and the last mean of patches.
  private func tokenHead(_ net: inout Network, _ name: String, _ x: Feature, _ token: Feature) {
    let depth = net.depth(name) ?? shape.width
    guard depth != shape.width else {
      _ = net.classifier(name, token)
      return
    }
    let patches = net.slice("patches", x, shape.prefixCount..<shape.tokenCount, axis: 1)
    var features: [Feature] = []
    if depth == 5 * shape.width, states.count >= 4 {
      for (index, state) in states.suffix(4).dropLast().enumerated() {
        let normalised = net.layerNorm(
          "\(shape.names.norm)_\(index)",
          state,
          of: shape.names.norm,
          shape.epsilon
        )
        features.append(self.token(&net, "token_\(index)", normalised, 0))
      }
    }
    features += [token, net.tokenMean("patches.mean", patches)]
    _ = net.classifier(name, net.concat("features", features))
  }

  /// One token of each sample: `[batch, width]`.
  private func token(_ net: inout Network, _ name: String, _ x: Feature, _ index: Int) -> Feature {
    net.reshape("\(name).flat", net.slice(name, x, index..<index + 1, axis: 1), [0, shape.width])
  }
}
