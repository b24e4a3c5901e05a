package import GraphIR
package import Quantization

/// What recovery knows of a layer: its float form, and what both forms read on calibration data.
package struct LayerEvidence: Sendable {
  /// The f32 weight before quantization.
  package let weight: Tensor
  /// One f32 bias per output channel before quantization; zeros where there is none.
  package let bias: [Float]
  package let moments: PatchMoments

  package init(weight: Tensor, bias: [Float], moments: PatchMoments) {
    self.weight = weight
    self.bias = bias
    self.moments = moments
  }
}
