import BinaryIO

/// Takes a node's attributes by name and type, and refuses what is left over (O27, O28).
struct NodeAttributes {
  /// ONNX's numbers of the attribute types that are read.
  private enum Kind: Int {
    case float = 1
    case int = 2
    case string = 3
    case tensor = 4
    case floats = 6
    case ints = 7
    case strings = 8
  }

  private var remaining: [String: Proto.Attribute] = [:]

  /// - Throws: A refusal when a name occurs twice, a value does not have its declared type, or one is a reference.
  init(_ attributes: [Proto.Attribute]) throws(Refusal) {
    for attribute in attributes {
      guard !attribute.name.isEmpty else { throw NodeAttributes.refusal("", "has no name") }
      guard attribute.reference.isEmpty else {
        throw NodeAttributes.refusal(attribute.name, "refers to a function's attribute", rule: "O28")
      }
      try NodeAttributes.checkType(attribute)
      guard remaining.updateValue(attribute, forKey: attribute.name) == nil else {
        throw NodeAttributes.refusal(attribute.name, "is given twice")
      }
    }
  }

  func contains(_ name: String) -> Bool { remaining[name] != nil }

  mutating func int(_ name: String) throws(Refusal) -> Int? {
    try take(name, .int).map { $0.int ?? 0 }
  }

  mutating func bool(_ name: String) throws(Refusal) -> Bool? {
    guard let value = try int(name) else { return nil }
    guard value == 0 || value == 1 else { throw NodeAttributes.refusal(name, "is \(value), must be 0 or 1") }
    return value == 1
  }

  mutating func float(_ name: String) throws(Refusal) -> Float? {
    try take(name, .float).map { $0.float ?? 0 }
  }

  mutating func string(_ name: String) throws(Refusal) -> String? {
    guard let attribute = try take(name, .string) else { return nil }
    guard let text = String(validating: attribute.string ?? [], as: UTF8.self) else {
      throw NodeAttributes.refusal(name, "is no UTF-8 text")
    }
    return text
  }

  mutating func strings(_ name: String) throws(Refusal) -> [String]? {
    guard let attribute = try take(name, .strings) else { return nil }
    var result: [String] = []
    for bytes in attribute.strings {
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw NodeAttributes.refusal(name, "is no UTF-8 text")
      }
      result.append(text)
    }
    return result
  }

  mutating func ints(_ name: String) throws(Refusal) -> [Int]? { try take(name, .ints)?.ints }

  mutating func floats(_ name: String) throws(Refusal) -> [Float]? { try take(name, .floats)?.floats }

  mutating func tensor(_ name: String) throws(Refusal) -> Proto.Tensor? {
    guard let attribute = try take(name, .tensor) else { return nil }
    guard let tensor = attribute.tensor else { throw NodeAttributes.refusal(name, "has no tensor") }
    return tensor
  }

  /// Drops an attribute that does not change the results of inference.
  mutating func ignore(_ names: String...) {
    for name in names { remaining[name] = nil }
  }

  /// Takes an attribute of which only one value is supported.
  ///
  /// - Throws: A refusal when it is given with another value.
  mutating func expect(_ name: String, _ value: Int) throws(Refusal) {
    guard let given = try int(name), given != value else { return }
    throw NodeAttributes.unsupported(name, "is \(given), only \(value) is supported")
  }

  /// - Throws: A refusal naming the first attribute, in order of names, that nobody took.
  func finish() throws(Refusal) {
    guard let left = remaining.keys.min() else { return }
    throw NodeAttributes.refusal(left, "is not known for this operator and opset")
  }

  private mutating func take(_ name: String, _ kind: Kind) throws(Refusal) -> Proto.Attribute? {
    guard let attribute = remaining.removeValue(forKey: name) else { return nil }
    let type = attribute.type ?? NodeAttributes.impliedType(attribute)
    guard type == kind.rawValue else {
      throw NodeAttributes.refusal(
        name,
        "has attribute type \(type ?? 0), must be \(kind.rawValue) (\(kind))"
      )
    }
    return attribute
  }

  /// Types of the fields that hold something.
  private static func filledTypes(_ attribute: Proto.Attribute) -> [Kind] {
    let filled: [(Kind, Bool)] = [
      (.float, attribute.float != nil), (.int, attribute.int != nil), (.string, attribute.string != nil),
      (.tensor, attribute.tensor != nil), (.floats, !attribute.floats.isEmpty),
      (.ints, !attribute.ints.isEmpty), (.strings, !attribute.strings.isEmpty),
    ]
    return filled.filter(\.1).map(\.0)
  }

  private static func impliedType(_ attribute: Proto.Attribute) -> Int? {
    filledTypes(attribute).first?.rawValue
  }

  private static func checkType(_ attribute: Proto.Attribute) throws(Refusal) {
    let filled = filledTypes(attribute)
    guard attribute.otherFields.isEmpty else {
      throw unsupported(attribute.name, "holds a \(attribute.otherFields[0])")
    }
    guard filled.count <= 1 else {
      throw refusal(attribute.name, "has \(filled.count) values, must have one")
    }
    guard let type = attribute.type, let field = filled.first, type != field.rawValue else { return }
    throw refusal(attribute.name, "is declared as type \(type), but holds one of type \(field.rawValue)")
  }

  static func refusal(_ name: String, _ problem: String, rule: String = "O27") -> Refusal {
    Refusal(
      .invalid,
      at: "attribute '\(Refusal.printable(name))'",
      rule: rule,
      problem,
      remedy: "correct the attribute in the model's exporter"
    )
  }

  static func unsupported(_ name: String, _ problem: String) -> Refusal {
    Refusal(
      .unsupported,
      at: "attribute '\(Refusal.printable(name))'",
      rule: "O29",
      problem,
      remedy: "export the model without it"
    )
  }
}
