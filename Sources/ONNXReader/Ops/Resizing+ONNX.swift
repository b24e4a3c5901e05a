import BinaryIO
import GraphIR

extension OperatorTable {
  /// Interpolation.
  static let resizing = [
    OperatorEntry("Resize", 1...4, since: 10, importResize),
    OperatorEntry("Upsample", 1...2, until: 9, importUpsample),
  ]

  /// Upsample, and Resize of opset 10: asymmetric coordinates, nearest rounds down.
  private static func importUpsample(_ node: inout NodeImporter) throws(Refusal) {
    let x = try node.input(0)
    let mode = try interpolation(node.attributes.string("mode"))
    let scales =
      node.operatorSet < 9 ? try node.attributes.floats("scales") : try node.constantFloats(1, "scales")
    guard let scales else { throw NodeAttributes.refusal("scales", "is missing") }
    let op = Resize(scales: scales, mode: mode, coordinates: "asymmetric", nearest: "floor")
    try node.finish(.resize(op), [x])
  }

  private static func importResize(_ node: inout NodeImporter) throws(Refusal) {
    guard node.operatorSet >= 11 else { return try importUpsample(&node) }
    let x = try node.input(0)
    try checkOptions(&node)
    var op = Resize(
      mode: try interpolation(node.attributes.string("mode")),
      coordinates: try node.attributes.string("coordinate_transformation_mode") ?? "half_pixel",
      nearest: try node.attributes.string("nearest_mode") ?? "round_prefer_floor"
    )
    let known = [
      "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
    ]
    guard known.contains(op.coordinates) else {
      throw NodeAttributes.unsupported(
        "coordinate_transformation_mode",
        "is \(Refusal.quoted(op.coordinates)), only \(known.joined(separator: ", ")) are supported"
      )
    }
    guard ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"].contains(op.nearest) else {
      throw NodeAttributes.refusal("nearest_mode", "is \(Refusal.quoted(op.nearest)), which does not exist")
    }
    let type = node.type(x)
    let axes = try chosenAxes(&node, rank: type.rank)
    let scales = try node.constantFloats(2, "scales")
    if let scales, !scales.isEmpty {
      op.scales = try spread(scales, axes, rank: type.rank, node)
    } else if let sizes = node.optional(3) {
      try setSizes(of: &op, sizes, axes, type, node)
    }
    try node.finish(.resize(op), [x])
  }

  /// Options of which one value is supported.
  private static func checkOptions(_ node: inout NodeImporter) throws(Refusal) {
    try node.attributes.expect("exclude_outside", 0)
    try node.attributes.expect("antialias", 0)
    if let a = try node.attributes.float("cubic_coeff_a"), a != -0.75 {
      throw NodeAttributes.unsupported("cubic_coeff_a", "is \(a), only -0.75 is supported")
    }
    let policy = try node.attributes.string("keep_aspect_ratio_policy") ?? "stretch"
    guard policy == "stretch" else {
      throw NodeAttributes.unsupported("keep_aspect_ratio_policy", "is \(Refusal.quoted(policy))")
    }
    // It concerns tf_crop_and_resize only, which is refused.
    node.attributes.ignore("extrapolation_value")
  }

  private static func interpolation(_ name: String?) throws(Refusal) -> Resize.Mode {
    guard let name else { return .nearest }
    guard let mode = Resize.Mode(rawValue: name) else {
      throw NodeAttributes.refusal("mode", "is \(Refusal.quoted(name)), must be nearest, linear or cubic")
    }
    return mode
  }

  private static func chosenAxes(_ node: inout NodeImporter, rank: Int) throws(Refusal) -> [Int]? {
    guard let axes = try node.attributes.ints("axes") else { return nil }
    guard axes.allSatisfy({ (-rank..<rank).contains($0) }) else {
      throw NodeAttributes.refusal("axes", "is \(axes), the input has \(rank) axes")
    }
    let result = axes.map { $0 < 0 ? $0 + rank : $0 }
    guard Set(result).count == result.count else {
      throw NodeAttributes.refusal("axes", "is \(axes), which names an axis twice")
    }
    return result
  }

  /// Factors for all axes from those of some.
  private static func spread(
    _ scales: [Float],
    _ axes: [Int]?,
    rank: Int,
    _ node: NodeImporter
  ) throws(Refusal) -> [Float] {
    guard let axes else { return scales }
    guard axes.count == scales.count else {
      throw node.refusal("O42", "has \(scales.count) scales for \(axes.count) axes")
    }
    var result = Array(repeating: Float(1), count: rank)
    for (axis, scale) in zip(axes, scales) { result[axis] = scale }
    return result
  }

  /// Sizes; an axis whose extent is a symbol must keep it, and the others are then given as factors.
  private static func setSizes(
    of op: inout Resize,
    _ operand: Operand,
    _ axes: [Int]?,
    _ type: TensorType,
    _ node: NodeImporter
  ) throws(Refusal) {
    guard let given = node.shapeValue(operand) else { throw node.notConstant("sizes") }
    guard given.count == axes?.count ?? type.rank else {
      throw node.refusal("O42", "has \(given.count) sizes for \(axes?.count ?? type.rank) axes")
    }
    var sizes = type.dims
    for (axis, size) in zip(axes ?? Array(type.dims.indices), given) { sizes[axis] = size }
    let known = sizes.compactMap(\.value)
    guard known.count != sizes.count || type.knownDims == nil else {
      op.sizes = known
      return
    }
    var scales: [Float] = []
    for (size, extent) in zip(sizes, type.dims) {
      if let size = size.value, let extent = extent.value, size > 0, extent > 0 {
        scales.append(scale(from: extent, to: size))
      } else if size == extent, size != .unknown {
        scales.append(1)
      } else {
        throw node.notConstant("sizes")
      }
    }
    op.scales = scales
  }

  /// The smallest factor near `size / extent` whose product with the extent rounds down to the size.
  private static func scale(from extent: Int, to size: Int) -> Float {
    let scale = Float(Double(size) / Double(extent))
    return Double(extent) * Double(scale) < Double(size) ? scale.nextUp : scale
  }
}
