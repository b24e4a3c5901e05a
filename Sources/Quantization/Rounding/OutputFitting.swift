package import GraphIR

/// Moves single integers of a row of weights while that brings the operator's output nearer to what the weights give.
///
/// The error is `Σ (f(s·q·y + m) − f(w·y + m))²` over patches `y`, less their means, with `m` the mean of the output and `f` the
/// operator's activation: what it cuts off does not count. Added is `ρ Σ E[y_k²] (w_k − s·q_k)²`, which keeps the row near the
/// weights as far as the patches are too few to tell; `ρ` is that of ``PatchColumns/shrinkage``. Coordinate descent: each integer in
/// turn moves by 1 where the slope says so and the error falls; between the rounds the scale takes a Newton step. Deterministic.
package struct OutputFitting: Sendable {
  private let columns: PatchColumns
  private let response: ActivationResponse
  /// What a squared deviation of each weight costs.
  private let ridge: [Double]

  package init(_ columns: PatchColumns, _ activation: Activation) {
    self.columns = columns
    response = ActivationResponse(activation)
    let share = columns.shrinkage / max(1 - columns.shrinkage, 1e-9) * Double(columns.count)
    ridge = columns.squares.map { $0 * share }
  }

  /// Whether the activation is taken for linear, so that second moments tell the error.
  package var isLinear: Bool { response.isLinear }

  /// A row of weights.
  package struct Row: Sendable {
    package var values: [Int8]
    package var scale: Float
    /// The error per patch; 0 before it is known.
    package var error = 0.0

    package init(values: [Int8], scale: Float, error: Double = 0) {
      self.values = values
      self.scale = scale
      self.error = error
    }
  }

  /// Fits a row.
  ///
  /// - Parameters:
  ///   - start: Where to begin.
  ///   - weights: What the integers stand for.
  ///   - mean: The mean of the output before the activation.
  ///   - floor: The least scale; nil: the scale stays.
  ///   - rounds: How often all integers are looked at, at most.
  package func fit(_ start: Row, to weights: [Double], mean: Float, floor: Float?, rounds: Int) -> Row {
    var state = State(start, columns, response, weights, mean, ridge)
    for _ in 0..<rounds {
      if let floor { state.moveScale(floor: floor) }
      guard state.moveIntegers() else { break }
    }
    var row = state.row
    row.error = state.error / Double(max(columns.count, 1))
    return row
  }
}

/// A row under way: what it gives on every patch, and the error's slopes there.
private struct State {
  private(set) var row: OutputFitting.Row
  private(set) var error = 0.0
  private let columns: PatchColumns
  private let response: ActivationResponse
  private let wanted: [Float]
  private let weights: [Double]
  private let mean: Float
  private let ridge: [Double]
  /// `s·q·y + m`.
  private var sums: [Float]
  /// Half the error's derivative by the sum.
  private var slopes: [Float]
  /// Half its second derivative, without the activation's curvature.
  private var bends: [Float]

  init(
    _ row: OutputFitting.Row,
    _ columns: PatchColumns,
    _ response: ActivationResponse,
    _ weights: [Double],
    _ mean: Float,
    _ ridge: [Double]
  ) {
    self.row = row
    self.columns = columns
    self.response = response
    self.weights = weights
    self.mean = mean
    self.ridge = ridge
    wanted = columns.responses(weights.map { Float($0) }, factor: columns.scale).map {
      response.value($0 + mean)
    }
    sums = columns.responses(row.values.map(Float.init), factor: row.scale * columns.scale)
    for patch in sums.indices { sums[patch] += mean }
    slopes = [Float](repeating: 0, count: sums.count)
    bends = slopes
    settle()
  }

  /// How far a weight is from where it should be.
  private func deviation(_ term: Int) -> Double {
    weights[term] - Double(row.values[term]) * Double(row.scale)
  }

  /// Brings error and slopes up to date with the sums.
  private mutating func settle() {
    var total = 0.0
    let (response, count) = (response, sums.count)
    unsafe sums.withUnsafeBytes { (sums) in
      unsafe wanted.withUnsafeBytes { (wanted) in
        unsafe slopes.withUnsafeMutableBytes { (slopes) in
          unsafe bends.withUnsafeMutableBytes { (bends) in
            for at in stride(from: 0, to: count &* 4, by: 32) {
              let x = unsafe sums.loadUnaligned(fromByteOffset: at, as: SIMD8<Float>.self)
              let t = unsafe wanted.loadUnaligned(fromByteOffset: at, as: SIMD8<Float>.self)
              let error = response.value(x) - t
              let slope = response.slope(x, error)
              unsafe slopes.storeBytes(of: error * slope, toByteOffset: at, as: SIMD8<Float>.self)
              unsafe bends.storeBytes(of: slope * slope, toByteOffset: at, as: SIMD8<Float>.self)
              total += Double((error * error).sum())
            }
          }
        }
      }
    }
    for term in weights.indices { total += ridge[term] * deviation(term) * deviation(term) }
    error = total
  }

  /// The patches' part of the error with `step` times a column added to the sums.
  private func patchesError(moving term: Int, by step: Float) -> Double {
    var total = 0.0
    let (response, count) = (response, sums.count)
    let base = term &* count &* 4
    unsafe sums.withUnsafeBytes { (sums) in
      unsafe wanted.withUnsafeBytes { (wanted) in
        unsafe columns.values.withUnsafeBytes { (values) in
          var start = 0
          while start < count &* 4 {
            let end = min(count &* 4, start &+ 4096)
            var lanes = SIMD8<Float>.zero
            for at in stride(from: start, to: end, by: 32) {
              let x = unsafe sums.loadUnaligned(fromByteOffset: at, as: SIMD8<Float>.self)
              let y = unsafe values.loadUnaligned(fromByteOffset: base &+ at, as: SIMD8<Float>.self)
              let t = unsafe wanted.loadUnaligned(fromByteOffset: at, as: SIMD8<Float>.self)
              let error = response.value(x + step * y) - t
              lanes += error * error
            }
            total += Double(lanes.sum())
            start = end
          }
        }
      }
    }
    return total
  }

  /// Half the error's first and second derivative by a weight's integer.
  private func derivatives(_ term: Int) -> (slope: Float, bend: Float) {
    let count = sums.count
    let base = term &* count &* 4
    var slope = SIMD8<Float>.zero
    var bend = SIMD8<Float>.zero
    unsafe slopes.withUnsafeBytes { (slopes) in
      unsafe bends.withUnsafeBytes { (bends) in
        unsafe columns.values.withUnsafeBytes { (values) in
          for at in stride(from: 0, to: count &* 4, by: 32) {
            let y = unsafe values.loadUnaligned(fromByteOffset: base &+ at, as: SIMD8<Float>.self)
            unsafe slope += y * slopes.loadUnaligned(fromByteOffset: at, as: SIMD8<Float>.self)
            unsafe bend += y * y * bends.loadUnaligned(fromByteOffset: at, as: SIMD8<Float>.self)
          }
        }
      }
    }
    let step = row.scale * columns.scale
    return (slope.sum() * step, bend.sum() * step * step)
  }

  /// Moves every integer by 1 where that lowers the error.
  ///
  /// - Returns: Whether any moved.
  mutating func moveIntegers() -> Bool {
    var moved = false
    var patchError = error - weights.indices.reduce(0) { $0 + ridge[$1] * deviation($1) * deviation($1) }
    for term in row.values.indices {
      let (slope, bend) = derivatives(term)
      let unit = Double(row.scale)
      let own = Double(slope) - ridge[term] * deviation(term) * unit
      guard 2 * abs(own) > (Double(bend) + ridge[term] * unit * unit) * 1.001 else { continue }
      let direction = own > 0 ? -1 : 1
      let integer = Int(row.values[term]) + direction
      guard (-127...127).contains(integer) else { continue }
      let step = Float(direction) * row.scale * columns.scale
      let next = weights[term] - Double(integer) * unit
      let change = ridge[term] * (next * next - deviation(term) * deviation(term))
      let found = patchesError(moving: term, by: step)
      guard found + change < patchError - 1e-6 * error else { continue }
      row.values[term] = Int8(integer)
      add(term, step)
      settle()
      patchError = found
      moved = true
    }
    return moved
  }

  private mutating func add(_ term: Int, _ step: Float) {
    let count = sums.count
    let base = term &* count &* 4
    let factor = SIMD8<Float>(repeating: step)
    unsafe columns.values.withUnsafeBytes { (values) in
      unsafe sums.withUnsafeMutableBytes { (sums) in
        for at in stride(from: 0, to: count &* 4, by: 32) {
          let x = unsafe sums.loadUnaligned(fromByteOffset: at, as: SIMD8<Float>.self)
          let y = unsafe values.loadUnaligned(fromByteOffset: base &+ at, as: SIMD8<Float>.self)
          unsafe sums.storeBytes(of: x + factor * y, toByteOffset: at, as: SIMD8<Float>.self)
        }
      }
    }
  }

  /// Takes a Newton step of the scale if it helps.
  mutating func moveScale(floor: Float) {
    var (slope, bend) = (0.0, 0.0)
    for patch in sums.indices {
      let sum = Double(sums[patch] - mean)
      slope += Double(slopes[patch]) * sum
      bend += Double(bends[patch]) * sum * sum
    }
    for term in weights.indices {
      let weight = Double(row.values[term]) * Double(row.scale)
      slope -= ridge[term] * deviation(term) * weight
      bend += ridge[term] * weight * weight
    }
    guard bend > 0 else { return }
    let scale = row.scale * Float(1 - min(max(slope / bend, -0.1), 0.1))
    guard scale >= floor, QuantParams.isValidScale(scale) else { return }
    var next = self
    next.row.scale = scale
    let ratio = scale / row.scale
    for patch in sums.indices { next.sums[patch] = (sums[patch] - mean) * ratio + mean }
    next.settle()
    if next.error < error { self = next }
  }
}
