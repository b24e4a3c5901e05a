import BinaryIO
import Safetensors

/// The bytes of a safetensors file, made without the code under test.
func fileBytes(_ header: String, data: Int = 0, length: UInt64? = nil) -> [UInt8] {
  fileBytes(Array(header.utf8), data: (0..<data).map { UInt8(truncatingIfNeeded: $0) }, length: length)
}

func fileBytes(_ header: [UInt8], data: [UInt8] = [], length: UInt64? = nil) -> [UInt8] {
  let length = length ?? UInt64(header.count)
  return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + header + data
}

func slice(_ bytes: [UInt8]) throws(Refusal) -> ByteSlice {
  try unsafe ByteSlice.build(count: bytes.count) { (buffer) throws(Refusal) in
    unsafe buffer.copyBytes(from: bytes)
  }
}

func read(_ bytes: [UInt8]) throws(Refusal) -> SafetensorsFile { try SafetensorsFile.read(slice(bytes)) }

/// The rule that refuses these bytes; nil when they are accepted.
func refusedRule(_ bytes: [UInt8]) -> String? {
  do {
    _ = try read(bytes)
    return nil
  } catch {
    return error.rule
  }
}

func refusedRule(_ header: String, data: Int = 0) -> String? { refusedRule(fileBytes(header, data: data)) }
