import BinaryIO
import Datasets
import GraphIR
import QConvertKit
import QModelFormat
import Runtime
import TestSupport
import Testing

/// Weights in four bits that are rounded by calibration data, from file to file.
@Suite("BlockRecovery")
struct BlockRecoveryTests {
  /// Converts a vision transformer and compares its logits on samples that calibration did not see.
  private func outcome(
    _ change: (inout ConvertOptions) -> Void
  ) throws -> (error: Double, report: ConvertReport, bytes: [UInt8]) {
    try withTemporaryFolder { folder in
      let (model, output) = ("\(folder)/float.qmodel", "\(folder)/int4.qmodel")
      try QModelWriter.write(try OutlierTransformer(magnitude: 1).graph, to: model)
      let samples = try OutlierTransformer.images(24, seed: 1)
      try NPZFile.write([(name: "image", tensor: samples)], to: "\(folder)/data.npz")
      var options = ConvertOptions()
      options.precision = .weightOnly
      options.calibrationData = "\(folder)/data.npz"
      options.rounding = "gptq"
      change(&options)
      let report = try Converter.convert(model, to: output, options: options)
      let images = try OutlierTransformer.images(32, seed: 2)
      func logits(_ path: String) throws -> [Float] {
        let session = try Session(try QModelReader.read(path))
        return try #require(try session.run(["image": images])["logits"]).elements(as: Float.self)
      }
      let (wanted, found) = (try logits(model), try logits(output))
      let noise = zip(found, wanted).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
      return (noise, report, try readFile(output))
    }
  }

  @Test("compensation takes a third of the error's energy away, in a file of nearly the same size")
  func gain() throws {
    let nearest = try outcome { options in
      options.rounding = "nearest"
      options.calibrationData = nil
    }
    let compensated = try outcome { _ in }
    print("int4: energy of the error \(nearest.error) to nearest, \(compensated.error) compensated")
    #expect(compensated.error < 0.67 * nearest.error)
    #expect(abs(compensated.bytes.count - nearest.bytes.count) < 512)
    #expect(nearest.report.scheme == "int4 weight-only, blocks of 32")
    #expect(compensated.report.scheme == "int4 weight-only, blocks of 32, gptq rounding")
    #expect(compensated.report.passes.first { $0.name == "round-blocks" } != nil)
  }

  @Test("the same bytes for any number of threads")
  func threads() throws {
    let one = try outcome { $0.threads = 1 }
    let two = try outcome { $0.threads = 2 }
    #expect(one.bytes == two.bytes)
  }

  @Test("other roundings, and gptq without samples, are refused")
  func refused() throws {
    expectRefusal(rule: "C4", containing: "--rounding gptq") { _ = try outcome { $0.rounding = "adaround" } }
    expectRefusal(rule: "C4", containing: "--calibrate") {
      _ = try outcome { $0.calibrationData = nil }
    }
  }
}
