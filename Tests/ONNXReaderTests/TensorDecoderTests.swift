import BinaryIO
import GraphIR
import Testing

@testable import ONNXReader

struct TensorDecoderTests {
  /// The tensor that a file's only initializer becomes.
  private func decode(_ tensor: ProtoBytes, limits: Limits = .standard) throws -> Tensor {
    let bytes = ProtoBytes().message(7, ProtoBytes().message(5, tensor)).bytes
    let model = try ONNXReader.parse(slice(bytes), limits: limits)
    let proto = try #require(model.graph?.initializers.first)
    let decoder = TensorDecoder(limits: limits, externalData: ExternalData(modelPath: "/nowhere/model.onnx"))
    return try decoder.decode(proto)
  }

  @Test("Raw data of every element type is taken as it is", arguments: DType.allCases)
  func raw(dtype: DType) throws {
    let bytes = (0..<(2 * dtype.size)).map { UInt8($0 % 2) }
    let result = try decode(tensor("t", Int(dtype.rawValue), [2]).blob(9, bytes))
    #expect(result.dtype == dtype)
    #expect(result.bytes.withBytes { span in (0..<span.byteCount).map { span.byte($0) } } == bytes)
  }

  @Test(
    "int32_data holds the narrow integer types",
    arguments: [
      (3, [-128, 127]), (2, [0, 255]), (5, [-32_768, 32_767]), (4, [0, 65_535]), (6, [-7, 7]), (9, [0, 1]),
    ]
  )
  func int32Data(type: Int, values: [Int]) throws {
    #expect(try decode(tensor("t", type, [2]).packed(5, values)).intValues() == values)
    let unpacked = values.reduce(tensor("t", type, [2])) { $0.int(5, $1) }
    #expect(try decode(unpacked).intValues() == values)
  }

  @Test("int32_data holds the bits of 16 bit floats")
  func halfFloats() throws {
    #expect(try decode(tensor("t", 10, [2]).packed(5, [0x3C00, 0xC000])).floatValues() == [1, -2])
    #expect(try decode(tensor("t", 16, [2]).packed(5, [0x3F80, 0xC000])).floatValues() == [1, -2])
  }

  @Test("Wide typed lists are taken at their width")
  func wideLists() throws {
    #expect(try decode(tensor("t", 1, [2]).packed(4, [1.5, -2] as [Float])).floatValues() == [1.5, -2])
    #expect(try decode(tensor("t", 1, [2]).float(4, 1.5).float(4, -2)).floatValues() == [1.5, -2])
    #expect(try decode(tensor("t", 11, [2]).packed(10, [1.5, -2] as [Double])).floatValues() == [1.5, -2])
    #expect(try decode(tensor("t", 7, [2]).packed(7, [.max, .min])).intValues() == [.max, .min])
    #expect(try decode(tensor("t", 12, [1]).packed(11, [4_294_967_295])).intValues() == [4_294_967_295])
    #expect(try decode(tensor("t", 13, [1]).packed(11, [5])).intValues() == [5])
  }

  @Test("Values outside of the narrow type are refused, not wrapped")
  func ranges() {
    for (type, value) in [(3, 300), (3, -129), (2, -1), (2, 256), (5, 40_000), (4, -1), (10, 65_536)] {
      expectRefusal("O33", "value \(value)") { try decode(tensor("t", type, [1]).packed(5, [value])) }
    }
    expectRefusal("O33", "bool 2") { try decode(tensor("t", 9, [1]).packed(5, [2])) }
    expectRefusal("O33", "bool 3") { try decode(tensor("t", 9, [1]).blob(9, [3])) }
    expectRefusal("O33", "value") { try decode(tensor("t", 12, [1]).packed(11, [1 << 32])) }
  }

  @Test("The element type must be known")
  func types() {
    expectRefusal("O30", "tensor \"t\"", "no element type") { try decode(ProtoBytes().text(8, "t")) }
    expectRefusal("O30", "type 0") { try decode(tensor("t", 0, [])) }
    expectRefusal("O30", "type 99") { try decode(tensor("t", 99, [])) }
    expectRefusal("O30", "strings") { try decode(tensor("t", 8, [1]).text(6, "a")) }
    expectRefusal("O30", "float8") { try decode(tensor("t", 17, [1]).blob(9, [0])) }
    expectRefusal("O30", "int4") { try decode(tensor("t", 22, [2]).blob(9, [0])) }
  }

  @Test("Shapes must be within the limits")
  func shapes() {
    expectRefusal("O31", "-1") { try decode(tensor("t", 1, [-1])) }
    expectRefusal("L1", "9 axes") { try decode(tensor("t", 1, Array(repeating: 1, count: 9))) }
    expectRefusal("L2") { try decode(tensor("t", 1, [1 << 31])) }
    expectRefusal("L3") { try decode(tensor("t", 1, [1 << 30, 1 << 30])) }
    expectRefusal("L3") { try decode(tensor("t", 1, [0, 1 << 30, 1 << 30, 1 << 30])) }
  }

  @Test("Exactly one source of exactly the right length is needed")
  func sources() {
    expectRefusal("O32", "no data") { try decode(tensor("t", 1, [2])) }
    expectRefusal("O32", "'raw_data' and 'float_data'") {
      try decode(tensor("t", 1, [1]).blob(9, [0, 0, 0, 0]).packed(4, [1] as [Float]))
    }
    expectRefusal("O32", "'float_data'", "i64") { try decode(tensor("t", 7, [1]).packed(4, [1] as [Float])) }
    expectRefusal("O32", "'string_data'") { try decode(tensor("t", 1, [1]).text(6, "a")) }
    expectRefusal("O33", "3 bytes", "needs 4") { try decode(tensor("t", 1, [1]).blob(9, [0, 0, 0])) }
    expectRefusal("O33", "5 bytes", "needs 4") { try decode(tensor("t", 1, [1]).blob(9, [0, 0, 0, 0, 0])) }
    expectRefusal("O33", "3 elements", "needs 2") { try decode(tensor("t", 6, [2]).packed(5, [1, 2, 3])) }
    expectRefusal("O33", "1 elements") { try decode(tensor("t", 1, [0]).packed(4, [1] as [Float])) }
    expectRefusal("O34", "segmented") { try decode(tensor("t", 1, [0]).message(3, ProtoBytes())) }
  }

  @Test("A tensor without elements needs no data")
  func empty() throws {
    #expect(try decode(tensor("t", 1, [0, 3])).shape == [0, 3])
    #expect(try decode(tensor("t", 1, [2, 0]).blob(9, [])).count == 0)
  }

  @Test("A large payload is a slice of the file")
  func slices() throws {
    let payload = [UInt8](repeating: 3, count: 8_192)
    let file = try slice(
      ProtoBytes().message(7, ProtoBytes().message(5, tensor("t", 2, [8_192]).blob(9, payload))).bytes
    )
    let proto = try #require(try ONNXReader.parse(file, limits: .standard).graph?.initializers.first)
    let decoder = TensorDecoder(limits: .standard, externalData: ExternalData(modelPath: ""))
    #expect(try decoder.decode(proto).bytes.storage === file.storage)
  }
}
