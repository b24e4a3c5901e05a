import GraphIR

/// Layers of encoders of text: indices `[batch, length]` and features `[batch, length, channels]`.
extension Network {
  /// Rows of a table by index.
  mutating func gather(_ name: String, _ table: Feature, _ indices: Feature) -> Feature {
    add(name, .gather(Gather(axis: 0)), [table, indices])
  }

  /// The i64 indices of an axis, from 0.
  mutating func indices(_ name: String, of x: Feature, axis: Int) -> Feature {
    let shape = add("\(name).shape", .shape(ShapeOf()), [x])
    let extent = add("\(name).extent", .gather(Gather(axis: 0)), [shape, Feature(integer: axis)])
    return add(name, .range(RangeOp()), [Feature(integer: 0), extent, Feature(integer: 1)])
  }

  mutating func layerNorm(_ name: String, _ x: Feature, epsilon: Float, parameters: [String]) -> Feature {
    let demands = parameters.map { Demand(name: "\(name).\($0)", shape: [x.channels]) }
    return add(name, .layerNorm(LayerNorm(axis: -1, epsilon: epsilon)), [x], demands)
  }

  mutating func cast(_ name: String, _ x: Feature) -> Feature {
    add(name, .cast(Cast(to: .float32)), [x])
  }

  mutating func unsqueeze(_ name: String, _ x: Feature, axes: [Int]) -> Feature {
    add(name, .unsqueeze(Unsqueeze(axes: axes)), [x])
  }

  mutating func tanh(_ name: String, _ x: Feature) -> Feature { add(name, .unary(Unary(.tanh)), [x]) }

  mutating func shifted(_ name: String, _ x: Feature, by summand: Float) -> Feature {
    add(name, .binary(Binary(.add)), [x], constants: [summand])
  }

  mutating func quotient(_ name: String, _ x: Feature, _ y: Feature) -> Feature {
    add(name, .binary(Binary(.div)), [x, y])
  }

  mutating func atLeast(_ name: String, _ x: Feature, _ bound: Float) -> Feature {
    add(name, .clip(Clip(min: bound)), [x])
  }

  mutating func reduce(
    _ name: String,
    _ kind: Reduce.Kind,
    _ x: Feature,
    axis: Int,
    keepsAxis: Bool = true
  ) -> Feature {
    add(name, .reduce(Reduce(kind, axes: [axis], keepDims: keepsAxis)), [x])
  }
}
