internal import Glibc
internal import Passes

/// The order in which layers leave int8 under a budget, and how far each goes.
///
/// A layer leaves in two steps: first it computes in float with its int8 weights, which costs time but no bytes and removes the noise
/// of its activations; then its weights become f16, which costs bytes and removes the rest. Errors of layers nearly add up,
/// so steps are taken in the order of the noise that they remove for what they cost: the share of all products that are computed
/// in float from then on, plus the share of all bytes of weights that the file grows by. Where the second step is the better
/// bargain the layer takes both at once.
struct FloatLadder {
  /// A layer that changes its format.
  struct Step {
    let layer: QuantizableLayer
    let format: FloatFormat
    /// Noise removed over what it costs.
    fileprivate let worth: Double
  }

  /// The most worthwhile first; of one layer the lower rung before the upper one.
  let steps: [Step]

  /// - Parameter layers: The most sensitive first, as they were measured.
  init(_ layers: [(layer: QuantizableLayer, measured: SensitivityReport.Layer)]) {
    let products = layers.reduce(1.0) { $0 + Double($1.layer.products) }
    let bytes = layers.reduce(1.0) { $0 + Double($1.layer.weights) }
    let steps = layers.flatMap { layer, measured -> [Step] in
      let (all, rest) = (noise(measured.sqnrDB), noise(measured.weightsSQNRDB))
      let (time, space) = (
        max(Double(layer.products) / products, .ulpOfOne), max(Double(layer.weights) / bytes, .ulpOfOne)
      )
      let (first, second) = ((all - rest) / time, rest / space)
      guard first >= second else {
        return [Step(layer: layer, format: .float16, worth: all / (time + space))]
      }
      return [
        Step(layer: layer, format: .int8, worth: first), Step(layer: layer, format: .float16, worth: second),
      ]
    }
    self.steps = steps.enumerated().sorted { ($1.element.worth, $0.offset) < ($0.element.worth, $1.offset) }
      .map(\.element)
  }

  /// The layers that have left int8 after so many steps, in the order in which they did.
  func layers(after count: Int) -> [(layer: QuantizableLayer, format: FloatFormat)] {
    var result: [(layer: QuantizableLayer, format: FloatFormat)] = []
    for step in steps.prefix(count) {
      if let index = result.firstIndex(where: { $0.layer.name == step.layer.name }) {
        result[index].format = step.format
      } else {
        result.append((step.layer, step.format))
      }
    }
    return result
  }
}

/// The power of the noise over that of the signal.
private func noise(_ decibels: Double) -> Double { pow(10, -decibels / 10) }
