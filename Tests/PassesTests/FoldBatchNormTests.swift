import GraphIR
import Testing

@testable import Passes

@Suite("FoldBatchNorm")
struct FoldBatchNormTests {
  /// factor = [2/√(3+1), 1/√(0+1)] = [1, 1]·..., with epsilon 1: factors [1, 1], shifts [1 - 3, -1] = [-2, -1].
  static let parameters = """
      const %gamma: f32[2] = [2, 3]
      const %beta: f32[2] = [1, -1]
      const %mean: f32[2] = [3, 0]
      const %var: f32[2] = [3, 0]
    """
  static let conv = "{strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}"
  static let norm = "batch_norm(%c, %gamma, %beta, %mean, %var) {epsilon = 1}"

  @Test("into the convolution before it, which gets a bias and the name of the result")
  func convolution() throws {
    let outcome = try run(
      .foldBatchNorm,
      """
      graph @net {
        input %x: f32[1, 1, 2, 2]
        const %w: f32[2, 1, 1, 1] = [5, 7]
      \(Self.parameters)
        %c: f32[1, 2, 2, 2] = conv(%x, %w) \(Self.conv)
        %y: f32[1, 2, 2, 2] = \(Self.norm)
        output %y
      }
      """
    )
    #expect(outcome.changed)
    #expect(
      outcome.body == """
        %y: f32[1, 2, 2, 2] = conv(%x, %w, %c.bias) \(Self.conv)
        output %y
        """
    )
    #expect(outcome.floats("w") == [5, 21])
    #expect(outcome.floats("c.bias") == [-2, -1])
  }

  @Test("an old bias is scaled and shifted")
  func oldBias() throws {
    let outcome = try run(
      .foldBatchNorm,
      """
      graph @net {
        input %x: f32[1, 1, 2, 2]
        const %w: f32[2, 1, 1, 1] = [5, 7]
        const %b: f32[2] = [10, 20]
      \(Self.parameters)
        %c: f32[1, 2, 2, 2] = conv(%x, %w, %b) \(Self.conv)
        %y: f32[1, 2, 2, 2] = \(Self.norm)
        output %y
      }
      """
    )
    #expect(outcome.floats("b") == [8, 59])
    #expect(outcome.operators == ["conv"])
  }

  @Test("depthwise and grouped convolutions scale their output channels")
  func grouped() throws {
    let outcome = try run(
      .foldBatchNorm,
      """
      graph @net {
        input %x: f32[1, 2, 1, 1]
        const %w: f32[2, 1, 1, 1] = [5, 7]
      \(Self.parameters)
        %c: f32[1, 2, 1, 1] = conv(%x, %w) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], group = 2}
        %y: f32[1, 2, 1, 1] = \(Self.norm)
        output %y
      }
      """
    )
    #expect(outcome.floats("w") == [5, 21])
  }

  @Test("transposed convolutions have their channels on the second axis, per group")
  func transposed() throws {
    for (group, expected) in [(1, [1, 6, 3, 12]), (2, [1, 2, 9, 12])] as [(Int, [Float])] {
      let (inputs, perGroup) = (2, 2 / group)
      let weight: [Float] = group == 1 ? [1, 2, 3, 4] : [1, 2, 3, 4]
      let shape = group == 1 ? "2, 2, 1, 1" : "2, 1, 1, 2"
      let width = group == 1 ? 1 : 2
      _ = (inputs, perGroup)
      let outcome = try run(
        .foldBatchNorm,
        """
        graph @net {
          input %x: f32[1, 2, 1, 1]
          const %w: f32[\(shape)] = \(weight)
        \(Self.parameters)
          %c: f32[1, 2, 1, \(width)] = conv_transpose(%x, %w) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], group = \(group), output_padding = [0, 0]}
          %y: f32[1, 2, 1, \(width)] = \(Self.norm)
          output %y
        }
        """
      )
      #expect(outcome.floats("w") == expected)
      #expect(outcome.floats("c.bias") == [-2, -1])
    }
  }

  @Test("a gemm's alpha and beta go into the folded operands", arguments: [false, true])
  func gemm(transposed: Bool) throws {
    let outcome = try run(
      .foldBatchNorm,
      """
      graph @net {
        input %x: f32[1, 2]
        const %w: f32[2, 2] = [1, 2, 3, 4]
        const %b: f32[2] = [10, 20]
      \(Self.parameters)
        %c: f32[1, 2] = gemm(%x, %w, %b) {alpha = 2, beta = 3\(transposed ? ", trans_b = 1" : "")}
        %y: f32[1, 2] = \(Self.norm)
        output %y
      }
      """
    )
    #expect(outcome.floats("w") == (transposed ? [2, 4, 18, 24] : [2, 12, 6, 24]))
    #expect(outcome.floats("b") == [28, 179])
    #expect(!outcome.body.contains("alpha"))
  }

  @Test("into the convolution after it, when that does not pad")
  func forward() throws {
    let outcome = try run(
      .foldBatchNorm,
      """
      graph @net {
        input %c: f32[1, 2, 1, 1]
        const %w: f32[1, 2, 1, 1] = [5, 7]
      \(Self.parameters)
        %n: f32[1, 2, 1, 1] = \(Self.norm)
        %y: f32[1, 1, 1, 1] = conv(%n, %w) \(Self.conv)
        output %y
      }
      """
    )
    #expect(outcome.operators == ["conv"])
    #expect(outcome.floats("w") == [5, 21])
    #expect(outcome.floats("y.bias") == [-17])
  }

  @Test("into a grouped convolution after it: each group has its own input channels")
  func forwardGrouped() throws {
    let outcome = try run(
      .foldBatchNorm,
      """
      graph @net {
        input %c: f32[1, 2, 1, 1]
        const %w: f32[2, 1, 1, 1] = [5, 7]
        const %b: f32[2] = [1, 1]
      \(Self.parameters)
        %n: f32[1, 2, 1, 1] = \(Self.norm)
        %y: f32[1, 2, 1, 1] = conv(%n, %w, %b) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], group = 2}
        output %y
      }
      """
    )
    #expect(outcome.floats("w") == [5, 21])
    #expect(outcome.floats("b") == [-9, -6])
  }

  @Test("into a gemm after it", arguments: [false, true])
  func forwardGemm(transposed: Bool) throws {
    let outcome = try run(
      .foldBatchNorm,
      """
      graph @net {
        input %c: f32[1, 2]
        const %w: f32[2, 2] = [1, 2, 3, 4]
      \(Self.parameters)
        %n: f32[1, 2] = \(Self.norm)
        %y: f32[1, 2] = gemm(%n, %w) \(transposed ? "{trans_b = 1}" : "")
        output %y
      }
      """
    )
    #expect(outcome.floats("w") == (transposed ? [1, 6, 3, 12] : [1, 2, 9, 12]))
    #expect(outcome.floats("y.bias") == (transposed ? [-4, -10] : [-5, -8]))
  }

  @Test("not past padding, which the shift would not reach")
  func padding() throws {
    let outcome = try run(
      .foldBatchNorm,
      """
      graph @net {
        input %c: f32[1, 2, 1, 1]
        const %w: f32[1, 2, 1, 1] = [5, 7]
      \(Self.parameters)
        %n: f32[1, 2, 1, 1] = \(Self.norm)
        %y: f32[1, 1, 3, 3] = conv(%n, %w) {strides = [1, 1], pads = [1, 1, 1, 1], dilations = [1, 1]}
        output %y
      }
      """
    )
    #expect(!outcome.changed)
    #expect(
      outcome.remarks.map(\.text) == ["the operator after it pads or is transposed, or counts other channels"]
    )
  }

  @Test("not when the value between is an output, or has another user")
  func otherUser() throws {
    for extra in ["output %c", "%z: f32[1, 2, 2, 2] = relu(%c)\noutput %z"] {
      let outcome = try run(
        .foldBatchNorm,
        """
        graph @net {
          input %x: f32[1, 1, 2, 2]
          const %w: f32[2, 1, 1, 1] = [5, 7]
        \(Self.parameters)
          %c: f32[1, 2, 2, 2] = conv(%x, %w) \(Self.conv)
          %y: f32[1, 2, 2, 2] = \(Self.norm)
          \(extra.hasPrefix("output") ? "" : extra)
          output %y
          \(extra.hasPrefix("output") ? extra : "")
        }
        """
      )
      #expect(!outcome.changed)
      #expect(outcome.remarks.map(\.text) == ["the value before it has another user or is an output"])
    }
  }

  @Test("not when the weight is shared, or an activation stands between")
  func sharedWeight() throws {
    let shared = try run(
      .foldBatchNorm,
      """
      graph @net {
        input %x: f32[1, 1, 2, 2]
        const %w: f32[2, 1, 1, 1] = [5, 7]
      \(Self.parameters)
        %c: f32[1, 2, 2, 2] = conv(%x, %w) \(Self.conv)
        %d: f32[1, 2, 2, 2] = conv(%x, %w) \(Self.conv)
        %y: f32[1, 2, 2, 2] = \(Self.norm)
        output %y
        output %d
      }
      """
    )
    #expect(!shared.changed)
    #expect(shared.remarks.map(\.text) == ["the weight \"w\" is shared with another node"])
    let active = try run(
      .foldBatchNorm,
      """
      graph @net {
        input %x: f32[1, 1, 2, 2]
        const %w: f32[2, 1, 1, 1] = [5, 7]
      \(Self.parameters)
        %c: f32[1, 2, 2, 2] = conv(%x, %w) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1], activation = "relu"}
        %y: f32[1, 2, 2, 2] = \(Self.norm)
        output %y
      }
      """
    )
    #expect(!active.changed)
    #expect(active.remarks.map(\.text) == ["an activation stands between"])
  }

  @Test("not when a parameter or the weight is computed")
  func computed() throws {
    let parameter = try run(
      .foldBatchNorm,
      """
      graph @net {
        input %x: f32[1, 1, 2, 2]
        input %gamma: f32[2]
        const %w: f32[2, 1, 1, 1] = [5, 7]
        const %beta: f32[2] = [1, -1]
        %c: f32[1, 2, 2, 2] = conv(%x, %w) \(Self.conv)
        %y: f32[1, 2, 2, 2] = batch_norm(%c, %gamma, %beta, %beta, %gamma)
        output %y
      }
      """
    )
    #expect(!parameter.changed)
    #expect(parameter.remarks.count == 1)
    let weight = try run(
      .foldBatchNorm,
      """
      graph @net {
        input %x: f32[1, 1, 2, 2]
        input %w: f32[2, 1, 1, 1]
      \(Self.parameters)
        %c: f32[1, 2, 2, 2] = conv(%x, %w) \(Self.conv)
        %y: f32[1, 2, 2, 2] = \(Self.norm)
        output %y
      }
      """
    )
    #expect(!weight.changed)
    #expect(weight.remarks.map(\.text) == ["the weight is not an f32 constant"])
  }
}
