import BinaryIO
import Datasets
import GraphIR
import TestSupport
import Testing

@testable import QConvertKit

@Suite struct VerifierTests {
  /// Two classes from three features: scores are the first feature plus `shift`, and the second one.
  private func model(shift: Float = 0, input: String = "x", batch: String = "batch") throws -> Graph {
    try GraphParser.parse(
      """
      graph @g {
        input %\(input): f32[\(batch), 3]
        const %shift: f32[3] = [\(shift), 0, 0]
        const %w: f32[2, 3] = [1, 0, 0, 0, 1, 0]
        %shifted: f32[\(batch), 3] = add(%\(input), %shift)
        %y: f32[\(batch), 2] = gemm(%shifted, %w) {trans_b = 1}
        output %y
      }
      """
    )
  }

  /// Samples whose first or second feature is larger in turn, with that as the label.
  private func withData<R>(
    count: Int = 12,
    labels: [Int]? = nil,
    for graph: Graph,
    _ body: (Dataset) throws -> R
  ) throws -> R {
    try withTemporaryFolder { folder in
      let values: [Float] = (0..<count).flatMap { $0 % 2 == 0 ? [4, 3, 1] : [3, 4, 1] }
      let arrays = [
        ("x", try Tensor.floats(values, [count, 3])),
        ("labels", try Tensor.int64s(labels ?? (0..<count).map { $0 % 2 })),
      ]
      try NPZFile.write(arrays.map { (name: $0.0, tensor: $0.1) }, to: folder + "/data.npz")
      let data = try Dataset.open(
        folder + "/data.npz",
        for: ModelInput.inputs(of: graph),
        preprocessing: nil
      )
      return try body(data)
    }
  }

  private var options: VerifyOptions {
    var options = VerifyOptions()
    options.usesReferenceExecutor = true
    options.batch = 5
    return options
  }

  @Test("a model equals itself")
  func equal() throws {
    let graph = try model()
    try withData(for: graph) { data in
      var seen: [Int] = []
      let report = try Verifier.verify(
        reference: graph,
        candidate: graph,
        dataset: data,
        options: options
      ) { done, count in
        seen.append(done)
        #expect(count == 12)
      }
      #expect(seen == [5, 10, 12])
      #expect(report.samples == 12 && report.passed && report.findings.isEmpty)
      #expect(report.top1Reference == 1 && report.top1Candidate == 1 && report.top1Agreement == 1)
      #expect(report.cosine == 1 && report.sqnrDB == 200 && report.maxAbsError == 0)
      #expect(report.text.contains("equal outputs"))
    }
  }

  @Test("errors, accuracy and collapse of a shifted model are those computed by hand")
  func shifted() throws {
    let graph = try model()
    let candidate = try model(shift: 2)
    try withData(for: graph) { data in
      let report = try Verifier.verify(
        reference: graph,
        candidate: candidate,
        dataset: data,
        options: options
      )
      // Of every sample the signal is 25 and the noise 4.
      #expect(abs(report.sqnrDB - 7.958800173) < 1e-8)
      #expect(report.maxAbsError == 2 && report.meanAbsError == 1)
      #expect(report.top1Candidate == 0.5 && report.top1Agreement == 0.5 && report.top5Candidate == 1)
      #expect(report.failures == ["The candidate predicts class 0 for every sample."])
      #expect(!report.passed && report.text.contains("FAILED: The candidate predicts class 0"))
      let expected = (36 + 9.0) / (5 * 45.0.squareRoot())
      #expect(report.worstCosine < expected && report.worstSample == "sample 1")
      #expect(report.text.split(separator: "\n").allSatisfy { $0.count <= 100 })
    }
  }

  @Test("thresholds that are missed are told")
  func thresholds() throws {
    let graph = try model()
    let candidate = try model(shift: 2)
    try withData(for: graph) { data in
      var options = options
      options.minimumTop1Agreement = 0.9
      options.maximumTop1Drop = 0.49
      options.minimumSQNR = 8
      options.minimumCosine = 0.9999
      let report = try Verifier.verify(
        reference: graph,
        candidate: candidate,
        dataset: data,
        options: options
      )
      #expect(report.failures.count == 5)
      options.minimumTop1Agreement = 0.5
      options.maximumTop1Drop = 0.5
      options.minimumSQNR = 7.9
      options.minimumCosine = 0.5
      let second = try Verifier.verify(
        reference: graph,
        candidate: candidate,
        dataset: data,
        options: options
      )
      #expect(second.failures.count == 1)
    }
  }

  @Test("layers with common names are compared, and the first bad one is pointed out")
  func layers() throws {
    let graph = try model()
    let candidate = try model(shift: 2)
    try withData(for: graph) { data in
      var options = options
      options.perLayer = true
      options.layerSamples = 4
      let report = try Verifier.verify(
        reference: graph,
        candidate: candidate,
        dataset: data,
        options: options
      )
      #expect(report.layers?.map(\.name) == ["shifted", "y"])
      #expect(report.layers?.map(\.op) == ["add", "gemm"])
      #expect(report.layerSamples == 4 && report.firstLayerBelow == "shifted")
      #expect(report.findings == ["The first layer below 20.0 dB is add 'shifted' with 8.1 dB."])
      #expect(report.text.contains("<- first below 20"))
    }
  }

  @Test("a model with a fixed batch gets full batches")
  func fixedBatch() throws {
    let graph = try model(batch: "8")
    let candidate = try model(shift: 2)
    try withData(for: graph) { data in
      let report = try Verifier.verify(
        reference: graph,
        candidate: candidate,
        dataset: data,
        options: options
      )
      #expect(report.samples == 12 && report.top1Reference == 1)
      #expect(abs(report.sqnrDB - 7.958800173) < 1e-8)
    }
  }

  @Test("inputs that are named differently are paired by position")
  func otherNames() throws {
    let graph = try model()
    let candidate = try model(input: "data")
    try withData(for: graph) { data in
      let report = try Verifier.verify(
        reference: graph,
        candidate: candidate,
        dataset: data,
        options: options
      )
      #expect(report.sqnrDB == 200)
    }
  }

  @Test("a reference at chance level hints at the preprocessing")
  func chance() throws {
    let graph = try model()
    try withData(count: 40, labels: (0..<40).map { 1 - $0 % 2 }, for: graph) { data in
      let report = try Verifier.verify(reference: graph, candidate: graph, dataset: data, options: options)
      #expect(report.findings.count == 1 && report.findings[0].contains("about chance"))
      #expect(report.passed)
    }
  }

  @Test("made-up samples are labelled as such and have no accuracy")
  func synthetic() throws {
    let graph = try model()
    let data = try Dataset.synthetic(for: ModelInput.inputs(of: graph), preprocessing: nil, count: 3)
    let report = try Verifier.verify(reference: graph, candidate: graph, dataset: data, options: options)
    #expect(report.synthetic && report.top1Reference == nil && report.top1Agreement == 1)
    #expect(report.text.contains("synthetic"))
  }

  @Test("models that do not correspond, missing labels and strange labels are refused")
  func refusals() throws {
    let graph = try model()
    let two = try GraphParser.parse(
      """
      graph @g {
        input %x: f32[batch, 3]
        %y: f32[batch, 3] = relu(%x)
        %z: f32[batch, 3] = relu(%y)
        output %y
        output %z
      }
      """
    )
    let wide = try GraphParser.parse(
      "graph @g { input %x: f32[batch, 4] %y: f32[batch, 4] = relu(%x) output %y }"
    )
    let same = try GraphParser.parse(
      "graph @g { input %x: f32[batch, 3] %y: f32[batch, 3] = relu(%x) output %y }"
    )
    func refusal(_ candidate: Graph, _ data: Dataset, drop: Double? = nil) -> Refusal? {
      var options = options
      options.maximumTop1Drop = drop
      do throws(Refusal) {
        _ = try Verifier.verify(reference: graph, candidate: candidate, dataset: data, options: options)
        return nil
      } catch { return error }
    }
    try withData(for: graph) { data in
      #expect(refusal(two, data)?.rule == "V1")
      #expect(refusal(wide, data)?.rule == "V1")
      #expect(refusal(same, data)?.rule == "V2")
      #expect(refusal(graph, data.subset(limit: 0))?.rule == "V3")
    }
    try withData(labels: [Int](repeating: 2, count: 12), for: graph) { data in
      #expect(refusal(graph, data)?.problem.contains("the label of sample 0 is 2") == true)
    }
    let synthetic = try Dataset.synthetic(for: ModelInput.inputs(of: graph), preprocessing: nil)
    #expect(refusal(graph, synthetic, drop: 0.01)?.rule == "V3")
    let fixed = try model(batch: "4")
    let other = try model(batch: "2")
    do throws(Refusal) {
      _ = try Verifier.verify(reference: fixed, candidate: other, dataset: synthetic, options: options)
    } catch { #expect(error.rule == "V1") }
  }

  @Test("outputs that are not finite fail")
  func nonFinite() throws {
    let graph = try model()
    let candidate = try model(shift: .infinity)
    try withData(for: graph) { data in
      let report = try Verifier.verify(
        reference: graph,
        candidate: candidate,
        dataset: data,
        options: options
      )
      #expect(report.nonFiniteCandidate == 12 && report.sqnrDB == -200 && report.cosine == 0)
      #expect(report.failures.contains("The candidate gives infinities or NaN on 12 samples."))
    }
  }
}
