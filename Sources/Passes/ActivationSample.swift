package import GraphIR

/// What recovery knows of the rows that a matrix product reads on calibration data.
package struct ActivationSample: Sendable {
  /// Elements of a row.
  package let width: Int
  /// Rows that were kept, one after the other.
  package private(set) var rows: [Float] = []
  /// The largest magnitude of each column over all rows, kept or not.
  package private(set) var peaks: [Float]
  /// The parity of the sample that each kept row is of.
  private var isOdd: [Bool] = []
  /// The place of each kept row along the axis before the last.
  private var tokens: [Int] = []

  package init(width: Int) {
    self.width = width
    peaks = [Float](repeating: 0, count: width)
  }

  /// Rows that were kept.
  package var count: Int { rows.count / max(width, 1) }

  /// Takes the value of one calibration sample.
  ///
  /// Keeps rows spread evenly, from another offset for each sample, and the one with the largest magnitude.
  ///
  /// - Parameters:
  ///   - tensor: f32, the last axis as wide as the rows.
  ///   - rows: The rows to look at; nil: all.
  ///   - number: The number of the sample, which shifts the choice.
  ///   - limit: The most rows to keep of this sample.
  package mutating func observe(_ tensor: Tensor, rows wanted: [Int]? = nil, number: Int, limit: Int) {
    let all = wanted ?? Array(0..<(tensor.count / max(width, 1)))
    guard !all.isEmpty else { return }
    let values = tensor.elements(as: Float.self)
    let length = tensor.shape.count > 1 ? max(tensor.shape[tensor.shape.count - 2], 1) : 1
    var loudest = (row: 0, peak: Float(-1))
    for row in all {
      var peak: Float = 0
      for column in 0..<width {
        let magnitude = abs(values[row * width + column])
        guard magnitude.isFinite else { continue }
        if magnitude > peaks[column] { peaks[column] = magnitude }
        if magnitude > peak { peak = magnitude }
      }
      if peak > loudest.peak { loudest = (row, peak) }
    }
    let count = min(all.count, max(limit - 1, 1))
    var chosen: Set<Int> = [loudest.row]
    for index in 0..<count { chosen.insert(all[(index * all.count / count + number * 7) % all.count]) }
    for row in chosen.sorted() {
      let own = values[(row * width)..<((row + 1) * width)]
      guard own.allSatisfy(\.isFinite) else { continue }
      rows += own
      isOdd.append(!number.isMultiple(of: 2))
      tokens.append(row % length)
    }
  }

  /// The magnitude that each column may reach on other data: its peak, or four standard deviations if that is more.
  var levels: [Float] {
    var squares = [Float](repeating: 0, count: width)
    for row in 0..<count {
      for column in 0..<width { squares[column] += rows[row * width + column] * rows[row * width + column] }
    }
    return zip(peaks, squares).map { max($0, 4 * ($1 / Float(max(count, 1))).squareRoot()) }
  }

  /// The tokens from the first to the last of the first `limit` ones that reach four times as far as any later token; nil where none
  /// does.
  func loudTokens(limit: Int) -> Range<Int>? {
    var peaks = [Float](repeating: 0, count: (tokens.max() ?? 0) + 1)
    for (row, token) in tokens.enumerated() {
      for value in rows[(row * width)..<((row + 1) * width)] { peaks[token] = max(peaks[token], abs(value)) }
    }
    var rest: Float = 0
    for token in peaks.indices.reversed() {
      if token < limit, rest > 0, peaks[token] > 4 * rest {
        let first = peaks.firstIndex { $0 > 4 * rest } ?? token
        return first..<(token + 1)
      }
      rest = max(rest, peaks[token])
    }
    return nil
  }

  /// The rows of some tokens.
  func tokens(in range: Range<Int>) -> ActivationSample {
    var result = ActivationSample(width: width)
    for row in 0..<count where range.contains(tokens[row]) {
      let own = rows[(row * width)..<((row + 1) * width)]
      result.rows += own
      result.isOdd.append(isOdd[row])
      result.tokens.append(tokens[row])
      for (column, value) in own.enumerated() { result.peaks[column] = max(result.peaks[column], abs(value)) }
    }
    return result
  }

  /// The rows of samples with an even number, or of those with an odd one; all where either has none.
  func half(odd: Bool) -> ActivationSample {
    guard isOdd.contains(true), isOdd.contains(false) else { return self }
    var result = ActivationSample(width: width)
    for row in 0..<count where isOdd[row] == odd {
      let own = rows[(row * width)..<((row + 1) * width)]
      result.rows += own
      result.isOdd.append(odd)
      result.tokens.append(tokens[row])
      for (column, value) in own.enumerated() { result.peaks[column] = max(result.peaks[column], abs(value)) }
    }
    return result
  }

  /// The sample with every column divided by its factor.
  func divided(by factors: [Float]) -> ActivationSample {
    var result = self
    for index in rows.indices { result.rows[index] = rows[index] / factors[index % width] }
    for column in peaks.indices { result.peaks[column] = peaks[column] / factors[column] }
    return result
  }

  /// The sample with some columns set to 0.
  func clearing(_ columns: [Int]) -> ActivationSample {
    var result = self
    for column in columns {
      result.peaks[column] = 0
      for row in 0..<count { result.rows[row * width + column] = 0 }
    }
    return result
  }
}
