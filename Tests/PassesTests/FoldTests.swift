import GraphIR
import Testing

@testable import Passes

@Suite("FoldPad")
struct FoldPadTests {
  private func padded(_ pad: String, _ user: String, type: String) throws -> Outcome {
    try run(
      .foldPad,
      """
      graph @net {
        input %x: f32[1, 1, 4, 4]
        const %w: f32[1, 1, 1, 1] = [1]
        %p: f32[?, ?, ?, ?] = pad(%x) \(pad)
        %y: f32[\(type)] = \(user)
        output %y
      }
      """
    )
  }

  @Test("zeros go into a convolution's own padding")
  func convolution() throws {
    let outcome = try padded(
      "{pads = [0, 0, 1, 2, 0, 0, 3, 4]}",
      "conv(%p, %w) {strides = [1, 1], pads = [1, 0, 0, 0], dilations = [1, 1]}",
      type: "1, 1, 9, 10"
    )
    #expect(
      outcome.body == """
        %y: f32[1, 1, 9, 10] = conv(%x, %w) {strides = [1, 1], pads = [2, 2, 3, 4], dilations = [1, 1]}
        output %y
        """
    )
  }

  @Test("zeros go into an average pool, which then counts them")
  func averagePool() throws {
    let outcome = try padded(
      "{pads = [0, 0, 1, 1, 0, 0, 1, 1]}",
      "average_pool(%p) {kernel = [3, 3], strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}",
      type: "1, 1, 4, 4"
    )
    #expect(outcome.operators == ["average_pool"])
    #expect(outcome.body.contains("pads = [1, 1, 1, 1]"))
    #expect(outcome.body.contains("count_include_pad = 1"))
  }

  @Test(
    "other padding stays, with the reason",
    arguments: [
      (#"{pads = [0, 0, 1, 1, 0, 0, 1, 1], value = 1}"#, "only zeros"),
      (#"{pads = [0, 0, 1, 1, 0, 0, 1, 1], mode = "reflect"}"#, "only zeros"),
      (#"{pads = [0, 0, 3, -1, 0, 0, 0, 3]}"#, "removes elements"),
    ]
  )
  func others(pad: String, reason: String) throws {
    let outcome = try padded(
      pad,
      "conv(%p, %w) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}",
      type: "?, ?, ?, ?"
    )
    #expect(!outcome.changed)
    #expect(outcome.remarks.count == 1)
    #expect(outcome.remarks.first?.text.contains(reason) == true)
  }

  @Test("padding with another user, and before a max pool, stays")
  func users() throws {
    let shared = try run(
      .foldPad,
      """
      graph @net {
        input %x: f32[1, 1, 4, 4]
        const %w: f32[1, 1, 1, 1] = [1]
        %p: f32[1, 1, 6, 6] = pad(%x) {pads = [0, 0, 1, 1, 0, 0, 1, 1]}
        %y: f32[1, 1, 6, 6] = conv(%p, %w) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}
        output %y
        output %p
      }
      """
    )
    #expect(!shared.changed)
    #expect(shared.remarks.map(\.text) == ["the padded value has another user or is an output"])
    let pool = try padded(
      "{pads = [0, 0, 1, 1, 0, 0, 1, 1]}",
      "max_pool(%p) {kernel = [3, 3], strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}",
      type: "1, 1, 4, 4"
    )
    #expect(!pool.changed)
  }
}

@Suite("FoldScalars")
struct FoldScalarsTests {
  static let conv = "{strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}"

  private func folded(_ op: String, _ constant: String) throws -> Outcome {
    try run(
      .foldScalars,
      """
      graph @net {
        input %x: f32[1, 1, 1, 1]
        const %w: f32[2, 1, 1, 1] = [2, 4]
        const %b: f32[2] = [1, 2]
        const %k: \(constant)
        %c: f32[1, 2, 1, 1] = conv(%x, %w, %b) \(Self.conv)
        %y: f32[1, 2, 1, 1] = \(op)
        output %y
      }
      """
    )
  }

  @Test(
    "a constant per channel goes into weight and bias",
    arguments: [
      ("mul(%c, %k)", "f32[1, 2, 1, 1] = [2, 3]", [4, 12], [2, 6]),
      ("mul(%k, %c)", "f32[] = 3", [6, 12], [3, 6]),
      ("div(%c, %k)", "f32[2, 1, 1] = [2, 4]", [1, 1], [0.5, 0.5]),
      ("add(%k, %c)", "f32[2, 1, 1] = [2, 4]", [2, 4], [3, 6]),
      ("sub(%c, %k)", "f32[] = 3", [2, 4], [-2, -1]),
      ("sub(%k, %c)", "f32[] = 3", [-2, -4], [2, 1]),
    ] as [(String, String, [Float], [Float])]
  )
  func folds(op: String, constant: String, weight: [Float], bias: [Float]) throws {
    let outcome = try folded(op, constant)
    #expect(outcome.operators == ["conv"])
    #expect(outcome.floats("w") == weight)
    #expect(outcome.floats("c.bias") == bias)
    #expect(outcome.graph.value(named: "y") != nil)
  }

  @Test(
    "not division by zero, division of a constant, or a constant along another axis",
    arguments: [
      ("div(%c, %k)", "f32[2, 1, 1] = [2, 0]"), ("div(%k, %c)", "f32[] = 1"), ("pow(%c, %k)", "f32[] = 2"),
    ]
  )
  func stays(op: String, constant: String) throws {
    #expect(try !folded(op, constant).changed)
  }

  @Test("alpha and beta of a gemm go into its operands")
  func gemm() throws {
    let outcome = try run(
      .foldScalars,
      """
      graph @net {
        input %x: f32[1, 2]
        const %w: f32[2, 2] = [1, 2, 3, 4]
        const %b: f32[2] = [5, 6]
        %y: f32[1, 2] = gemm(%x, %w, %b) {alpha = 2, beta = 3}
        output %y
      }
      """
    )
    #expect(outcome.body == "%y: f32[1, 2] = gemm(%x, %w, %b)\noutput %y")
    #expect(outcome.floats("w") == [2, 4, 6, 8])
    #expect(outcome.floats("b") == [15, 18])
  }

  @Test("a product of matrices and the sum after it become a gemm")
  func matmul() throws {
    let outcome = try run(
      .foldScalars,
      """
      graph @net {
        input %x: f32[n, 2]
        const %w: f32[2, 2] = [1, 2, 3, 4]
        const %b: f32[2] = [5, 6]
        %m: f32[n, 2] = matmul(%x, %w)
        %y: f32[n, 2] = add(%m, %b)
        output %y
      }
      """
    )
    #expect(outcome.body == "%y: f32[n, 2] = gemm(%x, %w, %m.bias)\noutput %y")
    #expect(outcome.floats("m.bias") == [5, 6])
  }

  @Test("not into a shared weight")
  func shared() throws {
    let outcome = try run(
      .foldScalars,
      """
      graph @net {
        input %x: f32[1, 1, 1, 1]
        const %w: f32[2, 1, 1, 1] = [2, 4]
        const %k: f32[] = 3
        %c: f32[1, 2, 1, 1] = conv(%x, %w) \(Self.conv)
        %d: f32[1, 2, 1, 1] = conv(%x, %w) \(Self.conv)
        %y: f32[1, 2, 1, 1] = mul(%c, %k)
        output %y
        output %d
      }
      """
    )
    #expect(!outcome.changed)
    #expect(outcome.remarks.map(\.text) == ["the weight before it is shared with another node"])
  }
}
