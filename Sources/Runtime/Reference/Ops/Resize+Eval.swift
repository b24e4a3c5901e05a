internal import BinaryIO
internal import GraphIR

extension Resize {
  /// Nearest neighbour moves elements of any type; linear interpolates axis by axis in f64, rounded to f32 once.
  ///
  /// - Throws: A refusal for cubic interpolation and for coordinate or nearest modes other than the ones below.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.input(0)
    let shape = try e.shape()
    guard !x.shape.contains(0) else { throw Evaluation.refusal("T-resize", "the input \(x.type) is empty") }
    var coordinates: [[Double]] = []
    for axis in shape.indices { coordinates.append(try axisCoordinates(axis, x.shape[axis], shape[axis])) }
    switch mode {
    case .nearest:
      var offsets: [[Int]] = []
      let strides = Mover.strides(x.shape)
      for axis in shape.indices {
        let indices = try nearestIndices(axis, x.shape[axis], shape[axis])
        offsets.append(indices.map { $0 * strides[axis] })
      }
      return try Mover.pick(x, shape: shape, offsets: offsets)
    case .linear: return try interpolated(e.real(0), coordinates, shape).narrowed(to: e.dtype)
    case .cubic:
      throw Evaluation.unsupported(
        "cubic interpolation",
        remedy: "export the model with linear interpolation"
      )
    }
  }

  /// The position of the input that every output position of an axis takes by nearest neighbour.
  func nearestIndices(_ axis: Int, _ input: Int, _ output: Int) throws(Refusal) -> [Int] {
    try axisCoordinates(axis, input, output).map { (coordinate) throws(Refusal) in
      Swift.min(Swift.max(try rounded(coordinate), 0), input - 1)
    }
  }

  /// The input coordinate of every output position of an axis.
  func axisCoordinates(_ axis: Int, _ input: Int, _ output: Int) throws(Refusal) -> [Double] {
    let scale = scales.map { Double($0[axis]) } ?? Double(output) / Double(input)
    let positions = (0..<output).map(Double.init)
    switch coordinates {
    case "half_pixel": return positions.map { ($0 + 0.5) / scale - 0.5 }
    case "pytorch_half_pixel": return positions.map { output > 1 ? ($0 + 0.5) / scale - 0.5 : 0 }
    case "asymmetric": return positions.map { $0 / scale }
    case "align_corners":
      return positions.map { output > 1 ? $0 * Double(input - 1) / Double(output - 1) : 0 }
    default:
      throw Evaluation.unsupported(
        "the coordinate mode '\(Refusal.printable(coordinates))'",
        remedy: "use half_pixel, pytorch_half_pixel, asymmetric or align_corners"
      )
    }
  }

  private func rounded(_ coordinate: Double) throws(Refusal) -> Int {
    let whole: Double
    switch nearest {
    case "round_prefer_floor": whole = (coordinate - 0.5).rounded(.up)
    case "round_prefer_ceil": whole = (coordinate + 0.5).rounded(.down)
    case "floor": whole = coordinate.rounded(.down)
    case "ceil": whole = coordinate.rounded(.up)
    default:
      throw Evaluation.unsupported(
        "the nearest mode '\(Refusal.printable(nearest))'",
        remedy: "use round_prefer_floor, round_prefer_ceil, floor or ceil"
      )
    }
    return Casting.integer(whole)
  }

  private func interpolated(_ x: Tensor, _ coordinates: [[Double]], _ shape: [Int]) throws(Refusal) -> Tensor
  {
    var values = x.elements(as: Float.self).map(Double.init)
    var current = x.shape
    for axis in shape.indices {
      let extent = current[axis]
      guard coordinates[axis] != (0..<extent).map(Double.init) else { continue }
      let inner = current[(axis + 1)...].reduce(1, *)
      let outer = current[..<axis].reduce(1, *)
      var next: [Double] = []
      next.reserveCapacity(outer * shape[axis] * inner)
      for block in 0..<outer {
        for coordinate in coordinates[axis] {
          let low = coordinate.rounded(.down)
          let weight = coordinate - low
          let first = block * extent + Swift.min(Swift.max(Int(low), 0), extent - 1)
          let second = block * extent + Swift.min(Swift.max(Int(low) + 1, 0), extent - 1)
          for position in 0..<inner {
            let (a, b) = (values[first * inner + position], values[second * inner + position])
            next.append(weight == 0 ? a : a * (1 - weight) + b * weight)
          }
        }
      }
      values = next
      current[axis] = shape[axis]
    }
    return try Tensor.floats(values.map { Float($0) }, shape)
  }
}

extension Evaluation {
  static func unsupported(_ what: String, remedy: String) -> Refusal {
    Refusal(.unsupported, at: "", rule: "V4", "\(what) is not supported", remedy: remedy)
  }
}
