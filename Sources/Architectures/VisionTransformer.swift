import BinaryIO
import GraphIR

/// Vision transformers in timm's layout: ViT, DeiT III and DINOv2, with and without registers and LayerScale.
///
/// Depth, widths, patch and input extent are those of the checkpoint; heads are 64 wide. The head is timm's `head` on
/// the normalised class token, or the linear classifier of DINOv2 (`linear_head`, beside a `backbone.`) on the class
/// token and the mean of the patches. Without a head the result is the normalised class token.
enum VisionTransformer {
  static let all = [
    Architecture("vit", extentOf: Shape.extent) { net, image in
      let shape = net.shape(Shape.init)
      net.preprocessing = net.hasParameter("\(shape.prefix)blocks.0.ls1.gamma") ? shape.preprocessing : nil
      var x = embed(&net, image, shape)
      for index in 0..<shape.depth { x = block(&net, "\(shape.prefix)blocks.\(index)", x, shape) }
      x = net.layerNorm("\(shape.prefix)norm", x, epsilon: 1e-6)
      head(&net, x, shape)
    }
  ]

  /// What the checkpoint tells of the network; standard values where it does not.
  struct Shape {
    let prefix: String
    let width: Int
    let patch: Int
    let depth: Int
    /// Patches along one side.
    let side: Int
    /// Names of the class token and the registers, in order.
    let prefixTokens: [String]
    /// Class token and registers.
    let prefixCount: Int
    /// Whether positions belong to all tokens, not to the patches only.
    let coversPrefix: Bool

    var extent: Int { side * patch }

    @Sendable
    static func extent(_ checkpoint: Checkpoint) -> Int { Shape(checkpoint).extent }

    /// That of DINOv2.
    var preprocessing: String {
      "resize=\(extent) crop=\(extent) scale=255 mean=0.485,0.456,0.406 std=0.229,0.224,0.225 channels=rgb"
    }

    var tokens: Int { prefixCount + side * side }

    init(_ checkpoint: Checkpoint) {
      let prefix = checkpoint["backbone.blocks.0.norm1.weight"] == nil ? "" : "backbone."
      self.prefix = prefix
      width = checkpoint.extent("\(prefix)patch_embed.proj.weight", axis: 0) ?? 768
      patch = min(checkpoint.extent("\(prefix)patch_embed.proj.weight", axis: 2) ?? 16, 64)
      let blocks = (0..<128).first { checkpoint["\(prefix)blocks.\($0).norm1.weight"] == nil } ?? 128
      depth = blocks == 0 ? 12 : blocks
      var names = ["\(prefix)cls_token"]
      var count = 1
      if let registers = checkpoint.extent("\(prefix)reg_token", axis: 1), registers < 1024 {
        names.append("\(prefix)reg_token")
        count += registers
      }
      prefixTokens = names
      prefixCount = count
      let positions = min(checkpoint.extent("\(prefix)pos_embed", axis: 1) ?? 196, 1 << 16)
      func root(_ value: Int) -> Int { Int(Double(max(value, 1)).squareRoot()) }
      let plain = root(positions)
      coversPrefix = plain * plain != positions
      side = coversPrefix ? root(positions - count) : plain
    }
  }

  /// Patches as tokens, the class token and the registers before them, positions added.
  private static func embed(_ net: inout Network, _ image: Feature, _ shape: Shape) -> Feature {
    let name = "\(shape.prefix)patch_embed"
    var x = net.conv(
      "\(name).proj",
      image,
      shape.width,
      kernel: shape.patch,
      stride: shape.patch,
      padding: .symmetric(0),
      bias: true
    )
    x = net.reshape("\(name).flatten", x, [0, 0, -1])
    x = net.transpose("\(name).tokens", x, [0, 2, 1])
    // Zeros in the places of the tokens that all images share, and a constant that has those tokens there.
    x = net.padTokens("\(name).padded", x, shape.prefixCount)
    let positions = "\(shape.prefix)pos_embed"
    let shared = net.parameters(
      shape.prefixTokens.map {
        ($0, [1, $0.hasSuffix("cls_token") ? 1 : shape.prefixCount - 1, shape.width])
      }
    )
    guard shape.coversPrefix else {
      let parts =
        shared + net.parameters([(positions, [1, shape.side * shape.side, shape.width])])
      return net.sum("\(name).positions", x, net.joinTokens("\(name).constant", parts))
    }
    let own = net.parameters([(positions, [1, shape.tokens, shape.width])])
    let padded = net.padTokens(
      "\(name).shared",
      net.joinTokens("\(name).prefix", shared),
      shape.side * shape.side,
      atEnd: true
    )
    return net.sum("\(name).positions", net.sum("\(name).joined", x, padded), own[0])
  }

  private static func block(
    _ net: inout Network,
    _ name: String,
    _ x: Feature,
    _ shape: Shape
  ) -> Feature {
    var y = attention(&net, "\(name).attn", net.layerNorm("\(name).norm1", x, epsilon: 1e-6), shape)
    if net.hasParameter("\(name).ls1.gamma") { y = net.scaled("\(name).ls1", y, by: "gamma") }
    let middle = net.sum("\(name).add1", x, y)
    y = net.layerNorm("\(name).norm2", middle, epsilon: 1e-6)
    y = net.linear("\(name).mlp.fc1", y, net.width("\(name).mlp.fc1", standard: 4 * shape.width))
    y = net.gelu("\(name).mlp.act", y)
    y = net.linear("\(name).mlp.fc2", y, shape.width)
    if net.hasParameter("\(name).ls2.gamma") { y = net.scaled("\(name).ls2", y, by: "gamma") }
    return net.sum("\(name).add2", middle, y)
  }

  private static func attention(
    _ net: inout Network,
    _ name: String,
    _ x: Feature,
    _ shape: Shape
  ) -> Feature {
    let joined = net.linear("\(name).qkv", x, 3 * shape.width)
    func part(_ index: Int, _ letter: String, _ perm: [Int]) -> Feature {
      var y = net.slice(
        "\(name).\(letter).part",
        joined,
        index * shape.width..<(index + 1) * shape.width,
        axis: 2,
        channels: shape.width
      )
      y = net.reshape("\(name).\(letter).heads", y, [0, 0, -1, 64])
      return net.transpose("\(name).\(letter)", y, perm)
    }
    let query = net.scaled("\(name).scaled", part(0, "q", [0, 2, 1, 3]), by: Float(0.125))
    var y = net.matMul("\(name).scores", query, part(1, "k", [0, 2, 3, 1]))
    y = net.softmax("\(name).softmax", y)
    y = net.matMul("\(name).mixed", y, part(2, "v", [0, 2, 1, 3]))
    y = net.transpose("\(name).tokens", y, [0, 2, 1, 3])
    y = net.reshape("\(name).joined", y, [0, 0, shape.width], channels: shape.width)
    return net.linear("\(name).proj", y, shape.width)
  }

  private static func head(_ net: inout Network, _ x: Feature, _ shape: Shape) {
    var token = net.slice("token", x, 0..<1, axis: 1)
    token = net.reshape("token.flat", token, [0, shape.width])
    if net.has("linear_head.weight") {
      let patches = net.slice("patches", x, shape.prefixCount..<shape.tokens, axis: 1)
      let both = net.concat("features", [token, net.tokenMean("patches.mean", patches)])
      let isJoined = net.depth("linear_head") != shape.width
      _ = net.classifier("linear_head", isJoined ? both : token)
    } else if net.has("\(shape.prefix)head.weight") {
      _ = net.classifier("\(shape.prefix)head", token)
    }
  }
}
