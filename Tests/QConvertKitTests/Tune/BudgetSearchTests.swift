import BinaryIO
import GraphIR
import Synchronization
import TestSupport
import Testing

@testable import QConvertKit

@Suite struct BudgetSearchTests {
  /// What became of a search.
  private struct Found {
    let report: ConvertReport
    let budget: BudgetReport
    let inspection: InspectReport
    /// Bytes of the output after each network that was judged.
    let saved: [[UInt8]]
    let output: [UInt8]
  }

  private func search(
    _ maximumDrop: Double,
    flaw: SmallNetwork.Flaw = .weights,
    areScores: Bool = true,
    isLabelled: Bool = false,
    samples: Int = 40,
    _ change: (inout ConvertOptions) -> Void = { _ in }
  ) throws -> Found {
    try withTemporaryFolder { folder in
      let network = try SmallNetwork(
        in: folder,
        layers: 5,
        flaw: flaw,
        areScores: areScores,
        samples: samples,
        isLabelled: isLabelled
      )
      var options = ConvertOptions()
      options.precision = .int8
      options.isPerChannel = false
      options.calibrationData = network.data
      options.maximumDrop = maximumDrop
      change(&options)
      let output = folder + "/out.qmodel"
      var saved: [[UInt8]] = []
      let report = try Converter.convert(network.model, to: output, options: options) { event in
        if case .judged = event { saved.append((try? readFile(output)) ?? []) }
      }
      return Found(
        report: report,
        budget: try #require(report.budget),
        inspection: try QConvert.inspect(output),
        saved: saved,
        output: try readFile(output)
      )
    }
  }

  @Test("a wide budget is held by int8 alone, judged on samples that calibration did not see")
  func wide() throws {
    let found = try search(100)
    #expect(found.budget.holds)
    #expect(found.budget.curve.count == 1)
    #expect(found.budget.floatLayers.isEmpty)
    #expect(found.report.calibration?.contains("20 samples") == true)
    #expect(found.budget.samples == 20)
    #expect(found.budget.measure == .disagreement)
    #expect(found.budget.resolution == 5)
    #expect(found.inspection.quantizedOps == 5)
    #expect(found.inspection.budget?.contains("0 of 5 layers in float") == true)
  }

  @Test("a budget of the mean cosine is held by the fewest layers in float that do")
  func narrow() throws {
    let all = try search(0, areScores: false)
    let worst = try #require(all.budget.curve.first { $0.floatLayers == 0 })
    let found = try search(worst.drop / 3, areScores: false)
    #expect(found.budget.holds)
    #expect(found.budget.measure == .cosine)
    let chosen = try #require(found.budget.chosen)
    #expect((1..<5).contains(chosen.floatLayers))
    #expect(found.budget.floatLayers.count == chosen.floatLayers)
    #expect(found.inspection.quantizedOps == 5 - chosen.floatLayers)
    #expect(found.budget.floatLayers.first == .init(name: "a1", weights: "f16"))
    #expect(found.inspection.keptFloat?.contains("a1 (f16)") == true)
    #expect(found.inspection.dtypes.contains { $0.dtype == "f16" })
    let fewer = found.budget.curve.filter { $0.steps < chosen.steps }
    #expect(fewer.allSatisfy { !$0.holds } && fewer.contains { $0.steps == chosen.steps - 1 })
    #expect(found.report.text.contains("<- written"))
  }

  @Test("where activations do the harm, the budget is held without a byte more: weights stay int8 in float")
  func activations() throws {
    let all = try search(0, flaw: .activations, areScores: false) { $0.isPerChannel = true }
    let worst = try #require(all.budget.curve.first { $0.steps == 0 })
    let budget = worst.drop / 20
    let found = try search(budget, flaw: .activations, areScores: false) { $0.isPerChannel = true }
    let chosen = try #require(found.budget.chosen)
    #expect(chosen.holds)
    #expect(chosen.float16Layers == 0)
    #expect(chosen.constantBytes <= worst.constantBytes)
    #expect(found.budget.floatLayers == [.init(name: "a1", weights: "i8")])
    #expect(found.inspection.keptFloat == "a1 (i8)")
    #expect(found.inspection.quantizedOps == 4)
    #expect(!found.inspection.dtypes.contains { $0.dtype == "f16" })
    let note = "int8 weights of operators that compute in float are widened when the network is loaded to run"
    #expect(found.inspection.notes.contains("\(note): they then take 2304 bytes as f32"))
  }

  @Test("a budget that cannot be held leaves the most accurate network and says so")
  func unreachable() throws {
    let found = try search(0, areScores: false)
    #expect(!found.budget.holds && !found.budget.isInterrupted)
    let last = try #require(found.budget.curve.last)
    #expect(found.budget.curve.map(\.steps).dropLast() == [0, 1, 2, 4, 8].prefix { $0 < last.steps })
    #expect(last.floatLayers == 5 && last.float16Layers == 5)
    let least = found.budget.curve.map(\.drop).min()
    #expect(found.budget.chosen?.drop == least)
    #expect(found.budget.verdict.contains("not reached with all layers in float, the best so far loses"))
    #expect(found.inspection.budget?.contains("not held") == true)
  }

  @Test("labels make it points of top-1 accuracy")
  func labels() throws {
    let found = try search(100, isLabelled: true)
    #expect(found.budget.measure == .top1)
    #expect(found.budget.verdict.hasPrefix("at most 100 points of top-1 accuracy lost: "))
    #expect(found.budget.text.contains("one of them is 5 points"))
  }

  @Test("an interrupt leaves the best network so far")
  func interrupted() throws {
    let asked = Mutex(0)
    let found = try search(0, areScores: false) { options in
      options.isInterrupted = {
        asked.withLock { count in
          count += 1
          return count > 100
        }
      }
    }
    #expect(found.budget.isInterrupted && !found.budget.holds)
    #expect(found.budget.chosen?.floatLayers == 0)
    #expect(found.budget.verdict.contains("interrupted, the best so far loses"))
    #expect(found.inspection.quantizedOps == 5)
  }

  @Test("an interrupt before anything was judged leaves the quantized network")
  func interruptedAtOnce() throws {
    let asked = Mutex(0)
    let found = try search(0, areScores: false) { options in
      options.isInterrupted = {
        asked.withLock { count in
          count += 1
          return count > 3
        }
      }
    }
    #expect(found.budget.chosen == nil && found.budget.curve.isEmpty)
    #expect(found.budget.verdict.contains("interrupted before anything was judged"))
    #expect(found.inspection.quantizedOps == 5)
  }

  @Test("the same search gives the same bytes, for any number of threads")
  func reproducible() throws {
    let one = try search(0.01, areScores: false) { $0.threads = 1 }
    let three = try search(0.01, areScores: false) { $0.threads = 3 }
    #expect(one.output == three.output)
    #expect(one.budget == three.budget)
  }

  @Test("layers fall back in dynamic mode, too, judged on data of their own")
  func dynamic() throws {
    let found = try search(0, areScores: false) { options in
      options.judgeData = options.calibrationData
      options.calibrationData = nil
    }
    #expect(found.budget.samples == 20)
    #expect(found.budget.chosen?.floatLayers ?? 0 > 0)
    #expect(found.report.scheme == "int8 per-tensor dynamic")
  }

  @Test("samples that calibration saw are left out of other data, too")
  func overlap() throws {
    let found = try search(100) { options in
      options.judgeData = options.calibrationData
      options.calibrationSamples = 10
    }
    #expect(found.budget.samples == 30)
  }

  @Test("without samples to judge by it is refused, and nothing is written")
  func refusals() {
    expectRefusal(rule: "C6", containing: "leaves no sample to judge by") {
      _ = try search(1) { $0.calibrationSamples = 40 }
    }
    expectRefusal(rule: "C6") { _ = try search(1) { $0.calibrationData = nil } }
  }
}
