package import GraphIR
package import Quantization

/// What recovery knows of a layer: its float form, and what both forms read on calibration data.
package struct LayerEvidence: Sendable {
  /// The f32 weight before quantization.
  package let weight: Tensor
  /// One f32 bias per output channel before quantization; zeros where there is none.
  package let bias: [Float]
  package let means: PatchMeans
  /// What the layer reads and should give; nil where weights are not to be rounded anew.
  package let table: PatchTable?

  package init(weight: Tensor, bias: [Float], means: PatchMeans, table: PatchTable? = nil) {
    self.weight = weight
    self.bias = bias
    self.means = means
    self.table = table
  }

  /// The evidence with both forms of the layer reading what the quantized one reads.
  package var onQuantizedData: LayerEvidence {
    let read = PatchMeans(quantized: means.quantized, float: means.quantized, length: means.length)
    return LayerEvidence(weight: weight, bias: bias, means: read, table: table)
  }
}
