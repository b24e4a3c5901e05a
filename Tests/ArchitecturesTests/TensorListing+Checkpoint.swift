import BinaryIO
import Glibc
import GraphIR
import TestSupport

@testable import Architectures

extension TensorListing {
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
