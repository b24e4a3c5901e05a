import BinaryIO
import Glibc
import GraphIR

@testable import Architectures

/// One network of `Fixtures/tensors.txt`, which `tools/list-torchvision-tensors` writes.
struct TensorListing: CustomStringConvertible, Sendable {
  let architecture: String
  let classes: Int
  let variant: String
  var tensors: [(name: String, dtype: DType, shape: [Int])] = []

  var description: String { "\(architecture) \(classes) \(variant)" }

  /// All networks of the fixture.
  static let all = load()

  private static func load() -> [TensorListing] {
    let folder = #filePath.split(separator: "/").dropLast().joined(separator: "/")
    guard let file = try? MappedFile.open("/\(folder)/Fixtures/tensors.txt"),
      let text = file.withBytes({ $0.text(0..<$0.byteCount) })
    else { return [] }
    var result: [TensorListing] = []
    for line in text.split(separator: "\n") {
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

  /// A checkpoint of zeros with these tensors.
  func checkpoint() throws -> Checkpoint {
    try Checkpoint(tensors.map { ($0.name, try zeros($0.dtype, $0.shape)) })
  }
}

/// Zeros that cost no memory, since nobody touches their pages.
private let untouched: ByteSlice = {
  let count = 1 << 29
  let base = unsafe mmap(nil, count, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
  guard let base = unsafe base, unsafe base != MAP_FAILED else { preconditionFailure("no address space") }
  return ByteSlice(unsafe ByteStorage(owning: base, count: count, kind: .mapped))
}()

/// A tensor of zeros of up to 512 MiB.
func zeros(_ dtype: DType, _ shape: [Int]) throws(Refusal) -> Tensor {
  guard let bytes = untouched.slice(0..<(shape.reduce(dtype.size, *))),
    let tensor = Tensor(dtype, shape, bytes: bytes)
  else { throw Refusal(.limit, at: "test", rule: "L3", "is too large", remedy: "") }
  return tensor
}
