import BinaryIO
import GraphIR
import TestSupport
import Testing

@testable import Safetensors

struct SafetensorsFileTests {
  private let two = """
    {"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},\
    "a":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}
    """

  @Test("tensors are slices in order of their data")
  func tensors() throws {
    let bytes = try slice(fileBytes(two, data: 11))
    let file = try SafetensorsFile.read(bytes)
    #expect(file.entries.map(\.name) == ["b", "a"])
    #expect(file.entries.map(\.tensor.dtype) == [.float32, .uint8])
    #expect(file.entries.map(\.tensor.shape) == [[2], [3]])
    #expect(file.entries[1].tensor.elements(as: UInt8.self) == [8, 9, 10])
    #expect(file.entries.allSatisfy { $0.tensor.bytes.storage === bytes.storage })
    #expect(file.metadata == ["format": "pt"])
    #expect(file.headerBytes == 8 + two.utf8.count)
    #expect(file.fileBytes == file.headerBytes + 11)
  }

  @Test("the format is told by its first bytes")
  func likely() throws {
    #expect(try SafetensorsFile.isLikely(slice(fileBytes(two, data: 11))))
    #expect(try SafetensorsFile.isLikely(slice(Array("{\"weight_map\": {}}".utf8))))
    #expect(try !SafetensorsFile.isLikely(slice(Array("PK\u{3}\u{4}0123456789".utf8))))
    #expect(try !SafetensorsFile.isLikely(slice(Array("{}".utf8))))
    #expect(try !SafetensorsFile.isLikely(slice([])))
  }

  @Test("every element type is read")
  func elementTypes() throws {
    let names = [
      "F64": DType.float64, "F32": .float32, "F16": .float16, "BF16": .bfloat16, "I64": .int64,
      "I32": .int32, "I16": .int16, "I8": .int8, "U64": .uint64, "U32": .uint32, "U16": .uint16,
      "U8": .uint8, "BOOL": .bool,
    ]
    #expect(names.count == DType.allCases.count)
    for (name, dtype) in names {
      let header = "{\"t\":{\"dtype\":\"\(name)\",\"shape\":[3],\"data_offsets\":[0,\(3 * dtype.size)]}}"
      #expect(try read(fileBytes(header, data: 3 * dtype.size)).entries[0].tensor.dtype == dtype)
    }
  }

  @Test("S1: length and size of the file")
  func length() {
    #expect(refusedRule(fileBytes("{}")) == nil)
    #expect(refusedRule([]) == "S1")
    #expect(refusedRule(Array(fileBytes("{}").dropLast())) == "S1")
    #expect(refusedRule(fileBytes("{}", length: 1)) == "S1")
    #expect(refusedRule(fileBytes("{}", length: 3)) == "S1")
    #expect(refusedRule(fileBytes("{}", length: 100_000_001)) == "S1")
    #expect(refusedRule(fileBytes("{}", length: .max)) == "S1")
    #expect(refusedRule(fileBytes("{}", length: 1 << 63)) == "S1")
  }

  @Test(
    "S1: a file that is something else is told so",
    arguments: [
      ("PK\u{3}\u{4}", "ZIP"), ("version https://git-lfs.github.com/spec/v1", "LFS"), ("<html>", "web"),
    ]
  )
  func somethingElse(_ start: String, _ hint: String) throws {
    let bytes = Array(start.utf8) + [UInt8](repeating: 0x41, count: 64)
    let refusal = try #require(throws: Refusal.self) { try read(bytes) }
    #expect(refusal.remedy.contains(hint))
  }

  @Test("S2: the header begins with a brace and ends with spaces at most")
  func frame() {
    #expect(refusedRule("{}   ") == nil)
    #expect(refusedRule(" {}") == "S2")
    #expect(refusedRule("\u{FEFF}{}") == "S2")
    #expect(refusedRule("[]") == "S2")
    for tail in ["\n", "\t", "\0", "x", "{}", "}"] { #expect(refusedRule("{}" + tail) == "S2") }
  }

  @Test(
    "S3: what is no JSON is refused",
    arguments: [
      "{ ", "{,}", "{\"a\"}", "{\"a\":}", "{\"__metadata__\":{},}", "{\"__metadata__\":{\"a\":\"b\",}}",
      "{'a':1}", "{\"__metadata__\":{\"a\":\"\\x\"}}", "{\"__metadata__\":{\"a\":\"\\u12G4\"}}",
      "{\"__metadata__\":{\"a\":\"\\u0000\"}}", "{\"__metadata__\":{\"a\":\"\n\"}}", "{\"a", "{\"a\\",
      "{\"__metadata__\":{\"a\":\"b\"", "{\"__metadata__\" {}}", "{\"t\":{\"shape\":[1,]}}", "{\"t\":[]}",
      "{\"t\":{\"dtype\":F32}}", "{\"t\":null}",
    ]
  )
  func json(_ header: String) { #expect(refusedRule(header) == "S3") }

  @Test("S3: text must be UTF-8")
  func encoding() {
    for bad in [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82], [0xF4, 0x90, 0x80, 0x80]] as [[UInt8]]
    {
      let header = Array("{\"__metadata__\":{\"a\":\"".utf8) + bad + Array("\"}}".utf8)
      #expect(refusedRule(fileBytes(header)) == "S3")
    }
  }

  @Test("escapes are resolved")
  func escapes() throws {
    let header = #"{"__metadata__":{"\u0061":"\"\\\/\b\f\n\r\tä\u00e4\ud83d\ude00"}}"#
    #expect(try read(fileBytes(header)).metadata == ["a": "\"\\/\u{8}\u{C}\n\r\tää😀"])
  }

  @Test(
    "S4: a key that occurs twice is refused at every level, after unescaping",
    arguments: [
      "{\"__metadata__\":{},\"__metadata__\":{}}",
      "{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}",
      #"{"__metadata__":{"a":"","\u0061":""}}"#,
      "{\"t\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
      "{\"t\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},"
        + "\"t\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
    ]
  )
  func duplicates(_ header: String) { #expect(refusedRule(header) == "S4") }

  @Test(
    "S4: half a surrogate pair is refused",
    arguments: [#"\ud800"#, #"\udc00"#, #"\ud800\u0041"#, #"\ud800x"#]
  )
  func surrogates(_ text: String) {
    #expect(refusedRule("{\"__metadata__\":{\"a\":\"\(text)\"}}") == "S4")
  }

  private func header(
    dtype: String = "\"U8\"",
    shape: String = "[4]",
    offsets: String = "[0,4]",
    name: String = "t"
  ) -> String {
    "{\"\(name)\":{\"dtype\":\(dtype),\"shape\":\(shape),\"data_offsets\":\(offsets)}}"
  }

  @Test("S5: numbers are whole, unsigned, and at most 2^53 - 1")
  func numbers() {
    #expect(refusedRule(header(), data: 4) == nil)
    #expect(refusedRule(header(shape: " [ 4 ] ", offsets: "[ 0 , 4 ]"), data: 4) == nil)
    for text in ["+4", "-4", "4.0", "4e0", "04", "00", ".4", "9007199254740992", "99999999999999999999999"] {
      #expect(refusedRule(header(shape: "[\(text)]"), data: 4) == "S5", "\(text)")
      #expect(refusedRule(header(offsets: "[0,\(text)]"), data: 4) == "S5", "\(text)")
    }
    #expect(refusedRule(header(offsets: "[0,9007199254740991]"), data: 4) == "S11")
  }

  @Test("S6: an entry has exactly dtype, shape and data_offsets")
  func entryKeys() {
    #expect(refusedRule("{\"t\":{}}") == "S6")
    #expect(refusedRule("{\"t\":{\"shape\":[0],\"data_offsets\":[0,0]}}") == "S6")
    #expect(refusedRule("{\"t\":{\"dtype\":\"U8\",\"data_offsets\":[0,0]}}") == "S6")
    #expect(refusedRule("{\"t\":{\"dtype\":\"U8\",\"shape\":[0]}}") == "S6")
    #expect(refusedRule("{\"t\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],\"x\":0}}") == "S6")
  }

  @Test("S7: metadata are strings")
  func metadata() {
    for value in ["1", "null", "{}", "[]", "true"] {
      #expect(refusedRule("{\"__metadata__\":{\"a\":\(value)}}") == "S7")
    }
    #expect(refusedRule("{\"__metadata__\":[]}") == "S3")
  }

  @Test(
    "S8: other element types are unsupported, and the tensor is named",
    arguments: ["F8_E4M3", "C64", "f32", ""]
  )
  func foreignType(_ dtype: String) throws {
    let bytes = fileBytes(header(dtype: "\"\(dtype)\""), data: 4)
    let refusal = try #require(throws: Refusal.self) { try read(bytes) }
    #expect(refusal.kind == .unsupported && refusal.rule == "S8")
    #expect(refusal.place == "tensor \"t\"")
  }

  @Test("S9: extents and their product are limited, whatever a zero hides")
  func shapes() {
    #expect(refusedRule(header(shape: "[]", offsets: "[0,1]"), data: 1) == nil)
    #expect(refusedRule(header(shape: "[0,2147483647]", offsets: "[0,0]")) == nil)
    #expect(refusedRule(header(shape: "[0,2147483648]", offsets: "[0,0]")) == "S9")
    #expect(refusedRule(header(shape: "[1048576,1048576,0]", offsets: "[0,0]")) == nil)
    #expect(refusedRule(header(shape: "[1048576,1048577,0]", offsets: "[0,0]")) == "S9")
    #expect(refusedRule(header(shape: "[0,2147483647,2147483647,2147483647]", offsets: "[0,0]")) == "S9")
    let ones = Array(repeating: "1", count: 32).joined(separator: ",")
    #expect(refusedRule(header(shape: "[\(ones)]", offsets: "[0,1]"), data: 1) == nil)
    #expect(refusedRule(header(shape: "[\(ones),1]", offsets: "[0,1]"), data: 1) == "S9")
  }

  @Test("S10: two offsets, begin before end")
  func offsets() {
    for text in ["[]", "[0]", "[0,4,4]", "[4,0]"] {
      #expect(refusedRule(header(offsets: text), data: 4) == "S10", "\(text)")
    }
  }

  @Test("S11: bytes are those of the shape")
  func byteCount() {
    #expect(refusedRule(header(shape: "[3]"), data: 4) == "S11")
    #expect(refusedRule(header(shape: "[5]"), data: 4) == "S11")
    #expect(refusedRule(header(dtype: "\"F32\"", shape: "[4]"), data: 4) == "S11")
  }

  private func parts(_ ranges: [(Int, Int)], data: Int) -> [UInt8] {
    let entries = ranges.enumerated().map { index, range in
      "\"t\(index)\":{\"dtype\":\"U8\",\"shape\":[\(range.1 - range.0)],\"data_offsets\":[\(range.0),\(range.1)]}"
    }
    return fileBytes("{\(entries.joined(separator: ","))}", data: data)
  }

  @Test("S12: data are covered without hole, overlap or rest")
  func coverage() {
    #expect(refusedRule(parts([(4, 8), (0, 4)], data: 8)) == nil)
    #expect(refusedRule(parts([(0, 4), (4, 4), (4, 4), (4, 8), (8, 8)], data: 8)) == nil)
    #expect(refusedRule(parts([(0, 4), (5, 8)], data: 8)) == "S12")
    #expect(refusedRule(parts([(0, 5), (4, 8)], data: 8)) == "S12")
    #expect(refusedRule(parts([(0, 4), (0, 4), (4, 8)], data: 8)) == "S12")
    #expect(refusedRule(parts([(0, 4), (2, 2), (4, 8)], data: 8)) == "S12")
    #expect(refusedRule(parts([(1, 8)], data: 8)) == "S12")
    #expect(refusedRule(parts([(0, 8)], data: 9)) == "S12")
    #expect(refusedRule(parts([(0, 8)], data: 7)) == "S12")
    #expect(refusedRule(parts([], data: 1)) == "S12")
  }

  @Test("S13: a file without tensors is valid")
  func empty() throws { #expect(try read(fileBytes("{}")).entries.isEmpty) }

  @Test("S15: a misaligned tensor is read all the same")
  func misaligned() throws {
    let header = """
      {"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"I32","shape":[2],"data_offsets":[1,9]}}
      """
    let file = try read(fileBytes(Array(header.utf8), data: [7, 1, 0, 0, 0, 2, 0, 0, 0]))
    #expect(file.entries[1].tensor.elements(as: Int32.self) == [1, 2])
  }

  @Test("S16: names have 1 to 4096 bytes and no control characters")
  func names() {
    let long = String(repeating: "n", count: 4096)
    #expect(refusedRule(header(name: long), data: 4) == nil)
    for name in [long + "n", "", #"\u0007"#, #"\u007f"#, #"\u0085"#] {
      #expect(refusedRule(header(name: name), data: 4) == "S16")
    }
  }

  @Test("L7: long metadata are refused, but a graph may be long")
  func longMetadata() {
    let long = String(repeating: "x", count: 1 << 20)
    #expect(refusedRule("{\"__metadata__\":{\"a\":\"\(long)\"}}") == nil)
    #expect(refusedRule("{\"__metadata__\":{\"a\":\"\(long)x\"}}") == "L7")
    #expect(refusedRule("{\"__metadata__\":{\"qconvert.graph\":\"\(long)x\"}}") == nil)
  }

  @Test("L5: more tensors than allowed are refused")
  func tooMany() throws {
    var limits = Limits.standard
    limits.objects = 2
    let three = try slice(parts([(0, 1), (1, 2), (2, 3)], data: 3))
    let refusal = try #require(throws: Refusal.self) { try SafetensorsFile.read(three, limits: limits) }
    #expect(refusal.rule == "L5" && refusal.kind == .limit)
    #expect(
      try SafetensorsFile.read(slice(parts([(0, 1), (1, 2)], data: 2)), limits: limits).entries.count == 2
    )
  }

  @Test("a refusal names file, place and rule in one line")
  func message() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/bad.safetensors"
      try write(fileBytes(header(shape: "[3]"), data: 4), to: path)
      let refusal = try #require(throws: Refusal.self) { try SafetensorsFile.open(path) }
      #expect(
        refusal.description
          == "\(path): tensor \"t\": has 4 bytes, but u8[3] takes 3 [S11]; \(Remedy.rewrite)"
      )
    }
  }

  @Test("a file cut anywhere is refused")
  func truncation() {
    let whole = fileBytes(two, data: 11)
    #expect(refusedRule(whole) == nil)
    for count in 0..<whole.count { #expect(refusedRule(Array(whole[..<count])) != nil, "\(count) bytes") }
    #expect(refusedRule(whole + [0]) == "S12")
  }

  @Test("mutated files never trap", arguments: [1, 2, 3, 4] as [UInt64])
  func mutations(_ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let whole = fileBytes(two, data: 11)
    let pieces = ["\"", "\\", "{", "}", "[", "]", ",", "9", "-", "\\u", "\\ud800", "F64", "null", " "].map {
      Array($0.utf8)
    }
    for _ in 0..<3000 {
      var bytes = whole
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let position = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: bytes[position] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes.remove(at: position)
        case 2: bytes.insert(contentsOf: pieces.randomElement(using: &random) ?? [], at: position)
        default: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        }
      }
      guard let file = try? read(bytes) else { continue }
      for (_, tensor) in file.entries { #expect(tensor.bytes.count == tensor.count * tensor.dtype.size) }
    }
  }
}
