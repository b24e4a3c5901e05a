public import BinaryIO

/// The value of an operator's attribute.
public enum AttributeValue: Hashable, Sendable {
  case int(Int)
  case float(Float)
  case string(String)
  case ints([Int])
  case floats([Float])
}

/// An operator's attributes in a fixed order, as the text form and the files hold them.
public struct Attributes: Hashable, Sendable {
  public private(set) var entries: [Entry] = []

  /// One name with its value.
  public struct Entry: Hashable, Sendable {
    public let name: String
    public let value: AttributeValue

    public init(name: String, value: AttributeValue) {
      self.name = name
      self.value = value
    }
  }

  public init(_ entries: [Entry] = []) { self.entries = entries }

  package mutating func set(_ name: String, _ value: Int, unless standard: Int? = nil) {
    guard value != standard else { return }
    entries.append(Entry(name: name, value: .int(value)))
  }

  package mutating func set(_ name: String, _ value: Bool, unless standard: Bool? = nil) {
    guard value != standard else { return }
    entries.append(Entry(name: name, value: .int(value ? 1 : 0)))
  }

  package mutating func set(_ name: String, _ value: Float, unless standard: Float? = nil) {
    guard value != standard else { return }
    entries.append(Entry(name: name, value: .float(value)))
  }

  package mutating func set(_ name: String, _ value: String, unless standard: String? = nil) {
    guard value != standard else { return }
    entries.append(Entry(name: name, value: .string(value)))
  }

  package mutating func set(_ name: String, _ value: [Int]?) {
    guard let value else { return }
    entries.append(Entry(name: name, value: .ints(value)))
  }

  package mutating func set(_ name: String, _ value: [Float]?) {
    guard let value else { return }
    entries.append(Entry(name: name, value: .floats(value)))
  }
}

/// Takes attributes by name and type, and refuses what is left over.
public struct AttributeReader {
  private var remaining: [String: AttributeValue] = [:]

  /// - Throws: A refusal when a name occurs twice.
  public init(_ attributes: Attributes) throws(Refusal) {
    for entry in attributes.entries {
      guard remaining.updateValue(entry.value, forKey: entry.name) == nil else {
        throw AttributeReader.refusal(entry.name, "is given twice", rule: "O27")
      }
    }
  }

  package mutating func int(_ name: String) throws(Refusal) -> Int? {
    guard let value = remaining.removeValue(forKey: name) else { return nil }
    guard case .int(let int) = value else {
      throw AttributeReader.refusal(name, "must be an integer", rule: "O27")
    }
    return int
  }

  package mutating func bool(_ name: String) throws(Refusal) -> Bool? {
    guard let value = try int(name) else { return nil }
    guard value == 0 || value == 1 else {
      throw AttributeReader.refusal(name, "is \(value), must be 0 or 1", rule: "O27")
    }
    return value == 1
  }

  package mutating func float(_ name: String) throws(Refusal) -> Float? {
    guard let value = remaining.removeValue(forKey: name) else { return nil }
    switch value {
    case .float(let float): return float
    case .int(let int): return Float(int)
    case .string, .ints, .floats: throw AttributeReader.refusal(name, "must be a number", rule: "O27")
    }
  }

  package mutating func string(_ name: String) throws(Refusal) -> String? {
    guard let value = remaining.removeValue(forKey: name) else { return nil }
    guard case .string(let string) = value else {
      throw AttributeReader.refusal(name, "must be a string", rule: "O27")
    }
    return string
  }

  package mutating func ints(_ name: String) throws(Refusal) -> [Int]? {
    guard let value = remaining.removeValue(forKey: name) else { return nil }
    switch value {
    case .ints(let ints): return ints
    case .floats(let floats) where floats.isEmpty: return []
    case .floats, .int, .float, .string:
      throw AttributeReader.refusal(name, "must be a list of integers", rule: "O27")
    }
  }

  package mutating func floats(_ name: String) throws(Refusal) -> [Float]? {
    guard let value = remaining.removeValue(forKey: name) else { return nil }
    switch value {
    case .floats(let floats): return floats
    case .ints(let ints): return ints.map { Float($0) }
    case .int, .float, .string: throw AttributeReader.refusal(name, "must be a list of numbers", rule: "O27")
    }
  }

  /// - Throws: A refusal naming the first attribute, in order of names, that nobody took.
  package func finish() throws(Refusal) {
    guard let left = remaining.keys.min() else { return }
    throw AttributeReader.refusal(left, "is not known for this operator", rule: "O27")
  }

  package static func refusal(_ name: String, _ problem: String, rule: String) -> Refusal {
    Refusal(
      .invalid,
      at: "attribute '\(Refusal.printable(name))'",
      rule: rule,
      problem,
      remedy: "correct the attribute in the model's exporter"
    )
  }
}

extension AttributeReader {
  package mutating func dtype(_ name: String) throws(Refusal) -> DType? {
    guard let text = try string(name) else { return nil }
    guard let dtype = DType(name: text) else {
      throw AttributeReader.refusal(
        name,
        "is '\(Refusal.printable(text))', which is no element type",
        rule: "O27"
      )
    }
    return dtype
  }

  package mutating func choice<Choice: RawRepresentable<String>>(_ name: String) throws(Refusal) -> Choice? {
    guard let text = try string(name) else { return nil }
    guard let choice = Choice(rawValue: text) else {
      throw AttributeReader.refusal(name, "is '\(Refusal.printable(text))', which is not known", rule: "O27")
    }
    return choice
  }

  package func required<Value>(_ name: String, _ value: Value?) throws(Refusal) -> Value {
    guard let value else { throw AttributeReader.refusal(name, "is missing", rule: "O27") }
    return value
  }
}
