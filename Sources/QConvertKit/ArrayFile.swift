internal import BinaryIO
internal import Datasets
internal import GraphIR
internal import Safetensors

/// Named arrays from a file, as `run` takes them: whole, without a sample axis of their own.
enum ArrayFile {
  static func read(_ path: String, for inputs: [ModelInput]) throws(Refusal) -> [String: Tensor] {
    var found: [String: Tensor] = [:]
    if path.hasSuffix(".npy") {
      guard let input = inputs.first, inputs.count == 1 else {
        throw Refusal(
          .usage,
          file: path,
          at: "arrays",
          rule: "D2",
          "one array for \(inputs.count) inputs",
          remedy: "give an .npz file"
        )
      }
      found[input.name] = try NPYFile.read(file: path)
    } else if path.hasSuffix(".safetensors") {
      for entry in try SafetensorsFile.open(path).entries { found[entry.name] = entry.tensor }
    } else {
      for array in try NPZFile.read(path, in: .heap, where: { _ in true }).arrays {
        found[array.name] = array.tensor
      }
    }
    let wanted = Set(inputs.map(\.name))
    if let only = inputs.first, inputs.count == 1, found.count == 1, let array = found.values.first {
      return [only.name: array]
    }
    return found.filter { wanted.contains($0.key) }
  }
}
