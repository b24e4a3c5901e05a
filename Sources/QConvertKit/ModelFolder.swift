internal import Architectures
internal import BinaryIO
internal import Datasets
internal import Glibc
internal import Safetensors

/// The JSON files that transformers, timm and sentence-transformers save beside a checkpoint.
struct ModelFolder {
  /// Ends with a slash, or is empty.
  private let folder: String

  init(of checkpoint: String) {
    folder = checkpoint.lastIndex(of: "/").map { String(checkpoint[...$0]) } ?? ""
  }

  /// What the files say; files that are absent say nothing.
  ///
  /// - Parameter tensors: Names of the checkpoint; files beside one that is no transformer's are not read.
  /// - Throws: A refusal naming a file that is no JSON, or too large.
  func settings(for tensors: [String]) throws(Refusal) -> ModelSettings {
    var result = ModelSettings()
    let marks = ["cls_token", "embeddings.word_embeddings.weight"]
    guard tensors.contains(where: { name in marks.contains { name.hasSuffix($0) } }) else { return result }
    if let config = try values("config.json") {
      result.family = config.text("model_type")
      result.width = config.count("hidden_size") ?? config.count("dim")
      result.heads = config.count("num_attention_heads") ?? config.count("n_heads")
      result.epsilon = config.number("layer_norm_eps").map { Float($0) }
      result.activation = config.text("hidden_act") ?? config.text("activation")
      result.positions = config.text("position_embedding_type")
      result.preprocessing = ModelFolder.timmPreprocessing(config)
    }
    if let processor = try values("preprocessor_config.json") {
      result.preprocessing = ModelFolder.preprocessing(processor)
    }
    result.sentence = try sentenceHead()
    return result
  }

  private func values(_ name: String) throws(Refusal) -> JSONValues? {
    let path = folder + name
    guard unsafe access(path, F_OK) == 0 else { return nil }
    return try inFile(path) { () throws(Refusal) in
      try JSONValues(try MappedFile.open(path, maximum: JSONValues.sizeLimit), label: "text")
    }
  }

  /// What `modules.json` lists behind the transformer.
  private func sentenceHead() throws(Refusal) -> ModelSettings.SentenceHead? {
    guard let modules = try values("modules.json") else { return nil }
    var head = ModelSettings.SentenceHead(pooling: "none", normalizes: false)
    var index = 0
    while let type = modules.text("\(index).type") {
      let name = type.split(separator: ".").last.map(String.init) ?? type
      switch name {
      case "Transformer": break
      case "Pooling": head.pooling = try pooling(modules.text("\(index).path") ?? "")
      case "Normalize": head.normalizes = true
      default: head.unknownModule = name
      }
      index += 1
    }
    return head
  }

  /// The modes that the settings of a pooling module switch on, joined by a plus sign.
  private func pooling(_ module: String) throws(Refusal) -> String {
    guard !module.isEmpty, !module.contains("/"), module != "..", module != ".",
      let config = try values("\(module)/config.json")
    else { return "none" }
    let modes = [
      ("cls", "pooling_mode_cls_token"), ("mean", "pooling_mode_mean_tokens"),
      ("max", "pooling_mode_max_tokens"), ("mean-sqrt-length", "pooling_mode_mean_sqrt_len_tokens"),
      ("weighted-mean", "pooling_mode_weightedmean_tokens"), ("last", "pooling_mode_lasttoken"),
    ]
    let chosen = modes.filter { config.isTrue($0.1) }.map(\.0)
    if chosen.isEmpty, let mode = config.text("pooling_mode") { return mode }
    return chosen.isEmpty ? "none" : chosen.joined(separator: "+")
  }

  /// The text form of what an image processor of transformers does; nil where it cannot be expressed.
  private static func preprocessing(_ processor: JSONValues) -> String? {
    func size(_ key: String) -> String? {
      if let height = processor.count("\(key).height"), let width = processor.count("\(key).width") {
        return "\(height)x\(width)"
      }
      return (processor.count("\(key).shortest_edge") ?? processor.count(key)).map(String.init)
    }
    let mean = processor.numbers("image_mean")
    let std = processor.numbers("image_std")
    guard mean.count == 3, std.count == 3, processor.number("rescale_factor") ?? 1 / 255 != 0 else {
      return nil
    }
    var parts: [String] = []
    if let resize = size("size") { parts.append("resize=\(resize)") }
    if processor.isTrue("do_center_crop"), let crop = size("crop_size") { parts.append("crop=\(crop)") }
    let scale = 1 / (processor.number("rescale_factor") ?? 1 / 255)
    return text(parts, scale: scale, mean: mean, std: std)
  }

  /// The same of the settings that timm saves with its networks.
  private static func timmPreprocessing(_ config: JSONValues) -> String? {
    let mean = config.numbers("pretrained_cfg.mean")
    let std = config.numbers("pretrained_cfg.std")
    guard mean.count == 3, std.count == 3, let height = config.count("pretrained_cfg.input_size.1"),
      let width = config.count("pretrained_cfg.input_size.2"), height == width,
      let share = config.number("pretrained_cfg.crop_pct"), (0.1...1).contains(share)
    else { return nil }
    let resize = Int((Double(height) / share).rounded(.down))
    return text(["resize=\(resize)", "crop=\(height)"], scale: 255, mean: mean, std: std)
  }

  private static func text(_ parts: [String], scale: Double, mean: [Double], std: [Double]) -> String? {
    func list(_ values: [Double]) -> String { values.map { "\(Float($0))" }.joined(separator: ",") }
    let rounded = (scale * 1000).rounded() / 1000
    let words = parts + ["scale=\(Float(rounded))", "mean=\(list(mean))", "std=\(list(std))", "channels=rgb"]
    return try? Preprocessing.parse(words.joined(separator: " ")).description
  }
}

extension JSONValues {
  /// The whole number from 1 to 65,535 at a path, if there is one.
  fileprivate func count(_ path: String) -> Int? {
    guard let value = number(path), let count = UInt16(exactly: value), count > 0 else { return nil }
    return Int(count)
  }
}
