package import GraphIR

/// One network of `ArchitecturesTests/Fixtures/tensors.txt`, which `tools/list-torchvision-tensors` writes.
package struct TensorListing: CustomStringConvertible, Sendable {
  package let architecture: String
  package let classes: Int
  package let variant: String
  package var tensors: [(name: String, dtype: DType, shape: [Int])] = []

  package var description: String { "\(architecture) \(classes) \(variant)" }

  /// All networks of the fixture.
  package static let all = load()

  private static func load() -> [TensorListing] {
    let path = "\(packageFolder())/Tests/ArchitecturesTests/Fixtures/tensors.txt"
    guard let bytes = try? readFile(path) else { return [] }
    var result: [TensorListing] = []
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let words = line.split(separator: " ").map(String.init)
      if words[0] == "#" {
        result.append(TensorListing(architecture: words[1], classes: Int(words[2]) ?? 0, variant: words[3]))
      } else {
        result[result.count - 1].add(words[0], kind: words[1], shape: words[2...].compactMap { Int($0) })
      }
    }
    return result
  }

  private mutating func add(_ module: String, kind: String, shape: [Int]) {
    tensors.append(("\(module).weight", .float32, shape))
    if kind != "w" { tensors.append(("\(module).bias", .float32, [shape[0]])) }
    guard kind == "n" else { return }
    tensors.append(("\(module).running_mean", .float32, shape))
    tensors.append(("\(module).running_var", .float32, shape))
    tensors.append(("\(module).num_batches_tracked", .int64, []))
  }
}
