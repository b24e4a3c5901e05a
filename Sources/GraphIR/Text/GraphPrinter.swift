/// How much of the constants the text form shows; the rest is `external`, told by name.
public enum ConstantStyle: Hashable, Sendable {
  /// Every element of every constant.
  case all
  /// Constants of at most this many elements.
  case small(Int)
  /// No elements.
  case external
}

/// Writes a graph as `.qir` text, which ``GraphParser`` reads back exactly.
///
/// ```
/// graph @net {
///   meta source = "onnx opset 17"
///   input %x: f32[batch, 3, 224, 224]
///   const %w: f32[2, 2] = [1, 2.5, -3, inf]
///   const %big: f32[32, 3, 3, 3] = external
///   %y: f32[batch, 32, 112, 112] = conv(%x, %big, _) {strides = [2, 2]} name "stem/conv"
///   output %y
/// }
/// ```
///
/// Names that are not plain words are quoted, as in `%"features.0/0"`. An absent operand is `_`. Reals are the
/// shortest decimals that give the same bits.
public enum GraphPrinter {
  /// The text of `graph`, one statement a line, with a line break at the end.
  public static func text(_ graph: Graph, constants: ConstantStyle) -> String {
    var text = "graph @\(name(graph.name)) {\n"
    for key in graph.metadata.keys.sorted() {
      text += "  meta \(word(key)) = \(quoted(graph.metadata[key] ?? ""))\n"
    }
    for id in graph.inputs { text += "  input \(typed(id, graph))\n" }
    for id in graph.valueIDs {
      guard let tensor = graph[id].constant else { continue }
      text += "  const \(typed(id, graph)) = "
      if shows(tensor, constants) { append(tensor, to: &text) } else { text += "external" }
      text += "\n"
    }
    for id in graph.order { append(graph[id], of: graph, to: &text) }
    for id in graph.outputs { text += "  output %\(name(graph[id].name))\n" }
    return text + "}\n"
  }

  /// One node as a line of the text form, without the line break.
  public static func text(_ node: NodeID, of graph: Graph) -> String {
    var text = ""
    append(graph[node], of: graph, to: &text)
    return String(text.dropFirst(2).dropLast())
  }

  /// `name` as the text form has it after a sigil: itself, or quoted if it is not a plain word.
  public static func name(_ name: String) -> String {
    let isPlain = !name.isEmpty && name.utf8.allSatisfy(Lexer.isNameByte)
    return isPlain ? name : quoted(name)
  }

  /// The shape and element type as the text form has them.
  public static func type(_ type: TensorType) -> String {
    let dims = type.dims.map { dim in
      switch dim {
      case .known(let value): String(value)
      case .symbol(let symbol): word(symbol)
      case .unknown: "?"
      }
    }
    return "\(type.dtype.name)[\(dims.joined(separator: ", "))]"
  }

  /// A quoted string with the escapes of the text form; control characters become `\u{..}`.
  static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      default:
        if scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value) {
          result += "\\u{\(String(scalar.value, radix: 16))}"
        } else {
          result.unicodeScalars.append(scalar)
        }
      }
    }
    return result + "\""
  }

  /// The shortest text that gives the same float; whole numbers without a fraction, except -0.
  static func number(_ value: Float) -> String { trimmed(value.description) }

  static func trimmed(_ text: String) -> String {
    text.hasSuffix(".0") && text != "-0.0" ? String(text.dropLast(2)) : text
  }

  /// `text` itself if it is an identifier, or quoted.
  private static func word(_ text: String) -> String {
    guard let first = text.utf8.first, Lexer.isWordStart(first), text.utf8.allSatisfy(Lexer.isWordByte) else {
      return quoted(text)
    }
    return text
  }

  private static func typed(_ id: ValueID, _ graph: Graph) -> String {
    let value = graph[id]
    return "%\(name(value.name)): \(type(value.type))"
  }

  private static func shows(_ tensor: Tensor, _ style: ConstantStyle) -> Bool {
    switch style {
    case .all: true
    case .small(let limit): tensor.count <= limit
    case .external: false
    }
  }

  private static func append(_ node: Node, of graph: Graph, to text: inout String) {
    let outputs = node.outputs.map { typed($0, graph) }.joined(separator: ", ")
    let operands = node.inputs.map { id in id.map { "%\(name(graph[$0].name))" } ?? "_" }
    text += "  \(outputs) = \(node.op.name)(\(operands.joined(separator: ", ")))"
    let entries = node.op.payload.attributes.entries
    if !entries.isEmpty {
      text += " {\(entries.map { "\($0.name) = \(attribute($0.value))" }.joined(separator: ", "))}"
    }
    if !node.name.isEmpty { text += " name \(quoted(node.name))" }
    text += "\n"
  }

  private static func attribute(_ value: AttributeValue) -> String {
    switch value {
    case .int(let int): String(int)
    case .float(let float): number(float)
    case .string(let string): quoted(string)
    case .ints(let ints): "[\(ints.map(String.init).joined(separator: ", "))]"
    case .floats(let floats): "[\(floats.map(number).joined(separator: ", "))]"
    }
  }

  private static func append(_ tensor: Tensor, to text: inout String) {
    let elements = ElementText.texts(of: tensor)
    if tensor.shape.isEmpty, let only = elements.first {
      text += only
    } else {
      text += "["
      text += elements.joined(separator: ", ")
      text += "]"
    }
    tensor.releasePages()
  }
}
