internal import BinaryIO

extension GraphTextParser {
  /// `{name = value, ...}`.
  mutating func attributes() throws(Refusal) -> Attributes {
    try mark("{")
    var entries: [Attributes.Entry] = []
    guard token != .mark("}") else {
      try advance()
      return Attributes()
    }
    repeat {
      guard entries.count < limits.attributes else {
        throw refusal("a node has more than \(limits.attributes) attributes")
      }
      guard case .word(let name) = token else { throw unexpected("an attribute's name") }
      try advance()
      try mark("=")
      entries.append(Attributes.Entry(name: String(name), value: try attributeValue()))
    } while try accept(",")
    try mark("}")
    return Attributes(entries)
  }

  private mutating func attributeValue() throws(Refusal) -> AttributeValue {
    if case .string = token { return .string(try string("a string")) }
    guard try accept("[") else {
      let number = try attributeNumber()
      return number.int.map { .int($0) } ?? .float(number.float)
    }
    guard try !accept("]") else { return .ints([]) }
    var ints: [Int]? = []
    var floats: [Float] = []
    repeat {
      guard floats.count < limits.attributeItems else {
        throw refusal("an attribute has more than \(limits.attributeItems) items")
      }
      let number = try attributeNumber()
      floats.append(number.float)
      if let int = number.int { ints?.append(int) } else { ints = nil }
    } while try accept(",")
    try mark("]")
    return ints.map { .ints($0) } ?? .floats(floats)
  }

  /// A number; `-0` is no integer, since it would lose its sign.
  private mutating func attributeNumber() throws(Refusal) -> (int: Int?, float: Float) {
    if case .number(let text) = token, let int = Int(text), int != 0 || text == "0" {
      try advance()
      return (int, Float(int))
    }
    guard let bits = try elementBits(.float32) else { throw unexpected("a number") }
    return (nil, Float(bitPattern: UInt32(truncatingIfNeeded: bits)))
  }

  /// The elements of a constant: a list in C order, or one number for a scalar.
  mutating func elements(_ dtype: DType, _ shape: [Int], of name: String) throws(Refusal) -> Tensor {
    let start = place
    guard let count = Checked.product(shape), Checked.product(count, dtype.size) != nil else {
      throw refusal("constant \(Refusal.quoted(name)) has more elements than can be addressed")
    }
    var bytes: [UInt8] = []
    var found = 0
    if try accept("[") {
      while token != .mark("]") {
        if found > 0 { try mark(",") }
        try append(dtype, to: &bytes)
        found += 1
        guard found <= count else {
          throw refusal("constant \(Refusal.quoted(name)) has more than \(count) elements")
        }
      }
      try advance()
    } else if shape.isEmpty {
      try append(dtype, to: &bytes)
      found = 1
    } else {
      throw unexpected("'[' or 'external'")
    }
    guard found == count else {
      throw refusal("constant \(Refusal.quoted(name)) has \(found) elements, its shape \(count)", at: start)
    }
    let slice = try unsafe ByteSlice.build(count: bytes.count) { (buffer) throws(Refusal) in
      unsafe buffer.copyBytes(from: bytes)
    }
    guard let tensor = Tensor(dtype, shape, bytes: slice) else {
      throw refusal("constant \(Refusal.quoted(name)) does not fit its shape", at: start)
    }
    return tensor
  }

  private mutating func append(_ dtype: DType, to bytes: inout [UInt8]) throws(Refusal) {
    guard var bits = try elementBits(dtype) else { throw unexpected("an element of type \(dtype.name)") }
    for _ in 0..<dtype.size {
      bytes.append(UInt8(truncatingIfNeeded: bits))
      bits >>= 8
    }
  }

  /// The bits of the element that comes next; nil, with nothing skipped, if there is none of this type.
  private mutating func elementBits(_ dtype: DType) throws(Refusal) -> UInt64? {
    let bits: UInt64?
    switch token {
    case .word("inf"): bits = ElementText.infinityBits(negative: false, dtype)
    case .number("-inf"): bits = ElementText.infinityBits(negative: true, dtype)
    case .word("nan"): return try nan(dtype)
    case .number(let text): bits = ElementText.bits(text, dtype)
    case .word, .value, .graph, .string, .mark, .end: bits = nil
    }
    if bits != nil { try advance() }
    return bits
  }

  /// `nan`, or `nan(0x...)` with the bits of one.
  private mutating func nan(_ dtype: DType) throws(Refusal) -> UInt64? {
    guard let quiet = ElementText.quietNaN(dtype) else { return nil }
    try advance()
    guard try accept("(") else { return quiet }
    guard case .number(let text) = token, text.hasPrefix("0x"),
      let bits = UInt64(text.dropFirst(2), radix: 16),
      ElementText.isNaN(bits, dtype)
    else { throw unexpected("the bits of a NaN of type \(dtype.name)") }
    try advance()
    try mark(")")
    return bits
  }
}
