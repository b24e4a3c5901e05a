import TestSupport
import Testing

@testable import QConvertKit

/// The same inputs give the same bytes.
@Suite struct ReproducibilityTests {
  private func bytes(
    _ threads: Int,
    _ statistics: CalibrationStatistics? = nil,
    _ change: (inout ConvertOptions) -> Void
  ) throws -> [UInt8] {
    try withTemporaryFolder { folder in
      var options = Digits.options
      options.calibrationSamples = 30
      options.calibration = statistics
      options.threads = threads
      change(&options)
      _ = try Converter.convert(Digits.model, to: folder + "/x.qmodel", options: options)
      return try readFile(folder + "/x.qmodel")
    }
  }

  /// Statistics of three shards, made with different numbers of threads and merged out of order.
  private func merged() throws -> CalibrationStatistics {
    var options = Digits.options
    options.calibrationSamples = 30
    let parts = try [2, 3, 1].map { number in
      options.threads = number
      return try Converter.calibrate(Digits.model, options: options, shard: CalibrationShard("\(number)/3"))
    }
    var result = parts[0]
    try result.merge(parts[1])
    try result.merge(parts[2])
    return result
  }

  @Test("with every observer, whole or in three shards, on 1, 2 or 3 threads")
  func observers() throws {
    let merged = try merged()
    for observer in ConvertOptions.observerNames {
      let expected = try bytes(1) { $0.observer = observer }
      for threads in [2, 3] {
        #expect(try bytes(threads) { $0.observer = observer } == expected, "\(observer)")
      }
      #expect(try bytes(2, merged) { $0.observer = observer } == expected, "\(observer), shards")
    }
  }

  @Test(
    "with every way to recover, from merged statistics or not, on 1, 2 or 3 threads",
    arguments: ["bias correction", "gptq", "adaround", "equalization"]
  )
  func recovery(_ way: String) throws {
    let merged = way == "equalization" ? nil : try merged()
    func change(_ options: inout ConvertOptions) {
      options.isPerChannel = false
      switch way {
      case "bias correction": options.correctsBias = true
      case "equalization":
        options.equalizes = true
        options.relu6 = "swap"
      default: options.rounding = way
      }
    }
    let expected = try bytes(1, nil, change)
    for threads in [2, 3] { #expect(try bytes(threads, nil, change) == expected) }
    if let merged { #expect(try bytes(2, merged, change) == expected) }
  }

  @Test("with layers kept in float, and under a budget")
  func budget() throws {
    func change(_ options: inout ConvertOptions) {
      options.keptFloat = ["*features.6*"]
      options.maximumDrop = 2
    }
    let expected = try bytes(1, nil, change)
    for threads in [2, 3] { #expect(try bytes(threads, nil, change) == expected) }
  }
}
