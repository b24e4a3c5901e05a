/// Names of the tensors of a vision transformer, in the layouts of the libraries that save them.
struct VisionNames {
  /// Who saved the checkpoint.
  enum Library {
    /// timm; also the DINOv2 repository, whose layers have the same names.
    case timm
    /// transformers: ViT and DeiT.
    case transformersViT
    /// transformers: DINOv2 with and without registers.
    case transformersDINO
  }

  let library: Library
  /// Before all names but those of the head.
  let prefix: String
  /// Names of the layers of each block.
  let blocks: [Block]

  /// Names of the layers of a block; scales are tensors.
  struct Block {
    let name: String
    let norm1: String
    let norm2: String
    let qkv: String
    let query: String
    let key: String
    let value: String
    let projection: String
    let scale1: (layer: String, tensor: String)
    let scale2: (layer: String, tensor: String)
    let expansion: [String]
    let contraction: [String]
  }

  init(_ checkpoint: Checkpoint) {
    let prefixes = ["", "backbone.", "vit.", "deit.", "dinov2.", "dinov2_with_registers."]
    let cls = ["cls_token", "embeddings.cls_token"]
    prefix = prefixes.first { prefix in cls.contains { checkpoint[prefix + $0] != nil } } ?? ""
    let start = prefix
    if checkpoint["\(start)embeddings.cls_token"] == nil {
      library = .timm
    } else if checkpoint["\(start)encoder.layer.0.layernorm_before.weight"] != nil {
      library = .transformersViT
    } else {
      library = .transformersDINO
    }
    switch library {
    case .timm: blocks = VisionNames.timmBlocks(checkpoint, start)
    case .transformersViT:
      let count = checkpoint.blockCount { "\(start)encoder.layer.\($0).layernorm_before.weight" }
      blocks = (0..<count).map { Block(transformersViT: "\(start)encoder.layer.\($0)") }
    case .transformersDINO:
      let count = checkpoint.blockCount { "\(start)encoder.layer.\($0).norm1.weight" }
      blocks = (0..<count).map { Block(transformersDINO: "\(start)encoder.layer.\($0)") }
    }
  }

  /// Blocks in one list, or in chunks whose members keep their number in the whole.
  private static func timmBlocks(_ checkpoint: Checkpoint, _ prefix: String) -> [Block] {
    let plain = checkpoint.blockCount { "\(prefix)blocks.\($0).norm1.weight" }
    guard plain == 0 else { return (0..<plain).map { Block(timm: "\(prefix)blocks.\($0)") } }
    var result: [Block] = []
    while result.count < Checkpoint.blockLimit,
      let chunk = (0..<Checkpoint.blockLimit).first(where: {
        checkpoint["\(prefix)blocks.\($0).\(result.count).norm1.weight"] != nil
      })
    {
      result.append(Block(timm: "\(prefix)blocks.\(chunk).\(result.count)"))
    }
    return result.isEmpty ? (0..<12).map { Block(timm: "\(prefix)blocks.\($0)") } : result
  }

  private func name(_ timm: String, _ transformers: String) -> String {
    prefix + (library == .timm ? timm : transformers)
  }

  var patches: String { name("patch_embed.proj", "embeddings.patch_embeddings.projection") }
  var classToken: String { name("cls_token", "embeddings.cls_token") }
  var distillationToken: String { name("dist_token", "embeddings.distillation_token") }
  var maskToken: String { name("mask_token", "embeddings.mask_token") }
  var positions: String { name("pos_embed", "embeddings.position_embeddings") }
  var norm: String { name("norm", "layernorm") }

  /// timm's and the other libraries' name of the registers.
  var registers: [String] { [name("reg_token", "embeddings.register_tokens"), "\(prefix)register_tokens"] }

  /// Layers that training needs, and heads on top of features.
  var dispensable: [String] {
    [maskToken, "\(prefix)pooler.dense.weight", "\(prefix)pooler.dense.bias"]
  }
}

extension VisionNames.Block {
  fileprivate init(timm name: String) {
    self.name = name
    norm1 = "\(name).norm1"
    norm2 = "\(name).norm2"
    qkv = "\(name).attn.qkv"
    (query, key, value) = ("\(name).attn.q", "\(name).attn.k", "\(name).attn.v")
    projection = "\(name).attn.proj"
    scale1 = ("\(name).ls1", "gamma")
    scale2 = ("\(name).ls2", "gamma")
    expansion = ["\(name).mlp.fc1", "\(name).mlp.w12"]
    contraction = ["\(name).mlp.fc2", "\(name).mlp.w3"]
  }

  fileprivate init(transformersViT name: String) {
    self.init(
      transformers: name,
      norms: ("\(name).layernorm_before", "\(name).layernorm_after"),
      expansion: ["\(name).intermediate.dense"],
      contraction: ["\(name).output.dense"]
    )
  }

  fileprivate init(transformersDINO name: String) {
    self.init(
      transformers: name,
      norms: ("\(name).norm1", "\(name).norm2"),
      expansion: ["\(name).mlp.fc1", "\(name).mlp.weights_in"],
      contraction: ["\(name).mlp.fc2", "\(name).mlp.weights_out"]
    )
  }

  private init(
    transformers name: String,
    norms: (String, String),
    expansion: [String],
    contraction: [String]
  ) {
    self.name = name
    (norm1, norm2) = norms
    qkv = "\(name).attention.attention.qkv"
    query = "\(name).attention.attention.query"
    key = "\(name).attention.attention.key"
    value = "\(name).attention.attention.value"
    projection = "\(name).attention.output.dense"
    scale1 = ("\(name).layer_scale1", "lambda1")
    scale2 = ("\(name).layer_scale2", "lambda1")
    self.expansion = expansion
    self.contraction = contraction
  }
}

extension Checkpoint {
  /// Blocks that a network may have.
  static let blockLimit = 128

  /// How many of the names made for the numbers from 0 are there without a gap.
  func blockCount(_ name: (Int) -> String) -> Int {
    (0..<Checkpoint.blockLimit).first { self[name($0)] == nil } ?? Checkpoint.blockLimit
  }
}
