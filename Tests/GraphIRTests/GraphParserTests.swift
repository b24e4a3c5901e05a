import BinaryIO
import GraphIR
import TestSupport
import Testing

@Suite("Text that is refused") struct GraphParserTests {
  @Test(
    "Line, column and problem are named",
    arguments: [
      ("", "1:1: found the end of the text, expected 'graph'"),
      ("model @g {}", "1:1: found 'model', expected 'graph'"),
      ("graph g {}", "1:7: found 'g', expected '@' and the graph's name"),
      ("graph @ {}", "1:7: a name is empty"),
      ("graph @g {", "1:11: found the end of the text"),
      ("graph @g {} x", "1:13: found 'x', expected nothing after the graph"),
      ("graph @g {\n  inputs %x: f32[]\n}", "2:3: found 'inputs', expected 'meta'"),
      ("graph @g {\n  input %x: f31[]\n}", "2:13: found 'f31', expected an element type"),
      ("graph @g {\n  input %x f32[]\n}", "2:12: found 'f32', expected ':'"),
      ("graph @g {\n  input %x: f32[-1]\n}", "2:17: found '-1', expected an extent"),
      ("graph @g {\n  input %x: f32[1.5]\n}", "2:17: found '1.5', expected an extent"),
      ("graph @g {\n  input %x: f32[2147483648]\n}", "expected an extent from 0 to 2147483647"),
      ("graph @g {\n  input %x: f32[99999999999999999999]\n}", "expected an extent"),
      ("graph @g {\n  input %x: f32[1,1,1,1,1,1,1,1,1]\n}", "a shape has more than 8 axes"),
      ("graph @g {\n  input %x: f32[1\n}", "3:1: found '}', expected ']'"),
      ("graph @g { meta a = b }", "1:21: found 'b', expected a metadata value"),
      ("graph @g { meta a = \"b\" meta a = \"c\" }", "1:30: metadata \"a\" is given twice"),
      ("graph @g { meta a = \"b }", "a string is not closed"),
      ("graph @g { meta a = \"b\n\" }", "1:23: a string holds the control character 0xa"),
      ("graph @g { meta a = \"\\q\" }", "1:22: an escape is none of"),
      ("graph @g { meta a = \"\\u{d800}\" }", "an escape is none of"),
      ("graph @g { meta a = \"\\u{110000}\" }", "an escape is none of"),
      ("graph @g { meta a = \"\\u{41\" }", "an escape is none of"),
      ("graph @g { meta a = \"\\", "a string ends in a backslash"),
      ("graph @g { ; }", "1:12: a byte 0x3b begins nothing"),
      ("graph @g { / }", "a byte 0x2f begins nothing"),
      ("graph @g { ä }", "a byte 0xc3 begins nothing"),
      ("graph @g { const %c: f32[2] = [1] }", "has 1 elements, its shape 2"),
      ("graph @g { const %c: f32[2] = [1, 2, 3] }", "has more than 2 elements"),
      ("graph @g { const %c: f32[2] = 1 }", "found '1', expected '[' or 'external'"),
      ("graph @g { const %c: f32[n] = [1] }", "has an extent that is not a number"),
      ("graph @g { const %c: f32[1] = [x] }", "found 'x', expected an element of type f32"),
      ("graph @g { const %c: f32[1] = [1e39] }", "found '1e39', expected an element of type f32"),
      ("graph @g { const %c: f16[1] = [65520] }", "expected an element of type f16"),
      ("graph @g { const %c: bf16[1] = [3.4e38] }", "expected an element of type bf16"),
      ("graph @g { const %c: i8[1] = [128] }", "found '128', expected an element of type i8"),
      ("graph @g { const %c: u8[1] = [-1] }", "expected an element of type u8"),
      ("graph @g { const %c: i32[1] = [1.0] }", "expected an element of type i32"),
      ("graph @g { const %c: bool[1] = [2] }", "expected an element of type bool"),
      ("graph @g { const %c: i64[1] = [inf] }", "expected an element of type i64"),
      ("graph @g { const %c: i64[1] = [nan] }", "expected an element of type i64"),
      ("graph @g { const %c: f32[1] = [nan(0x0)] }", "expected the bits of a NaN of type f32"),
      ("graph @g { const %c: f16[1] = [nan(0x7fc00000)] }", "expected the bits of a NaN of type f16"),
      ("graph @g { const %c: f32[2147483647, 2147483647, 2147483647] = [] }", "than can be addressed"),
      ("graph @g { %y: f32[] = relu %x }", "expected '('"),
      ("graph @g { %y: f32[] = relu(1) }", "found '1', expected a value or '_'"),
      ("graph @g { %y: f32[] = 3() }", "found '3', expected an operator"),
      ("graph @g { %y: f32[] = relu() {1 = 2} }", "expected an attribute's name"),
      ("graph @g { %y: f32[] = relu() {a 2} }", "expected '='"),
      ("graph @g { %y: f32[] = relu() {a = [[1]]} }", "found '[', expected a number"),
      ("graph @g { %y: f32[] = relu() {a = x} }", "found 'x', expected a number"),
      ("graph @g { %y: f32[] = relu() name x }", "expected the node's name"),
      ("graph @g { %y: f32[], %y: f32[] = relu() }", "names two of its outputs alike"),
    ]
  )
  func malformed(text: String, problem: String) {
    expectRefusal(rule: "QIR1", containing: problem) { _ = try GraphParser.parse(text) }
  }

  @Test(
    "What the text says must be legal",
    arguments: [
      ("graph @g { input %x: f32[] input %x: f32[] }", "O22", "1:34: value \"x\" is defined twice"),
      ("graph @g { output %x }", "O23", "1:19: value \"x\" is used but not defined"),
      ("graph @g { %y: f32[] = relu(%y) }", "O23", "value \"y\" is used but not defined"),
      ("graph @g {\n %y: f32[] = frobnicate()\n}", "O29", "2:14, operator 'frobnicate': is not known"),
      ("graph @g { %y: f32[] = relu() {axis = 1} }", "O27", "attribute 'axis': is not known"),
      ("graph @g { %y: f32[] = softmax() {axis = 1, axis = 2} }", "O27", "is given twice"),
      ("graph @g { %y: f32[] = concat() }", "O27", "attribute 'axis': is missing"),
      ("graph @g { %y: f32[] = concat() {axis = \"a\"} }", "O27", "must be an integer"),
      ("graph @g { %y: f32[] = concat() {axis = 1.5} }", "O27", "must be an integer"),
      ("graph @g { const %c: f32[1] = external }", "QIR2", "constant \"c\": has no elements"),
    ]
  )
  func illegal(text: String, rule: String, problem: String) {
    expectRefusal(rule: rule, containing: problem) { _ = try GraphParser.parse(text) }
  }

  @Test("External elements must have the type of the text")
  func externalType() throws {
    let tensor = try Tensor.floats([1, 2])
    expectRefusal(rule: "QIR2", containing: "is f32[2], the text says f32[3]") {
      _ = try GraphParser.parse("graph @g { const %c: f32[3] = external }") { (_, _) throws(Refusal) in tensor
      }
    }
  }

  @Test("A refusal of the source of constants passes through")
  func externalRefusal() {
    expectRefusal(rule: "S17", containing: "asked for c") {
      _ = try GraphParser.parse("graph @g { const %c: f32[3] = external }") { (name, _) throws(Refusal) in
        throw Refusal(.invalid, at: "", rule: "S17", "asked for \(name)", remedy: "")
      }
    }
  }

  @Test("Names, lists and counts are limited")
  func limits() {
    var limits = Limits.standard
    limits.nameBytes = 4
    limits.textBytes = 8
    limits.attributes = 1
    limits.attributeItems = 2
    limits.nodeArity = 2
    limits.objects = 1
    let cases = [
      ("graph @g { input %abcde: f32[] }", "a name has 5 bytes, at most 4"),
      ("graph @g { meta a = \"123456789\" }", "a string has 9 bytes, at most 8"),
      ("graph @g { %y: f32[] = softmax() {axis = 1, log = 1} }", "more than 1 attributes"),
      ("graph @g { %y: f32[] = transpose() {perm = [1, 2, 3]} }", "more than 2 items"),
      ("graph @g { %y: f32[] = concat(_, _, _) {axis = 0} }", "more than 2 operands"),
      ("graph @g { %a: f32[], %b: f32[], %c: f32[] = relu() }", "more than 2 outputs"),
      (
        "graph @g { meta a = \"\" meta b = \"\" meta c = \"\" meta d = \"\" meta e = \"\" }",
        "more than 4 statements"
      ),
    ]
    for (text, problem) in cases {
      expectRefusal(rule: "QIR1", containing: problem) { _ = try GraphParser.parse(text, limits: limits) }
    }
  }

  private static let sample = """
    graph @"a\\u{e9}b" {
      meta "k.1" = "v \\"q\\""
      input %x: f32[n, 3]
      const %w: f16[2, 3] = [1, -0.0, nan, nan(0x7c01), -inf, 65504]
      const %b: bool[] = 1
      %"y/0": f32[n, 2] = gemm(%x, %w, _) {alpha = 0.5, trans_b = 1, activation = "clip", activation_params = [0, 6]} name "fc"
      output %"y/0"
    }
    """

  @Test("A text cut anywhere is refused")
  func truncation() throws {
    _ = try GraphParser.parse(Self.sample)
    let bytes = Array(Self.sample.utf8)
    for count in 0..<bytes.count {
      guard let text = String(validating: bytes[..<count], as: UTF8.self) else { continue }
      #expect(throws: Refusal.self) { try GraphParser.parse(text) }
    }
  }

  @Test(
    "Changed text is read or refused, and what is read survives text",
    arguments: [11, 12, 13] as [UInt64]
  )
  func mutation(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let bytes = Array(Self.sample.utf8)
    let alphabet = Array("%@\"\\{}[](),:=?_-+.019axn/ \n".utf8)
    for _ in 0..<1500 {
      var changed = bytes
      for _ in 0...random.int(0...2) {
        let place = random.int(0...(changed.count - 1))
        switch random.int(0...2) {
        case 0: changed[place] = alphabet[random.int(0...(alphabet.count - 1))]
        case 1: changed.remove(at: place)
        default: changed.insert(alphabet[random.int(0...(alphabet.count - 1))], at: place)
        }
      }
      guard let text = String(validating: changed, as: UTF8.self),
        let graph = try? GraphParser.parse(text)
      else { continue }
      let printed = GraphPrinter.text(graph, constants: .all)
      let again = try GraphParser.parse(printed)
      #expect(GraphPrinter.text(again, constants: .all) == printed)
    }
  }

  @Test("Deep nesting is refused without recursion")
  func nesting() {
    let text = "graph @g { %y: f32[] = relu() {a = " + String(repeating: "[", count: 1_000_000)
    expectRefusal(rule: "QIR1", containing: "expected a number") { _ = try GraphParser.parse(text) }
  }
}
