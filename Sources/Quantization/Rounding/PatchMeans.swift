/// Means over the vectors that a linear operator multiplies with its weights.
///
/// Patches come in pairs: what the quantized operator reads, and what the float one reads in its place.
package struct PatchMeans: Sendable {
  /// `[group, element]`, real numbers.
  package let quantized: [Double]
  /// `[group, element]`.
  package let float: [Double]
  /// Elements of a patch.
  package let length: Int

  package init(quantized: [Double], float: [Double], length: Int) {
    precondition(quantized.count == float.count)
    self.quantized = quantized
    self.float = float
    self.length = length
  }

  package func quantized(_ group: Int) -> ArraySlice<Double> {
    quantized[(group * length)..<((group + 1) * length)]
  }

  package func float(_ group: Int) -> ArraySlice<Double> { float[(group * length)..<((group + 1) * length)] }
}
