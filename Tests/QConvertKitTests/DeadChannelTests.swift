import BinaryIO
import Datasets
import GraphIR
import QModelFormat
import Quantization
import TestSupport
import Testing

@testable import QConvertKit

/// Channels whose weights are next to nothing beside their biases.
@Suite struct DeadChannelTests {
  /// A convolution with BatchNorm whose second channel has weights of 0 and a variance next to 0, whose third has weights of
  /// 1e-30 and whose fourth a tiny gain, and a second convolution that reads all of them.
  private func network() throws -> Graph {
    var random = SplitMix64(seed: 41)
    var graph = Graph(name: "dead")
    let x = graph.addInput("x", TensorType(.float32, [.symbol("n"), 3, 8, 8]))
    var weights = (0..<(4 * 27)).map { _ in random.normal() * 0.2 }
    for index in 27..<54 { weights[index] = 0 }
    for index in 54..<81 { weights[index] *= 1e-30 }
    func vector(_ name: String, _ values: [Float]) throws -> ValueID {
      graph.addConstant(name, try Tensor.floats(values))
    }
    let w = graph.addConstant("w", try Tensor.floats(weights, [4, 3, 3, 3]))
    let conv = Conv(strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1])
    let a = try graph.addNode(.conv(conv), inputs: [x, w], outputNames: ["a"])
    let norm = try graph.addNode(
      .batchNorm(BatchNorm(epsilon: 1e-5)),
      inputs: [
        graph[a].outputs[0], try vector("gamma", [1, 1, 1, 1e-12]), try vector("beta", [0.1, 2.5, -1.5, 3]),
        try vector("mean", [0.1, 0, 0, 0.2]), try vector("variance", [1, 1e-30, 0, 1]),
      ],
      outputNames: ["n"]
    )
    let relu = try graph.addNode(.unary(Unary(.relu)), inputs: [graph[norm].outputs[0]], outputNames: ["r"])
    let v = graph.addConstant("v", try random.floats([6, 4, 3, 3], in: -0.3...0.3))
    let b = graph.addConstant("b", try random.floats([6]))
    let y = try graph.addNode(.conv(conv), inputs: [graph[relu].outputs[0], v, b], outputNames: ["y"])
    graph.addOutput(graph[y].outputs[0])
    try TypeInference.infer(&graph)
    try GraphValidator.validate(graph)
    return graph
  }

  @Test(
    "no i32 bias overflows, and the result is right, also with every way to recover",
    arguments: [
      ("per channel", true, false, "nearest"), ("per tensor", false, false, "nearest"),
      ("bias correction", true, true, "nearest"), ("gptq", true, false, "gptq"),
      ("adaround", true, true, "adaround"), ("adaround, per tensor", false, false, "adaround"),
    ]
  )
  func result(_ name: String, isPerChannel: Bool, correctsBias: Bool, rounding: String) throws {
    try withTemporaryFolder { folder in
      var random = SplitMix64(seed: 42)
      let graph = try network()
      try QModelWriter.write(graph, to: folder + "/dead.qmodel", options: QModelWriterOptions())
      try NPZFile.write(
        [(name: "x", tensor: try random.floats([24, 3, 8, 8], in: -2...2))],
        to: folder + "/x.npz"
      )
      var options = ConvertOptions()
      options.precision = .int8
      options.isPerChannel = isPerChannel
      options.correctsBias = correctsBias
      options.rounding = rounding
      options.calibrationData = folder + "/x.npz"
      options.calibrationSamples = 12
      _ = try Converter.convert(folder + "/dead.qmodel", to: folder + "/int8.qmodel", options: options)
      let quantized = try QModelReader.read(folder + "/int8.qmodel")
      var biases = 0
      for id in quantized.valueIDs {
        guard let tensor = quantized[id].constant, tensor.dtype == .int32 else { continue }
        let bound = AccumulatorBound.bias(besideTerms: 27)
        #expect(tensor.elements(as: Int32.self).allSatisfy { abs(Int($0)) <= Int(bound) })
        biases += 1
      }
      #expect(biases == 2)
      var data = QConvert.VerifyData()
      data.path = folder + "/x.npz"
      data.holdOut = 12
      let report = try QConvert.verify(folder + "/dead.qmodel", folder + "/int8.qmodel", data: data)
      #expect(report.samples == 12)
      #expect(report.sqnrDB > 30)
    }
  }
}
