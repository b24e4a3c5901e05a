package import BinaryIO
package import GraphIR

/// 32-bit biases at the scale of the accumulator they are added to.
package enum BiasQuantizer {
  /// `f32(f64(input) · f64(weight))`, the scale of an accumulator and of its bias (K4).
  package static func scale(input: Float, weight: Float) -> Float { Float(Double(input) * Double(weight)) }

  /// The least weight scale of each channel at which its bias fits beside a sum of `terms` products.
  ///
  /// Also keeps `input · weight` normal, which the bias is divided by. A floor is rounded up.
  ///
  /// - Parameters:
  ///   - bias: One value per channel; nil: no bias.
  ///   - channels: The number of channels.
  ///   - inputScale: The scale of the activation that is multiplied.
  ///   - terms: Products per output: input channels per group times kernel area.
  package static func weightScaleFloors(
    bias: [Float]?,
    channels: Int,
    inputScale: Float,
    terms: Int
  ) -> [Float] {
    let limit = Double(AccumulatorBound.bias(besideTerms: terms))
    let least = Double(Float.leastNormalMagnitude) / Double(inputScale)
    return (0..<channels).map { channel in
      let needed = bias.map { Double(abs($0[channel])) / (Double(inputScale) * limit) } ?? 0
      return (Float(max(needed, least)) * (1 + 4 * Float.ulpOfOne))
    }
  }

  /// `rne(b / scale)` per channel.
  ///
  /// - Parameters:
  ///   - bias: One value per channel.
  ///   - inputScale: The scale of the activation.
  ///   - weightScales: One scale, or one per channel.
  ///   - terms: Products per output, which bound the bias (K5).
  /// - Throws: A refusal (K4) when a bias is not finite or does not fit.
  package static func quantize(
    _ bias: [Float],
    inputScale: Float,
    weightScales: [Float],
    terms: Int
  ) throws(Refusal) -> Tensor {
    precondition(weightScales.count == 1 || weightScales.count == bias.count)
    let limit = Double(AccumulatorBound.bias(besideTerms: terms))
    var values: [Int32] = []
    values.reserveCapacity(bias.count)
    for (channel, value) in bias.enumerated() {
      let weight = weightScales[weightScales.count == 1 ? 0 : channel]
      let scale = Double(scale(input: inputScale, weight: weight))
      let quotient = (Double(value) / scale).rounded(.toNearestOrEven)
      guard abs(quotient) <= limit else {
        throw Refusal(
          .invalid,
          at: "bias of channel \(channel)",
          rule: "K4",
          "is \(value), which at scale \(scale) needs more than \(Int(limit)) steps",
          remedy: "keep the layer in float"
        )
      }
      values.append(Int32(quotient))
    }
    return try Tensor.make(.int32, [bias.count], values)
  }
}
