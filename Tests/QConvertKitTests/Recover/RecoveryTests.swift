import BinaryIO
import Datasets
import GraphIR
import Passes
import Quantization
import Runtime
import TestSupport
import Testing

@testable import QConvertKit

@Suite struct RecoveryTests {
  /// A chain of matrix products of 8 by 8 with ReLU between.
  private func chain(_ layers: Int) throws -> Graph {
    var random = SplitMix64(seed: 31)
    var graph = Graph(name: "chain")
    var value = graph.addInput("x", TensorType(.float32, [.symbol("n"), 8]))
    for layer in 0..<layers {
      let weight = graph.addConstant("w\(layer)", try random.floats([8, 8], in: -0.6...0.7))
      let bias = graph.addConstant("b\(layer)", try random.floats([8]))
      var gemm = Gemm(transB: true)
      gemm.activation = layer == layers - 1 ? .none : .relu
      let node = try graph.addNode(.gemm(gemm), inputs: [value, weight, bias], outputNames: ["y\(layer)"])
      value = graph[node].outputs[0]
    }
    graph.addOutput(value)
    try TypeInference.infer(&graph)
    return graph
  }

  private func quantized(_ float: Graph, _ data: Dataset, _ context: inout PassContext) throws -> Graph {
    let statistics = try Calibrator(threads: 1).calibrate(float, on: data) { _, _ in }
    context.ranges = try statistics.ranges(
      for: ModelHash.text(of: float),
      by: ObserverKind.minMax.makeObserver(alpha: 0.05, percentile: 99.99)
    )
    var graph = float
    try PassManager().run(Pipelines.quantize(context.options), on: &graph, &context)
    return graph
  }

  private func samples(_ graph: Graph) throws -> Dataset {
    try Dataset.synthetic(for: ModelInput.inputs(of: graph), preprocessing: nil, count: 60)
  }

  /// The mean of every output over the samples.
  private func means(_ graph: Graph, _ data: Dataset) throws -> [Double] {
    let session = try Session(graph, options: SessionOptions(executor: .reference))
    var sums = [Double](repeating: 0, count: 8)
    for index in 0..<data.count {
      let outputs = try session.run(data.sample(index).inputs)
      for (place, value) in try #require(outputs.first).value.elements(as: Float.self).enumerated() {
        sums[place % 8] += Double(value)
      }
    }
    return sums.map { $0 / Double(data.count) }
  }

  @Test("bias correction from samples moves the means of the outputs to where they were in float")
  func bias() throws {
    let float = try chain(4)
    let data = try samples(float)
    let options = PassOptions(granularity: .perTensor, correctsBias: true)
    var context = PassContext(options: options)
    let plain = try quantized(float, data, &context)
    var mended = plain
    var done: [Int] = []
    try Recovery(float: float, options: options, threads: 1).run(
      on: &mended,
      &context,
      data,
      apply: { (graph, context) throws(Refusal) in
        try PassManager().run(Pipelines.recover(options), on: &graph, &context)
      },
      progress: { count, _ in done.append(count) }
    )
    let wanted = try means(float, data)
    func error(_ graph: Graph) throws -> Double {
      zip(try means(graph, data), wanted).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
    }
    #expect(try error(mended) < 0.3 * error(plain))
    #expect(done == [1, 2, 3, 4])
    #expect(context.evidence.isEmpty)
  }

  @Test("layers that are kept with i8 weights are rounded and corrected from the float values that they read")
  func keptBytes() throws {
    let float = try chain(3)
    let data = try samples(float)
    let options = PassOptions(granularity: .perTensor, correctsBias: true, rounding: .gptq)
    var context = PassContext(options: options)
    for id in float.order { context.kept[id] = .int8 }
    let plain = try quantized(float, data, &context)
    var mended = plain
    try Recovery(float: float, options: options, threads: 1).run(
      on: &mended,
      &context,
      data,
      apply: { (graph, context) throws(Refusal) in
        try PassManager().run(Pipelines.recover(options), on: &graph, &context)
      },
      progress: { _, _ in }
    )
    #expect(context.remarks.count { $0.pass == "round-weights" && $0.kind == .applied } == 3)
    let wanted = try means(float, data)
    let shift = zip(try means(mended, data), wanted).map { abs($0 - $1) }.max() ?? 1
    #expect(shift < 1e-4)
    #expect(zip(try means(plain, data), wanted).contains { abs($0 - $1) > 1e-3 })
  }

  @Test("evidence of a layer comes from the network with the layers before already mended")
  func sequence() throws {
    let float = try chain(3)
    let data = try samples(float)
    let options = PassOptions(correctsBias: true)
    var context = PassContext(options: options)
    var graph = try quantized(float, data, &context)
    var seen: [[Int]] = []
    try Recovery(float: float, options: options, threads: 1).run(
      on: &graph,
      &context,
      data,
      apply: { (graph, context) throws(Refusal) in
        let layers = QuantizedLayer.all(in: graph)
        seen.append(layers.indices.filter { context.evidence[layers[$0].id] != nil })
        for layer in layers {
          if let found = context.evidence[layer.id] {
            #expect(found.means.quantized(0).count == 8)
            #expect(found.table == nil)
          }
        }
      },
      progress: { _, _ in }
    )
    #expect(seen == [[0], [1], [2]])
  }

  @Test("a network in pieces gives what it gives in one, and keeps integers only")
  func pieces() throws {
    let float = try chain(5)
    let data = try samples(float).spread(3)
    var context = PassContext(options: PassOptions())
    let graph = try quantized(float, data, &context)
    let samples = try (0..<data.count).map { try data.sample($0).inputs }
    var run = PiecewiseRun(graph, samples: samples, threads: 1)
    let session = try Session(graph, options: SessionOptions(executor: .reference))
    for layer in QuantizedLayer.all(in: graph) {
      let target = try #require(layer.integerData(in: graph)).value
      try run.advance(graph, to: target)
      for (index, sample) in samples.enumerated() {
        var expected: Tensor?
        _ = try session.run(sample, observing: [target]) { (_, tensor) throws(Refusal) in expected = tensor }
        let found = try #require(run.value(target, of: index))
        #expect(found.dtype == .uint8)
        #expect(found.elements(as: UInt8.self) == expected?.elements(as: UInt8.self))
        #expect(run.heldValues(of: index) == 1)
      }
    }
  }

  @Test("rounding is the same for any number of threads", arguments: [WeightRounding.gptq, .adaround])
  func threads(rounding: WeightRounding) throws {
    let float = try chain(4)
    let data = try samples(float)
    let options = PassOptions(rounding: rounding)
    var results: [[[Double]]] = []
    for threads in [1, 3] {
      var context = PassContext(options: options)
      var graph = try quantized(float, data, &context)
      try Recovery(float: float, options: options, threads: threads).run(
        on: &graph,
        &context,
        data,
        apply: { (graph, context) throws(Refusal) in
          try PassManager().run(Pipelines.recover(options), on: &graph, &context)
        },
        progress: { _, _ in }
      )
      results.append(
        graph.valueIDs.compactMap { id -> [Double]? in
          guard let tensor = graph[id].constant else { return nil }
          switch tensor.dtype {
          case .int8: return tensor.elements(as: Int8.self).map(Double.init)
          case .int32: return tensor.elements(as: Int32.self).map(Double.init)
          default: return tensor.floatValues()?.map(Double.init)
          }
        }
      )
    }
    #expect(results[0] == results[1])
  }
}
