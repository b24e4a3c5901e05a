import GraphIR
import Testing

@testable import Passes

@Suite("RecognizeActivations")
struct RecognizeActivationsTests {
  private func recognized(_ nodes: String, output: String = "y") throws -> Outcome {
    let lines = nodes.split(separator: ";").map { line in
      let parts = line.split(separator: "=", maxSplits: 1)
      return "\(parts[0].filter { $0 != " " }): f32[4] =\(parts[1])"
    }
    return try run(
      .recognizeActivations,
      """
      graph @net {
        input %x: f32[4]
        const %three: f32[] = 3
        const %six: f32[] = 6
        const %sixth: f32[1] = [0.16666667]
        \(lines.joined(separator: "\n"))
        output %\(output)
      }
      """
    )
  }

  @Test(
    "hard-swish in all the ways exporters write it",
    arguments: [
      "%a = add(%x, %three); %b = clip(%a) {min = 0, max = 6}; %c = div(%b, %six); %y = mul(%x, %c)",
      "%a = add(%three, %x); %b = clip(%a) {min = 0, max = 6}; %c = mul(%b, %sixth); %y = mul(%c, %x)",
      "%a = add(%x, %three); %b = clip(%a) {min = 0, max = 6}; %c = mul(%x, %b); %y = div(%c, %six)",
      "%a = add(%x, %three); %b = clip(%a) {min = 0, max = 6}; %c = mul(%b, %x); %y = mul(%sixth, %c)",
      "%a = hard_sigmoid(%x) {alpha = 0.16666667, beta = 0.5}; %y = mul(%x, %a)",
    ]
  )
  func hardSwish(nodes: String) throws {
    #expect(try recognized(nodes).body == "%y: f32[4] = hard_swish(%x)\noutput %y")
  }

  @Test("hard-sigmoid and silu")
  func others() throws {
    let sigmoid = try recognized("%a = add(%x, %three); %b = clip(%a) {min = 0, max = 6}; %y = div(%b, %six)")
    #expect(sigmoid.body == "%y: f32[4] = hard_sigmoid(%x) {alpha = 0.16666667}\noutput %y")
    let silu = try recognized("%a = sigmoid(%x); %y = mul(%a, %x)")
    #expect(silu.body == "%y: f32[4] = silu(%x)\noutput %y")
  }

  @Test(
    "other numbers, other data and values with other users are left alone",
    arguments: [
      "%a = add(%x, %six); %b = clip(%a) {min = 0, max = 6}; %c = div(%b, %six); %y = mul(%x, %c)",
      "%a = add(%x, %three); %b = clip(%a) {min = 0, max = 5}; %c = div(%b, %six); %y = mul(%x, %c)",
      "%r = relu(%x); %a = sigmoid(%r); %y = mul(%a, %x)",
      "%a = hard_sigmoid(%x) {alpha = 0.2, beta = 0.5}; %y = mul(%x, %a)",
      "%a = sigmoid(%x); %b = mul(%a, %x); %y = add(%a, %b)",
    ]
  )
  func alone(nodes: String) throws {
    #expect(try !recognized(nodes).changed)
  }
}

@Suite("FuseActivation")
struct FuseActivationTests {
  static let conv = "strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]"

  @Test(
    "the producer applies it and takes the result's name",
    arguments: [
      ("relu(%c)", #"activation = "relu""#),
      ("clip(%c) {min = 0, max = 6}", #"activation = "clip", activation_params = [0, 6]"#),
      ("sigmoid(%c)", #"activation = "sigmoid""#), ("hard_swish(%c)", #"activation = "hard_swish""#),
      ("silu(%c)", #"activation = "silu""#),
      ("hard_sigmoid(%c)", #"activation = "hard_sigmoid", activation_params = [0.2, 0.5]"#),
      ("leaky_relu(%c)", #"activation = "leaky_relu", activation_params = [0.01]"#),
    ]
  )
  func fuses(node: String, attribute: String) throws {
    let outcome = try run(
      .fuseActivation,
      """
      graph @net {
        input %x: f32[1, 1, 2, 2]
        const %w: f32[2, 1, 1, 1] = [5, 7]
        %c: f32[1, 2, 2, 2] = conv(%x, %w) {\(Self.conv)}
        %y: f32[1, 2, 2, 2] = \(node)
        output %y
      }
      """
    )
    #expect(outcome.body == "%y: f32[1, 2, 2, 2] = conv(%x, %w) {\(Self.conv), \(attribute)}\noutput %y")
  }

  @Test("into a gemm, but not into a matmul or a second time")
  func gemm() throws {
    let outcome = try run(
      .fuseActivation,
      """
      graph @net {
        input %x: f32[1, 2]
        const %w: f32[2, 2] = [1, 2, 3, 4]
        %g: f32[1, 2] = gemm(%x, %w)
        %r: f32[1, 2] = relu(%g)
        %s: f32[1, 2] = sigmoid(%r)
        %m: f32[1, 2] = matmul(%s, %w)
        %y: f32[1, 2] = relu(%m)
        output %y
      }
      """
    )
    #expect(
      outcome.body == """
        %r: f32[1, 2] = gemm(%x, %w) {activation = "relu"}
        %s: f32[1, 2] = sigmoid(%r)
        %m: f32[1, 2] = matmul(%s, %w)
        %y: f32[1, 2] = relu(%m)
        output %y
        """
    )
  }

  @Test("not when the value between is used elsewhere")
  func otherUser() throws {
    let outcome = try run(
      .fuseActivation,
      """
      graph @net {
        input %x: f32[1, 2]
        const %w: f32[2, 2] = [1, 2, 3, 4]
        %g: f32[1, 2] = gemm(%x, %w)
        %y: f32[1, 2] = relu(%g)
        output %y
        output %g
      }
      """
    )
    #expect(!outcome.changed)
    #expect(outcome.remarks.map(\.text) == ["the value before it has another user or is an output"])
  }
}

@Suite("SwapRelu6")
struct SwapRelu6Tests {
  static let text = """
    graph @net {
      input %x: f32[4]
      const %three: f32[] = 3
      %a: f32[4] = clip(%x) {min = 0, max = 6}
      %b: f32[4] = add(%a, %three)
      %c: f32[4] = clip(%b) {min = 0, max = 6}
      %y: f32[4] = clip(%c) {min = 0, max = 5}
      output %y
    }
    """

  @Test("relu takes its place, except where 6 carries meaning")
  func swaps() throws {
    let outcome = try run(.swapRelu6, Self.text, context: PassContext(options: PassOptions(relu6: .swap)))
    #expect(outcome.operators == ["relu", "add", "clip", "clip"])
    #expect(outcome.remarks.map(\.kind) == [.applied, .missed])
  }

  @Test("only when asked for", arguments: [Relu6Policy.clamp, .keep])
  func others(policy: Relu6Policy) throws {
    #expect(
      try !run(.swapRelu6, Self.text, context: PassContext(options: PassOptions(relu6: policy))).changed
    )
  }
}
