import BinaryIO
import Datasets
import GraphIR
import QConvertKit
import Safetensors
import TestSupport
import Testing

/// A network whose sizes are known without converting it.
private struct Expected: CustomTestStringConvertible, Sendable {
  let testDescription: String
  /// int8 weights, f32 scales and 32-bit biases with BatchNorm folded, in bytes.
  let payload: Int

  static let all = [
    Expected(testDescription: "mobilenet_v2", payload: 3_614_208),
    Expected(testDescription: "resnet18", payload: 11_725_312),
  ]
}

@Suite struct PayloadTests {
  @Test("the int8 payload is exact to the byte, the file at most 3 % larger", arguments: Expected.all)
  private func int8(_ expected: Expected) throws {
    try withTemporaryFolder { folder in
      let checkpoint = try writeCheckpoint(of: expected.testDescription, in: folder)
      try writeSample("\(folder)/sample.npy")
      for data in [nil, "\(folder)/sample.npy"] {
        var options = ConvertOptions()
        options.precision = .int8
        options.calibrationData = data
        let report = try Converter.convert(checkpoint, to: "\(folder)/int8.qmodel", options: options)
        let inspection = try QConvert.inspect(report.output)
        #expect(inspection.payloadBytes == expected.payload, "\(report.scheme)")
        #expect(inspection.fileBytes <= expected.payload * 103 / 100, "\(report.scheme)")
        #expect(report.floatOps == 0, "\(report.scheme)")
      }
    }
  }

  @Test(
    "int8 is 3.7 times and fp16 2 times smaller than fp32",
    arguments: ["squeezenet1_0", "resnet18", "mobilenet_v3_small"]
  )
  func ratios(_ architecture: String) throws {
    try withTemporaryFolder { folder in
      let checkpoint = try writeCheckpoint(of: architecture, in: folder)
      func bytes(_ precision: ConvertOptions.Precision) throws -> Double {
        var options = ConvertOptions()
        options.precision = precision
        let output = "\(folder)/\(precision.rawValue).qmodel"
        return Double(try Converter.convert(checkpoint, to: output, options: options).fileBytes)
      }
      let fp32 = try bytes(.fp32)
      let ratios = (int8: fp32 / (try bytes(.int8)), fp16: fp32 / (try bytes(.fp16)))
      #expect(ratios.int8 >= 3.7)
      #expect(ratios.fp16 >= 1.97)
    }
  }

  /// A safetensors file with the names and shapes of an architecture and seeded values.
  private func writeCheckpoint(of architecture: String, in folder: String) throws -> String {
    let listing = try #require(TensorListing.all.first { $0.architecture == architecture })
    var random = SplitMix64(seed: 31)
    let weights = (0..<65_521).map { _ in random.float(-0.1...0.1) }
    let positive = (0..<65_521).map { _ in random.float(0.5...1.5) }
    let tensors = try listing.tensors.map { name, dtype, shape in
      let count = shape.reduce(1, *)
      guard dtype == .float32 else { return (name: name, tensor: try Tensor.int64s([1], [])) }
      let source = shape.count == 1 ? positive : weights
      var values: [Float] = []
      values.reserveCapacity(count)
      while values.count < count { values += source.prefix(count - values.count) }
      return (name: name, tensor: try Tensor.floats(values, shape))
    }
    let path = "\(folder)/checkpoint.safetensors"
    try SafetensorsWriter.write(tensors, to: path)
    return path
  }

  private func writeSample(_ path: String) throws {
    var random = SplitMix64(seed: 32)
    let pixels = try random.floats([1, 3, 224, 224])
    let bytes = pixels.elements(as: Float.self).flatMap { value in
      (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) }
    }
    try write(try NPYFile.header(for: pixels) + bytes, to: path)
  }
}
