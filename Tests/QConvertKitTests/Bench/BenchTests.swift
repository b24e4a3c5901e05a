import BinaryIO
import Datasets
import GraphIR
import QModelFormat
import TestSupport
import Testing

@testable import QConvertKit

@Suite struct BenchTests {
  /// Writes a small network with the given input shape and hands its path to `body`.
  private func withModel<R>(_ shape: String, _ body: (_ path: String, _ folder: String) throws -> R) throws
    -> R
  {
    let graph = try GraphParser.parse(
      """
      graph @g {
        input %x: f32[\(shape)]
        const %w: f32[2, 3] = [1, 0, 0, 0, 1, 0]
        %h: f32[\(shape)] = relu(%x)
        %y: f32[\(shape.replacing(", 3", with: ", 2"))] = gemm(%h, %w) {trans_b = 1}
        output %y
      }
      """
    )
    return try withTemporaryFolder { folder in
      try QModelWriter.write(graph, to: folder + "/m.qmodel", options: QModelWriterOptions(compress: false))
      return try body(folder + "/m.qmodel", folder)
    }
  }

  private func refusal(_ models: [String], _ options: BenchOptions) -> Refusal? {
    do {
      _ = try Bench.run(models: models, options: options)
      return nil
    } catch { return error as? Refusal }
  }

  private func options(batches: [Int]? = nil, threads: [Int] = [1]) -> BenchOptions {
    var options = BenchOptions(threads: threads)
    options.batches = batches
    options.runs = 7
    return options
  }

  @Test("all combinations of threads, batch and model are measured, in that order")
  func sweep() throws {
    try withModel("batch, 3") { path, folder in
      var options = options(batches: [1, 4], threads: [2, 1])
      options.plot = folder + "/p.svg"
      options.profile = true
      var progress: [Int] = []
      let report = try Bench.run(models: [path, path], options: options) { done, total in
        progress.append(done)
        #expect(total == 4)
      }
      #expect(progress == [0, 1, 2, 3, 4])
      #expect(report.results.map(\.threads) == [2, 2, 2, 2, 1, 1, 1, 1])
      #expect(report.results.map(\.batch) == [1, 1, 4, 4, 1, 1, 4, 4])
      for result in report.results {
        #expect(result.runs == 7 && result.minMS > 0 && result.loadMS > 0 && !result.cpu.isEmpty)
        #expect(result.minMS <= result.medianMS && result.medianMS <= result.p95MS)
        #expect(abs(result.throughput * result.medianMS / (1000 * Double(result.batch)) - 1) < 1e-9)
      }
      #expect(try String(decoding: readFile(folder + "/p.svg"), as: UTF8.self) == report.plot)
    }
  }

  @Test("the profile counts two operations per multiply-add")
  func profile() throws {
    try withModel("batch, 3") { path, _ in
      var options = options(batches: [4])
      options.profile = true
      let steps = try #require(Bench.run(models: [path], options: options).results[0].profile)
      let gemm = try #require(steps.first { $0.op == "float gemm" })
      #expect(abs((gemm.gops ?? 0) * gemm.ms * 1e6 - 2 * 4 * 3 * 2) < 1e-6)
      #expect(steps.first { $0.op == "float relu" }.map { $0.gops == nil } ?? true)
      #expect(abs(steps.map(\.share).reduce(0, +) - 1) < 1e-9)
      #expect(steps.allSatisfy { $0.arithmetic == "float" && !$0.isa.isEmpty && !$0.kernel.isEmpty })
    }
  }

  @Test("a model made for one batch size runs with that and refuses others before anything is timed")
  func fixedBatch() throws {
    try withModel("5, 3") { path, _ in
      #expect(try Bench.run(models: [path], options: options()).results.map(\.batch) == [5])
      let other = try #require(refusal([path], options(batches: [5, 8])))
      #expect(other.rule == "B1" && other.file == path)
      #expect(other.problem == "the model is made for batches of 5, asked for 8")
    }
  }

  @Test("a symbol that is not the batch needs an extent, a strange one is refused")
  func symbols() throws {
    try withTemporaryFolder { folder in
      let graph = try GraphParser.parse(
        """
        graph @g {
          input %x: f32[batch, tokens]
          %y: f32[batch, tokens] = relu(%x)
          output %y
        }
        """
      )
      let path = folder + "/m.qmodel"
      try QModelWriter.write(graph, to: path, options: QModelWriterOptions(compress: false))
      #expect(refusal([path], options())?.rule == "B2")
      var some = options()
      some.dims = ["tokens": 6]
      #expect(try Bench.run(models: [path], options: some).results.map(\.batch) == [1])
      some.dims = ["tokens": 6, "words": 7]
      let stranger = try #require(refusal([path], some))
      #expect(stranger.rule == "B3" && stranger.problem.hasSuffix("they have: batch, tokens"))
      some.dims = ["tokens": 6, "batch": 2]
      #expect(try Bench.run(models: [path], options: some).results.map(\.batch) == [2])
    }
  }

  @Test("nothing to measure, numbers below 1, missing files and unwritable plots are refused")
  func refusals() throws {
    #expect(refusal([], options())?.rule == "B4")
    #expect(refusal(["x"], options(threads: []))?.rule == "B4")
    #expect(refusal(["x"], options(batches: []))?.rule == "B4")
    #expect(refusal(["x"], options(batches: [0]))?.rule == "B4")
    #expect(refusal(["/nonexistent/m.onnx"], options())?.kind == .unreadable)
    try withModel("batch, 3") { path, folder in
      var options = options()
      options.plot = folder + "/absent/p.svg"
      #expect(refusal([path], options)?.kind == .output)
    }
  }

  @Test("inputs are the same for the same seed")
  func inputs() throws {
    try withModel("batch, 3") { path, _ in
      let graph = try Loader.load(path)
      let inputs = try BenchInputs(ModelInput.inputs(of: graph), dims: [:])
      let first = try #require(inputs.tensors(batch: 2, seed: 3)["x"])
      let again = try #require(inputs.tensors(batch: 2, seed: 3)["x"])
      let other = try #require(inputs.tensors(batch: 2, seed: 4)["x"])
      #expect(first.shape == [2, 3] && first.elements(as: Float.self) == again.elements(as: Float.self))
      #expect(first.elements(as: Float.self) != other.elements(as: Float.self))
    }
  }
}
