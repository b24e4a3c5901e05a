import BinaryIO
import GraphIR

/// What a model says about itself, checked (O10-O13).
struct ModelHeader {
  /// Version of the default operator set.
  let operatorSet: Int
  /// Domains whose operators may occur; the default one is "".
  let domains: Set<String>
  /// Local functions as `domain.name`.
  let functions: Set<String>
  /// Metadata of the graph.
  let metadata: [String: String]

  init(_ model: Proto.Model) throws(Refusal) {
    try ModelHeader.checkIRVersion(model.irVersion)
    var versions: [String: Int] = [:]
    for set in model.operatorSets {
      guard let version = set.version, version >= 1 else {
        throw ModelHeader.refusal("O11", "an operator set has no version")
      }
      guard versions.updateValue(version, forKey: Importer.canonical(set.domain)) == nil else {
        throw ModelHeader.refusal("O11", "the operator set \(Refusal.quoted(set.domain)) is imported twice")
      }
    }
    guard let version = versions[""] else {
      throw ModelHeader.refusal("O11", "imports no version of the default operator set")
    }
    guard Importer.operatorSets.contains(version) else {
      throw ModelHeader.refusal(
        "O11",
        "uses opset \(version); \(Importer.operatorSets.lowerBound) to \(Importer.operatorSets.upperBound) are read",
        .unsupported,
        remedy: "export the model with opset_version=17, or run onnx.version_converter"
      )
    }
    operatorSet = version
    domains = Set(versions.keys)
    functions = Set(model.functions.map { "\(Importer.canonical($0.domain)).\($0.name)" })
    metadata = try ModelHeader.metadata(model, version)
  }

  private static func checkIRVersion(_ version: Int?) throws(Refusal) {
    guard let version else { throw refusal("O10", "has no ir_version, so it is not an ONNX model") }
    guard version <= Importer.irVersions.upperBound else {
      throw refusal(
        "O10",
        "has ir_version \(version); at most \(Importer.irVersions.upperBound) is read",
        .unsupported,
        remedy: "save the model with an older version of the onnx package"
      )
    }
    guard version >= Importer.irVersions.lowerBound else {
      throw refusal(
        "O10",
        "has ir_version \(version); at least \(Importer.irVersions.lowerBound) is read",
        version >= 1 ? .unsupported : .invalid
      )
    }
  }

  private static func metadata(_ model: Proto.Model, _ version: Int) throws(Refusal) -> [String: String] {
    var result = [MetadataKey.source: "onnx opset \(version)"]
    let producer = [model.producerName, model.producerVersion].filter { !$0.isEmpty }.joined(separator: " ")
    if !producer.isEmpty { result[MetadataKey.producer] = producer }
    var seen: Set<String> = []
    for entry in model.metadata {
      guard seen.insert(entry.key).inserted else {
        throw refusal("O12", "the metadata key \(Refusal.quoted(entry.key)) is given twice")
      }
      let isOwn = entry.key.hasPrefix(MetadataKey.ownPrefix)
      let key =
        isOwn ? String(entry.key.dropFirst(MetadataKey.ownPrefix.count)) : MetadataKey.onnxPrefix + entry.key
      result[key] = entry.value
    }
    return result
  }

  private static func refusal(
    _ rule: String,
    _ problem: String,
    _ kind: Refusal.Kind = .invalid,
    remedy: String = "export the model again"
  ) -> Refusal {
    Refusal(kind, at: "model", rule: rule, problem, remedy: remedy)
  }
}
