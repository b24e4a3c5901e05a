import BinaryIO
import Foundation
import TestSupport
import Testing

@testable import QConvertKit

@Suite struct CalibrationStatisticsTests {
  private func statistics(
    _ shard: String? = nil,
    _ change: (inout ConvertOptions) -> Void = { _ in }
  ) throws -> CalibrationStatistics {
    var options = Digits.options
    options.calibrationSamples = 6
    change(&options)
    return try Converter.calibrate(
      Digits.model,
      options: options,
      shard: shard.flatMap(CalibrationShard.init)
    )
  }

  private func decoded(_ change: (inout [String: Any]) -> Void) throws -> CalibrationStatistics {
    let data = try JSONEncoder().encode(try statistics())
    var object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    change(&object)
    return try JSONDecoder().decode(
      CalibrationStatistics.self,
      from: try JSONSerialization.data(withJSONObject: object)
    )
  }

  @Test("shards merge into the statistics of one run, in any order")
  func merging() throws {
    let whole = try statistics()
    let parts = try (1...3).map { try statistics("\($0)/3") }
    for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
      var merged = parts[order[0]]
      for index in order.dropFirst() { try merged.merge(parts[index]) }
      #expect(merged == whole)
      #expect(merged.digest == whole.digest)
      #expect(merged.text(observer: "min-max") == whole.text(observer: "min-max"))
    }
  }

  @Test("they survive being written and read")
  func coding() throws {
    let (written, made) = (try decoded { _ in }, try statistics())
    #expect(written == made)
  }

  @Test("statistics of versions without means of channels can be read, and then tell none")
  func earlier() throws {
    let whole = try statistics()
    #expect(!whole.channelMeans.isEmpty)
    #expect(whole.channelMeans.values.allSatisfy { !$0.isEmpty })
    let old = try decoded { $0["channels"] = nil }
    #expect(old.channelMeans.isEmpty && old.values == whole.values)
    var copy = whole
    expectRefusal(rule: "K8", containing: "different networks") { try copy.merge(old) }
  }

  @Test("what cannot belong together is not merged")
  func refusedMerges() throws {
    let whole = try statistics()
    func merge(_ other: CalibrationStatistics) throws {
      var copy = whole
      try copy.merge(other)
    }
    let other = try statistics { $0.relu6 = "swap" }
    expectRefusal(rule: "K8", containing: "different networks") { try merge(other) }
    let fewer = try statistics { $0.calibrationSamples = 5 }
    expectRefusal(rule: "K8", containing: "different data") { try merge(fewer) }
    let bright = try statistics { $0.preprocessing = "resize=32 scale=127 mean=0.3 std=0.35" }
    expectRefusal(rule: "K8", containing: "different data") { try merge(bright) }
    let part = try statistics("2/3")
    expectRefusal(rule: "K8", containing: "both hold sample 1") { try merge(part) }
  }

  @Test("statistics of another network are refused by a conversion")
  func otherNetwork() throws {
    let other = try statistics { $0.relu6 = "swap" }
    try withTemporaryFolder { folder in
      var options = Digits.options
      options.calibrationData = nil
      options.calibration = other
      expectRefusal(rule: "K8", containing: "belong to another network") {
        _ = try Converter.convert(Digits.model, to: folder + "/x.qmodel", options: options)
      }
      #expect(entries(folder).isEmpty)
    }
  }

  @Test("files of another format, or whose numbers contradict each other, are refused")
  func refusedFiles() throws {
    expectRefusal(rule: "K8", containing: "have the format \"other\"") {
      _ = try decoded { $0["format"] = "other" }
    }
    expectRefusal(rule: "K8", containing: "contradict each other") {
      _ = try decoded { object in
        object["samples"] = (object["samples"] as? [Any]).map { Array($0.dropLast()) }
      }
    }
    expectRefusal(rule: "K8", containing: "contradict each other") {
      _ = try decoded { object in
        object["samples"] = (object["samples"] as? [Any]).map { Array($0.reversed()) }
      }
    }
    #expect(throws: DecodingError.self) { _ = try decoded { $0["values"] = nil } }
  }
}
