import GraphIR
import Quantization

/// Measures what quantizing a matrix product costs, on the rows that it reads on calibration data.
///
/// Weights are rounded to i8 as `quantize-weights` does it, rows to u8 as the options say: by one range for all of them, found by
/// the observer, or by one per row. The error is that of the products, over some output columns spread evenly. Ranges come from
/// one half of the samples, errors from the other: what only suits the samples that were seen does not count.
struct QuantizationTrial {
  /// Output columns that are looked at, at most.
  private static let columnLimit = 64

  private let width: Int
  private let columns: Int
  /// `[width, columns]`, the looked-at columns of the weight.
  private let weights: [Float]
  /// The largest magnitude of each row of the weight, over all output columns.
  let weightPeaks: [Float]
  /// What the float layer computes: `[rows, columns]`.
  private let wanted: [Float]
  /// What ranges and factors are found on.
  let fitted: ActivationSample
  /// What errors are measured on.
  private let judged: ActivationSample
  private let options: PassOptions
  private let observer: any Observer

  /// Nil where there are no rows, or the weight is not a constant.
  init?(_ linear: LinearNode, _ graph: Graph, _ sample: ActivationSample, _ context: PassContext) {
    guard let weight = linear.constantWeight(graph), linear.isPlainRows, sample.width == linear.terms,
      sample.count > 0
    else { return nil }
    let (width, outputs) = (linear.terms, linear.channels)
    let columns = min(outputs, QuantizationTrial.columnLimit)
    let isTransposed = linear.channelAxis == 0
    var chosen = [Float](repeating: 0, count: width * columns)
    var peaks = [Float](repeating: 0, count: width)
    unsafe weight.withElements(as: Float.self) { (values) in
      for term in 0..<width {
        var peak: Float = 0
        for output in 0..<outputs {
          let place = isTransposed ? output * width + term : term * outputs + output
          peak = unsafe max(peak, abs(values[place]))
        }
        peaks[term] = peak
        for column in 0..<columns {
          let output = column * outputs / columns
          let place = isTransposed ? output * width + term : term * outputs + output
          chosen[term * columns + column] = unsafe values[place]
        }
      }
    }
    self.width = width
    self.columns = columns
    weights = chosen
    weightPeaks = peaks
    fitted = sample.half(odd: false)
    judged = sample.half(odd: true)
    wanted = QuantizationTrial.product(judged.rows, chosen, width, columns)
    options = context.options
    observer = context.observer
  }

  /// The energy of the products.
  var signal: Double { wanted.reduce(0) { $0 + Double($1) * Double($1) } }

  /// The energy of the error with the columns of the rows divided, and the rows of the weight multiplied, by these factors.
  ///
  /// - Parameter excluded: Columns that a float product computes beside.
  func error(dividedBy factors: [Float], excluding excluded: [Int] = []) -> Double {
    let scaled = judged.divided(by: factors)
    var scaledWeights = weights
    for term in 0..<width {
      for column in 0..<columns { scaledWeights[term * columns + column] *= factors[term] }
    }
    let reference: [Float]
    if excluded.isEmpty {
      reference = wanted
    } else {
      for term in excluded { for column in 0..<columns { scaledWeights[term * columns + column] = 0 } }
      reference = QuantizationTrial.product(scaled.rows, scaledWeights, width, columns)
    }
    var rows = scaled.clearing(excluded).rows
    quantize(rows: &rows, ranging: fitted.divided(by: factors).clearing(excluded).rows)
    let cleared = Set(excluded)
    let peaks = (0..<width).map { cleared.contains($0) ? 0 : weightPeaks[$0] * factors[$0] }
    quantize(&scaledWeights, peak: peaks.max() ?? 0)
    let found = QuantizationTrial.product(rows, scaledWeights, width, columns)
    return zip(found, reference).reduce(0) { sum, pair in
      let difference = Double(pair.0) - Double(pair.1)
      return sum + difference * difference
    }
  }

  /// The energy of the error where the rows of each of these groups of tokens have a range of their own.
  func error(splittingInto groups: [Range<Int>]) -> Double {
    var rounded = weights
    quantize(&rounded, peak: weightPeaks.max() ?? 0)
    var total = 0.0
    for group in groups {
      let own = judged.tokens(in: group).rows
      var rows = own
      quantize(rows: &rows, ranging: fitted.tokens(in: group).rows)
      let found = QuantizationTrial.product(rows, rounded, width, columns)
      let reference = QuantizationTrial.product(own, weights, width, columns)
      for (a, b) in zip(found, reference) { total += (Double(a) - Double(b)) * (Double(a) - Double(b)) }
    }
    return total
  }

  /// - Parameters:
  ///   - rows: What is rounded.
  ///   - seen: What a range for all rows is found on.
  private func quantize(rows: inout [Float], ranging seen: [Float]) {
    guard options.activations == .dynamic, options.activationGranularity == .perRow else {
      var statistics = ValueStatistics()
      statistics.observe(seen.span)
      guard let range = try? observer.range(of: statistics),
        let params = QuantParams.uint8(low: range.lowerBound, high: range.upperBound)
      else { return }
      for index in rows.indices { rows[index] = params.dequantize(params.quantize(rows[index])) }
      return
    }
    for start in stride(from: 0, to: rows.count, by: width) {
      var (low, high) = (Float(0), Float(0))
      for index in start..<(start + width) {
        low = min(low, rows[index])
        high = max(high, rows[index])
      }
      guard let params = QuantParams.uint8(low: low, high: high) else { continue }
      for index in start..<(start + width) { rows[index] = params.dequantize(params.quantize(rows[index])) }
    }
  }

  /// Rounds to multiples of one 127th of the peak: of each column, or of the whole weight.
  private func quantize(_ weights: inout [Float], peak: Float) {
    var scales = [Float](repeating: peak / 127, count: columns)
    if options.granularity == .perChannel {
      for column in 0..<columns {
        scales[column] = (0..<width).reduce(Float(0)) { max($0, abs(weights[$1 * columns + column])) } / 127
      }
    }
    for term in 0..<width {
      for column in 0..<columns where scales[column] > 0 {
        let place = term * columns + column
        let step = (weights[place] / scales[column]).rounded(.toNearestOrEven)
        weights[place] = step * scales[column]
      }
    }
  }

  private static func product(_ rows: [Float], _ weights: [Float], _ width: Int, _ columns: Int) -> [Float] {
    let count = rows.count / max(width, 1)
    var result = [Float](repeating: 0, count: count * columns)
    unsafe rows.withUnsafeBufferPointer { (rows) in
      unsafe weights.withUnsafeBufferPointer { (weights) in
        unsafe result.withUnsafeMutableBufferPointer { (result) in
          for row in 0..<count {
            for term in 0..<width {
              let factor = unsafe rows[row &* width &+ term]
              let source = term &* columns
              let target = row &* columns
              for column in 0..<columns {
                unsafe result[target &+ column] += factor * weights[source &+ column]
              }
            }
          }
        }
      }
    }
    return result
  }
}
