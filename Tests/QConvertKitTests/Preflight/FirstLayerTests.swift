import GraphIR
import TestSupport
import Testing

@testable import QConvertKit

@Suite struct FirstLayerTests {
  /// A network whose first layer was trained on values with the given mean and deviation.
  private func network(
    _ front: String = "",
    data: String = "x",
    input: String = "[batch, 1, 16, 16]",
    pads: String = "[0, 0, 0, 0]",
    result: String = "[batch, 2, 16, 16]"
  ) throws -> Graph {
    try graph(
      """
      graph @g {
        input %x: f32\(input)
        const %two: f32[] = 2
        const %w: f32[2, 1, 1, 1] = [1, -2]
        const %gamma: f32[2] = [1, 1]
        const %beta: f32[2] = [0, 0]
        const %mean: f32[2] = [0.5, -1]
        const %var: f32[2] = [4, 16]
        \(front)
        %c: f32\(result) = conv(%\(data), %w) {strides = [1, 1], pads = \(pads), dilations = [1, 1]}
        %y: f32\(result) = batch_norm(%c, %gamma, %beta, %mean, %var)
        output %y
      }
      """
    )
  }

  /// Windows of one image of alternating values.
  private func moments(_ layer: FirstLayer, _ low: Float, _ high: Float) -> WindowMoments {
    var moments = WindowMoments(layer.geometry)
    moments.add((0..<256).map { $0 % 2 == 0 ? low : high }, height: 16, width: 16)
    return moments
  }

  @Test("samples of the mean and variance of the training are at distance 0")
  func right() throws {
    let layer = try #require(FirstLayer(network()))
    #expect(layer.training?.mean == [0.5, -1] && layer.training?.variance == [4, 16])
    let distance = try #require(
      layer.distance(of: moments(layer, -1.5, 2.5), changed: InputTransform(channels: 1))
    )
    #expect(abs(distance) < 1e-9)
  }

  @Test("the divergence is that of normal distributions")
  func divergence() throws {
    let layer = try #require(FirstLayer(network()))
    let distance = try #require(
      layer.distance(of: moments(layer, -3.5, 4.5), changed: InputTransform(channels: 1))
    )
    // Four times the variance at the same mean: (4 − 1 − ln 4) / 2.
    #expect(abs(distance - 0.806_852_819) < 1e-5)
  }

  @Test("the best change of scale and shift is found exactly")
  func best() throws {
    let layer = try #require(FirstLayer(network()))
    let best = try #require(layer.bestTransform(for: moments(layer, 0, 255)))
    #expect(abs(best.distance) < 1e-9)
    #expect(abs(best.transform.scale[0] - 4 / 255) < 1e-6 && abs(best.transform.shift[0] + 1.5) < 1e-4)
  }

  @Test("the best change is found for padded images, far from their scale")
  func padded() throws {
    var layer = try #require(FirstLayer(network(pads: "[1, 0, 1, 0]", result: "[batch, 2, 18, 16]")))
    layer.front = InputTransform(channels: 1, scale: 0.01, shift: -3)
    let right = moments(layer, 0, 255)
    let responses = layer.responses(to: right, changed: InputTransform(channels: 1))
    layer.training?.mean = responses.map(\.mean)
    layer.training?.variance = responses.map(\.variance)
    let best = try #require(layer.bestTransform(for: moments(layer, -1, 1)))
    #expect(best.distance < 1e-6 && best.transform.scale[0] > 16)
  }

  @Test("what the network does to its input first is taken into account")
  func front() throws {
    let text = """
      %a: f32[batch, 1, 16, 16] = sub(%x, %two)
          %b: f32[batch, 1, 16, 16] = div(%a, %two)
      """
    let layer = try #require(FirstLayer(network(text, data: "b")))
    #expect(layer.front.scale == [0.5] && layer.front.shift == [-1])
    let distance = try #require(
      layer.distance(of: moments(layer, -1, 7), changed: InputTransform(channels: 1))
    )
    #expect(abs(distance) < 1e-9)
  }

  @Test("channels last are transposed")
  func channelsLast() throws {
    let text = "%t: f32[batch, 1, 16, 16] = transpose(%x) {perm = [0, 3, 1, 2]}"
    let layer = try #require(FirstLayer(network(text, data: "t", input: "[batch, 16, 16, 1]")))
    #expect(layer.isChannelsLast)
  }

  @Test("statistics that no training has touched tell nothing")
  func untouched() throws {
    var copy = try network()
    for (name, values) in [("mean", [0, 0]), ("var", [1, 1])] as [(String, [Float])] {
      copy.setConstant(try Tensor.floats(values), of: try #require(copy.value(named: name)))
    }
    let layer = try #require(FirstLayer(copy))
    #expect(
      layer.training == nil && layer.distance(of: moments(layer, 0, 1), changed: .init(channels: 1)) == nil
    )
  }

  @Test("noise for calibration without data has the size that the network was trained on")
  func noise() throws {
    let found = SyntheticNoise.parameters(for: try network())
    #expect(abs(found.mean - 0.5) < 1e-3 && abs(found.deviation - 2) < 1e-3)
    let plain = try graph("graph @g { input %x: f32[2, 3] %y: f32[2, 3] = relu(%x) output %y }")
    #expect(SyntheticNoise.parameters(for: plain) == (0, 1))
  }
}
