import BinaryIO
import Glibc
import TestSupport
import Testing

@testable import QConvertKit

@Suite struct SensitivityTests {
  private func report(
    _ flaw: SmallNetwork.Flaw = .weights,
    _ change: (inout ConvertOptions) -> Void = { _ in }
  ) throws -> SensitivityReport {
    try withTemporaryFolder { folder in
      let network = try SmallNetwork(in: folder, layers: 4, flaw: flaw, areScores: true, samples: 12)
      var options = ConvertOptions()
      options.precision = .int8
      options.isPerChannel = false
      options.calibrationData = network.data
      options.measuresSensitivity = true
      change(&options)
      let report = try Converter.convert(network.model, to: folder + "/out.qmodel", options: options)
      return try #require(report.sensitivity)
    }
  }

  @Test("the layer whose channels differ most in size is found first, and every layer has its figures")
  func ranking() throws {
    let report = try report()
    #expect(report.layers.map(\.rank) == [1, 2, 3, 4])
    #expect(report.layers.first?.weight == "w1")
    #expect(Set(report.layers.map(\.name)) == ["a0", "a1", "a2", "a3"])
    #expect(zip(report.layers, report.layers.dropFirst()).allSatisfy { $0.sqnrDB <= $1.sqnrDB })
    #expect(report.layers.allSatisfy { $0.kl.map { $0 > 0 } == true && $0.sqnrDB < 100 })
    #expect(report.layers.allSatisfy { (0...1).contains($0.top1Agreement ?? -1) })
    #expect(report.samples == 12)
    let text = report.text(limit: 2)
    #expect(text.contains("and 2 less sensitive ones"))
    #expect(text.split(separator: "\n").count == 5)
  }

  @Test("activations and weights are told apart, and their noise adds up to that of the layer")
  func halves() throws {
    for flaw in [SmallNetwork.Flaw.weights, .activations] {
      let report = try report(flaw) { $0.isPerChannel = flaw == .activations }
      let worst = try #require(report.layers.first)
      #expect(worst.name == "a1")
      let activations = try #require(worst.activationsSQNRDB)
      if flaw == .weights {
        #expect(activations > worst.weightsSQNRDB + 10)
      } else {
        #expect(worst.weightsSQNRDB > activations + 10)
      }
      for layer in report.layers {
        let parts = [try #require(layer.activationsSQNRDB), layer.weightsSQNRDB].map { pow(10, -$0 / 10) }
        let whole = pow(10, -layer.sqnrDB / 10)
        #expect((0.3...3).contains(whole / (parts[0] + parts[1])), "\(layer.name)")
      }
    }
  }

  @Test("it is the same for any number of threads, and measured in dynamic mode, too")
  func modes() throws {
    let (one, three) = (try report { $0.threads = 1 }, try report { $0.threads = 3 })
    #expect(one == three)
    let dynamic = try report {
      $0.judgeData = $0.calibrationData
      $0.calibrationData = nil
    }
    #expect(dynamic.scheme == "int8 per-tensor dynamic")
    #expect(dynamic.layers.count == 4)
  }

  @Test("layers that are kept in float are not measured")
  func kept() throws {
    #expect(try report { $0.keptFloat = ["a1", "w3"] }.layers.map(\.name).sorted() == ["a0", "a2"])
  }

  @Test("without samples or int8 it is refused")
  func refusals() {
    expectRefusal(rule: "C6") { _ = try report { $0.calibrationData = nil } }
    expectRefusal(rule: "C6") { _ = try report { $0.precision = .fp16 } }
  }

  @Test("powers of ten are printed with three digits")
  func numbers() {
    #expect(scientific(0.00012345) == "1.23e-4")
    #expect(scientific(9.999) == "1.00e1")
    #expect(scientific(-2500) == "-2.50e3")
    #expect(scientific(0) == "0")
  }
}
