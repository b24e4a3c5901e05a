import BinaryIO
import GraphIR
import Passes
import Quantization
import Runtime
import TestSupport
import Testing

@testable import QConvertKit

@Suite struct PatchGathererTests {
  /// A float layer, its quantized form, and what gathers its patches.
  private struct Layer {
    let float: Graph
    let layer: QuantizedLayer
    let gatherer: PatchGatherer

    /// - Parameter text: A graph whose layer reads `%x` and makes `%y`.
    init(_ text: String) throws {
      float = try graph(text)
      var quantized = float
      var ranges = ActivationRanges()
      try ranges.set(.init(name: "x", low: -1, high: 1, samples: 1))
      var context = PassContext(ranges: ranges)
      try PassManager().run(Pipelines.quantize(context.options), on: &quantized, &context)
      layer = try #require(QuantizedLayer.all(in: quantized).first)
      let weight = try #require(float[layer.id].inputs[1])
      let shape = try #require(float[weight].type.knownDims)
      gatherer = try #require(PatchGatherer(layer, op: float[layer.id].op, weightShape: shape))
    }
  }

  private func values(_ count: Int, _ random: inout SplitMix64) -> String {
    (0..<count).map { _ in "\(random.float())" }.joined(separator: ", ")
  }

  /// Expects patches times weights to be what the float layer computes at every position.
  private func check(_ layer: Layer, _ weights: [Float], input: [Int], _ random: inout SplitMix64) throws {
    let x = try random.floats(input)
    let session = try Session(layer.float, options: SessionOptions(executor: .reference))
    let y = try #require(try session.run(["x": x])["y"])
    let (length, groups) = (layer.layer.length, layer.layer.groups)
    let channels = layer.layer.channels
    let positions = y.count / channels
    let area = y.shape.dropFirst(2).reduce(1, *)
    let (capacity, first) = (positions + 3, 2)
    #expect(layer.gatherer.count(of: x.shape, limit: 1_000) == positions)
    var patches = [Float](repeating: 0, count: groups * length * capacity)
    unsafe patches.withUnsafeMutableBufferPointer {
      unsafe layer.gatherer.gather(x, limit: 1_000, into: $0, capacity: capacity, from: first)
    }
    let expected = y.elements(as: Float.self)
    let perGroup = channels / groups
    for channel in 0..<channels {
      let group = channel / perGroup
      for position in 0..<positions {
        let sum = (0..<length).reduce(Float(0)) { sum, term in
          sum + patches[(group * length + term) * capacity + first + position]
            * weights[channel * length + term]
        }
        let place = (position / area * channels + channel) * area + position % area
        #expect(abs(sum - expected[place]) < 1e-4)
      }
    }
    for row in 0..<(groups * length) {
      #expect(patches[row * capacity] == 0 && patches[(row + 1) * capacity - 1] == 0)
    }
  }

  @Test("patches times weights are the convolution, with padding, strides, dilations and groups")
  func convolution() throws {
    var random = SplitMix64(seed: 5)
    for (groups, pads, strides, dilations, extents) in [
      (1, [1, 1, 1, 1], [1, 1], [1, 1], "7, 8"), (2, [2, 0, 1, 1], [2, 1], [1, 2], "4, 5"),
      (4, [0, 0, 0, 0], [2, 2], [1, 1], "3, 3"),
    ] {
      let count = 4 * (4 / groups) * 9
      let text = values(count, &random)
      let layer = try Layer(
        """
        graph @net {
          input %x: f32[2, 4, 7, 8]
          const %w: f32[4, \(4 / groups), 3, 3] = [\(text)]
          %y: f32[2, 4, \(extents)] = conv(%x, %w) {strides = \(strides), pads = \(pads), dilations = \(dilations), group = \(groups)}
          output %y
        }
        """
      )
      let weights = text.split(separator: ", ").compactMap { Float($0) }
      try check(layer, weights, input: [2, 4, 7, 8], &random)
    }
  }

  @Test("patches of a matrix product are its rows")
  func rows() throws {
    var random = SplitMix64(seed: 6)
    let text = values(5 * 6, &random)
    let layer = try Layer(
      """
      graph @net {
        input %x: f32[7, 6]
        const %w: f32[5, 6] = [\(text)]
        %y: f32[7, 5] = gemm(%x, %w) {trans_b = 1}
        output %y
      }
      """
    )
    try check(layer, text.split(separator: ", ").compactMap { Float($0) }, input: [7, 6], &random)
  }

  @Test("fewer patches than positions are spread over the whole input")
  func spread() throws {
    let layer = try Layer(
      """
      graph @net {
        input %x: f32[100, 1]
        const %w: f32[1, 1] = [1]
        %y: f32[100, 1] = gemm(%x, %w) {trans_b = 1}
        output %y
      }
      """
    )
    let x = try Tensor.floats((0..<100).map(Float.init), [100, 1])
    var patches = [Float](repeating: 0, count: 4)
    unsafe patches.withUnsafeMutableBufferPointer {
      unsafe layer.gatherer.gather(x, limit: 4, into: $0, capacity: 4, from: 0)
    }
    #expect(patches == [12, 37, 62, 87])
  }
}
