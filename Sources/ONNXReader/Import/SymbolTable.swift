import BinaryIO
import GraphIR

/// Names of extents: one name of the file, one symbol of the graph (O40).
struct SymbolTable {
  private var symbols: [String: String] = [:]
  private var names = UniqueNames()

  /// The type of a graph input.
  ///
  /// A missing extent gets a symbol of its own: `batch` for the first axis, `dim` for others.
  ///
  /// - Throws: A refusal when it is no tensor of known rank, or an extent is negative.
  mutating func type(of info: Proto.ValueInfo, limits: Limits) throws(Refusal) -> TensorType {
    guard let type = info.type else {
      throw refusal("O36", "is no tensor", .unsupported, "export the model with tensor inputs")
    }
    let dtype = try TensorDecoder.dtype(type.elementType)
    guard let shape = type.shape else {
      throw refusal("O40", "has no shape", .unsupported, "declare at least the number of axes of the input")
    }
    guard shape.count <= limits.rank else {
      throw refusal("L1", "has \(shape.count) axes, at most \(limits.rank)", .limit, "use fewer axes")
    }
    var dims: [Dim] = []
    for (axis, dimension) in shape.enumerated() {
      guard let value = dimension.value else {
        dims.append(.symbol(symbol(dimension.parameter ?? "", axis: axis)))
        continue
      }
      guard (dimension.parameter ?? "").isEmpty, value >= 0 else {
        throw refusal(
          "O41",
          "has an axis of extent \(value) and name \(Refusal.quoted(dimension.parameter ?? ""))"
        )
      }
      guard value <= limits.dimension else {
        throw refusal("L2", "has an axis of extent \(value)", .limit, "use smaller extents")
      }
      dims.append(.known(value))
    }
    return TensorType(dtype, dims)
  }

  private mutating func symbol(_ parameter: String, axis: Int) -> String {
    if !parameter.isEmpty, let known = symbols[parameter] { return known }
    let symbol = names.take(SymbolTable.identifier(parameter, or: axis == 0 ? "batch" : "dim"))
    if !parameter.isEmpty { symbols[parameter] = symbol }
    return symbol
  }

  /// `text` with everything but ASCII letters, digits and `_` replaced, beginning with a letter or `_`.
  private static func identifier(_ text: String, or standard: String) -> String {
    let letters = text.unicodeScalars.prefix(64).map { (scalar: Unicode.Scalar) -> Character in
      scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
        ? Character(scalar) : "_"
    }
    guard let first = letters.first else { return standard }
    return first.isNumber ? "_" + String(letters) : String(letters)
  }

  private func refusal(
    _ rule: String,
    _ problem: String,
    _ kind: Refusal.Kind = .invalid,
    _ remedy: String = "export the model again"
  ) -> Refusal {
    Refusal(kind, at: "", rule: rule, problem, remedy: remedy)
  }
}
