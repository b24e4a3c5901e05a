/// What u8 quantization of a histogram's values costs.
package struct QuantizationError: Sendable {
  private let points: [Histogram.Point]

  package init(_ histogram: Histogram) { points = histogram.points }

  /// `Σ count · (x − dequantize(quantize(x)))²` for the parameters that cover `low...high`; zeros cost nothing.
  ///
  /// - Returns: nil where no parameters cover the range.
  package func sum(low: Float, high: Float) -> Double? {
    guard let params = QuantParams.uint8(low: low, high: high) else { return nil }
    let scale = Double(params.scale)
    let inverse = 1 / scale
    let least = Double(-params.zeroPoint)
    let greatest = Double(255 - params.zeroPoint)
    var total = 0.0
    for point in points {
      let step = min(max((point.value * inverse).rounded(.toNearestOrEven), least), greatest)
      let error = point.value - step * scale
      total += Double(point.count) * error * error
    }
    return total
  }
}
