public import BinaryIO

/// Reads the `.qir` text form that ``GraphPrinter`` writes.
///
/// The text may come from anyone: nothing in it is trusted, time is linear in its length, and every refusal names line
/// and column. Types are taken as they are printed; ``GraphValidator`` compares them with the operators' rules.
public enum GraphParser {
  /// Reads a graph.
  ///
  /// - Parameters:
  ///   - text: The whole text.
  ///   - limits: Bounds on names, ranks and counts.
  ///   - constant: Gives the elements of a constant that the text leaves `external`; nil when it has none.
  /// - Throws: A refusal (`QIR1` for the text itself, `QIR2` for an external constant, `O..` and `L..` for what it says).
  public static func parse(
    _ text: String,
    limits: Limits = .standard,
    constant: (String, TensorType) throws(Refusal) -> Tensor?
  ) throws(Refusal) -> Graph {
    var parser = try GraphTextParser(text, limits: limits)
    return try parser.graph(constant)
  }

  /// Reads a graph whose text holds all elements.
  public static func parse(_ text: String, limits: Limits = .standard) throws(Refusal) -> Graph {
    try parse(text, limits: limits) { (_, _) throws(Refusal) in nil }
  }
}

/// The grammar, one function per construct; lists do not nest, so nothing recurses.
struct GraphTextParser {
  typealias ConstantSource = (String, TensorType) throws(Refusal) -> Tensor?

  var lexer: Lexer
  /// The token to be read next.
  private(set) var token: Token
  /// Where ``token`` begins.
  private(set) var place: Substring.Index
  let limits: Limits
  private var result = Graph(name: "")
  private var objects = 0

  init(_ text: String, limits: Limits) throws(Refusal) {
    lexer = Lexer(text, limits: limits)
    self.limits = limits
    token = try lexer.next()
    place = lexer.start
  }

  mutating func graph(_ constant: ConstantSource) throws(Refusal) -> Graph {
    try keyword("graph")
    guard case .graph(let name) = token else { throw unexpected("'@' and the graph's name") }
    try advance()
    result.name = name
    try mark("{")
    while token != .mark("}") { try statement(constant) }
    try advance()
    guard token == .end else { throw unexpected("nothing after the graph") }
    return result
  }

  private mutating func statement(_ constant: ConstantSource) throws(Refusal) {
    objects += 1
    guard objects <= 4 * limits.objects else {
      throw refusal("the graph has more than \(4 * limits.objects) statements")
    }
    switch token {
    case .value: try node()
    case .word("meta"): try metadata()
    case .word("input"): try input()
    case .word("const"): try constantStatement(constant)
    case .word("output"): try output()
    case .word, .graph, .string, .number, .mark, .end:
      throw unexpected("'meta', 'input', 'const', 'output', a value or '}'")
    }
  }

  private mutating func metadata() throws(Refusal) {
    try advance()
    let keyPlace = place
    let key: String
    switch token {
    case .word(let word): key = String(word)
    case .string(let text): key = text
    case .number(let text): key = String(text)
    case .value, .graph, .mark, .end: throw unexpected("a metadata key")
    }
    try advance()
    guard result.metadata[key] == nil else {
      throw refusal("metadata \(Refusal.quoted(key)) is given twice", at: keyPlace)
    }
    try mark("=")
    result.metadata[key] = try string("a metadata value in quotation marks")
  }

  private mutating func input() throws(Refusal) {
    try advance()
    let (name, type) = try typedName()
    result.addInput(name, type)
  }

  private mutating func output() throws(Refusal) {
    try advance()
    result.addOutput(try operand())
  }

  private mutating func constantStatement(_ constant: ConstantSource) throws(Refusal) {
    try advance()
    let namePlace = place
    let (name, type) = try typedName()
    guard let shape = type.knownDims else {
      throw refusal("constant \(Refusal.quoted(name)) has an extent that is not a number", at: namePlace)
    }
    try mark("=")
    guard token == .word("external") else {
      result.addConstant(name, try elements(type.dtype, shape, of: name))
      return
    }
    try advance()
    guard let tensor = try constant(name, type) else {
      throw external(name, "has no elements beside the text", at: namePlace)
    }
    guard tensor.type == type else {
      throw external(name, "is \(tensor.type), the text says \(type)", at: namePlace)
    }
    result.addConstant(name, tensor)
  }

  private mutating func node() throws(Refusal) {
    var names: [String] = []
    var types: [TensorType] = []
    repeat {
      let (name, type) = try typedName(among: names)
      names.append(name)
      types.append(type)
    } while try accept(",")
    guard names.count == 1 || Set(names).count == names.count else {
      throw refusal("a node names two of its outputs alike")
    }
    try mark("=")
    guard case .word(let opName) = token else { throw unexpected("an operator") }
    let opPlace = place
    try advance()
    let inputs = try operands()
    let attributes = token == .mark("{") ? try self.attributes() : Attributes()
    let op: Op
    do { op = try Op(name: String(opName), attributes: attributes) } catch {
      throw error.at(lexer.refusal("", at: opPlace).place)
    }
    var name = ""
    if token == .word("name") {
      try advance()
      name = try string("the node's name in quotation marks")
    }
    result.addNode(op, name: name, inputs: inputs, outputNames: names, outputTypes: types)
  }

  private mutating func operands() throws(Refusal) -> [ValueID?] {
    try mark("(")
    guard token != .mark(")") else {
      try advance()
      return []
    }
    var inputs: [ValueID?] = []
    repeat {
      guard inputs.count < limits.nodeArity else {
        throw refusal("a node has more than \(limits.nodeArity) operands")
      }
      if token == .word("_") {
        try advance()
        inputs.append(nil)
      } else {
        inputs.append(try operand())
      }
    } while try accept(",")
    try mark(")")
    return inputs
  }

  /// A value that is defined already.
  private mutating func operand() throws(Refusal) -> ValueID {
    guard case .value(let name) = token else { throw unexpected("a value or '_'") }
    guard let id = result.value(named: name) else {
      throw Refusal(
        .invalid,
        at: lexer.refusal("", at: place).place,
        rule: "O23",
        "value \(Refusal.quoted(name)) is used but not defined before",
        remedy: "order the statements so that values come before their users"
      )
    }
    try advance()
    return id
  }

  /// `%name: type` of a value that is new, and whose siblings in the same statement are `others`.
  private mutating func typedName(among others: [String] = []) throws(Refusal) -> (String, TensorType) {
    guard case .value(let name) = token else { throw unexpected("'%' and a value's name") }
    guard result.value(named: name) == nil else {
      throw Refusal(
        .invalid,
        at: lexer.refusal("", at: place).place,
        rule: "O22",
        "value \(Refusal.quoted(name)) is defined twice",
        remedy: "give every value its own name"
      )
    }
    guard others.count < limits.nodeArity else {
      throw refusal("a node has more than \(limits.nodeArity) outputs")
    }
    try advance()
    try mark(":")
    return (name, try type())
  }

  private mutating func type() throws(Refusal) -> TensorType {
    guard case .word(let word) = token, let dtype = DType(name: String(word)) else {
      throw unexpected("an element type such as 'f32'")
    }
    try advance()
    try mark("[")
    var dims: [Dim] = []
    if token != .mark("]") {
      repeat {
        guard dims.count < limits.rank else { throw refusal("a shape has more than \(limits.rank) axes") }
        dims.append(try dim())
      } while try accept(",")
    }
    try mark("]")
    return TensorType(dtype, dims)
  }

  private mutating func dim() throws(Refusal) -> Dim {
    let dim: Dim
    switch token {
    case .mark("?"): dim = .unknown
    case .word(let word): dim = .symbol(String(word))
    case .string(let symbol): dim = .symbol(symbol)
    case .number(let text):
      guard let value = Int(text), (0...limits.dimension).contains(value) else {
        throw unexpected("an extent from 0 to \(limits.dimension)")
      }
      dim = .known(value)
    case .value, .graph, .mark, .end: throw unexpected("an extent")
    }
    try advance()
    return dim
  }
}

extension GraphTextParser {
  // Tokens

  mutating func advance() throws(Refusal) {
    token = try lexer.next()
    place = lexer.start
  }

  /// Skips `mark` if it comes next, and says whether it did.
  mutating func accept(_ mark: Character) throws(Refusal) -> Bool {
    guard token == .mark(mark) else { return false }
    try advance()
    return true
  }

  mutating func mark(_ mark: Character) throws(Refusal) {
    guard try accept(mark) else { throw unexpected("'\(mark)'") }
  }

  private mutating func keyword(_ word: Substring) throws(Refusal) {
    guard token == .word(word) else { throw unexpected("'\(word)'") }
    try advance()
  }

  mutating func string(_ expected: String) throws(Refusal) -> String {
    guard case .string(let text) = token else { throw unexpected(expected) }
    guard text.utf8.count <= limits.textBytes else {
      throw refusal("a string has \(text.utf8.count) bytes, at most \(limits.textBytes) are allowed")
    }
    try advance()
    return text
  }

  func unexpected(_ expected: String) -> Refusal {
    refusal("found \(token.description), expected \(expected)")
  }

  func refusal(_ problem: String, at index: Substring.Index? = nil) -> Refusal {
    lexer.refusal(problem, at: index ?? place)
  }

  private func external(_ name: String, _ problem: String, at index: Substring.Index) -> Refusal {
    Refusal(
      .invalid,
      at: "\(lexer.refusal("", at: index).place), constant \(Refusal.quoted(name))",
      rule: "QIR2",
      problem,
      remedy: "write the file again with qconvert; its graph and its tensors do not belong together"
    )
  }
}
