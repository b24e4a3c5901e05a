import BinaryIO
import GraphIR
import Testing

@testable import Passes

@Suite("EliminateDeadCode")
struct EliminateDeadCodeTests {
  @Test("what no output needs goes, inputs stay")
  func dead() throws {
    let outcome = try run(
      .eliminateDeadCode,
      """
      graph @net {
        input %x: f32[2]
        input %unused: f32[2]
        const %c: f32[2] = [1, 2]
        %a: f32[2] = add(%x, %c)
        %y: f32[2] = relu(%x)
        output %y
      }
      """
    )
    #expect(
      outcome.text == """
        graph @net {
          input %x: f32[2]
          input %unused: f32[2]
          %y: f32[2] = relu(%x)
          output %y
        }

        """
    )
  }
}

@Suite("EliminateIdentities")
struct EliminateIdentitiesTests {
  @Test(
    "a node that gives back its operand goes",
    arguments: [
      #"reshape(%a) {shape = [2, 3, 4, 4]}"#, #"cast(%a) {to = "f32"}"#,
      #"transpose(%a) {perm = [0, 1, 2, 3]}"#,
      #"concat(%a) {axis = 1}"#, #"pad(%a) {pads = [0, 0, 0, 0, 0, 0, 0, 0]}"#, #"clip(%a)"#,
      #"expand(%a) {shape = [2, 3, 4, 4]}"#, #"slice(%a) {starts = [0], ends = [9]}"#, #"mul(%one, %a)"#,
      #"add(%a, %zero)"#, #"div(%a, %one)"#, #"sub(%a, %zero)"#, #"split(%a) {axis = 1, sizes = [3]}"#,
      #"max_pool(%a) {kernel = [1, 1], strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}"#,
    ]
  )
  func identity(node: String) throws {
    let outcome = try run(
      .eliminateIdentities,
      """
      graph @net {
        input %x: f32[2, 3, 4, 4]
        const %one: f32[] = 1
        const %zero: f32[] = 0
        %a: f32[2, 3, 4, 4] = relu(%x)
        %b: f32[2, 3, 4, 4] = \(node)
        %y: f32[2, 3, 4, 4] = sigmoid(%b)
        output %y
      }
      """
    )
    #expect(outcome.operators == ["relu", "sigmoid"])
  }

  @Test(
    "a node that changes something stays",
    arguments: [
      #"slice(%a) {starts = [-1], ends = [-9], steps = [-1]}"#, #"transpose(%a) {perm = [0, 1, 3, 2]}"#,
      #"sub(%zero, %a)"#, #"clip(%a) {min = 0}"#, #"mul(%a, %zero)"#,
    ]
  )
  func change(node: String) throws {
    let outcome = try run(
      .eliminateIdentities,
      """
      graph @net {
        input %x: f32[2, 3, 4, 4]
        const %zero: f32[] = 0
        %a: f32[2, 3, 4, 4] = relu(%x)
        %b: f32[2, 3, 4, 4] = \(node)
        %y: f32[2, 3, 4, 4] = sigmoid(%b)
        output %y
      }
      """
    )
    #expect(!outcome.changed)
  }

  @Test("chains of reshapes and transposes that return to where they came from go, with symbols")
  func chains() throws {
    let outcome = try run(
      .eliminateIdentities,
      """
      graph @net {
        input %x: f32[batch, 3]
        %a: f32[batch, 3, 1] = unsqueeze(%x) {axes = [2]}
        %b: f32[batch, 3] = squeeze(%a) {axes = [2]}
        %c: f32[3, batch] = transpose(%b) {perm = [1, 0]}
        %d: f32[batch, 3] = transpose(%c) {perm = [1, 0]}
        %y: f32[batch, 3] = relu(%d)
        output %y
      }
      """
    )
    #expect(outcome.body == "%y: f32[batch, 3] = relu(%x)\noutput %y")
  }

  @Test("an unknown extent is not the same as another one")
  func unknown() throws {
    let outcome = try run(
      .eliminateIdentities,
      """
      graph @net {
        input %x: f32[?, 3]
        input %s: i64[2]
        %a: f32[?, ?] = reshape(%x, %s)
        %y: f32[?, ?] = relu(%a)
        output %y
      }
      """
    )
    #expect(!outcome.changed)
  }

  @Test("an output keeps its name: the producer takes it, an input does not")
  func outputs() throws {
    let renamed = try run(
      .eliminateIdentities,
      """
      graph @net {
        input %x: f32[2]
        %a: f32[2] = relu(%x)
        %y: f32[2] = cast(%a) {to = "f32"}
        output %y
      }
      """
    )
    #expect(renamed.body == "%y: f32[2] = relu(%x)\noutput %y")
    let kept = try run(
      .eliminateIdentities,
      """
      graph @net {
        input %x: f32[2]
        %y: f32[2] = cast(%x) {to = "f32"}
        output %y
      }
      """
    )
    #expect(!kept.changed)
    let both = try run(
      .eliminateIdentities,
      """
      graph @net {
        input %x: f32[2]
        %a: f32[2] = relu(%x)
        %y: f32[2] = cast(%a) {to = "f32"}
        output %y
        output %a
      }
      """
    )
    #expect(!both.changed)
  }
}

@Suite("FoldConstants")
struct FoldConstantsTests {
  static let adding = PassContext { (op, inputs) throws(Refusal) in
    guard case .binary = op, let a = inputs[0]?.floatValues(), let b = inputs[1]?.floatValues() else {
      throw Refusal(.unsupported, at: "", rule: "T1", "only adds", remedy: "")
    }
    return [try Tensor.floats(zip(a, b).map(+), inputs[0]?.shape)]
  }

  @Test("a node of constants becomes a constant of the same name")
  func folds() throws {
    let outcome = try run(
      .foldConstants,
      """
      graph @net {
        input %x: f32[2]
        const %a: f32[2] = [1, 2]
        const %b: f32[2] = [3, 4]
        %c: f32[2] = add(%a, %b)
        %d: f32[1, 2] = unsqueeze(%c) {axes = [0]}
        %y: f32[1, 2] = add(%x, %d)
        output %y
      }
      """,
      context: Self.adding
    )
    #expect(outcome.operators == ["add"])
    #expect(outcome.floats("d") == [4, 6])
  }

  @Test("without an evaluator only reshaping is folded; what it does not know is remarked")
  func noEvaluator() throws {
    let text = """
      graph @net {
        input %x: f32[2]
        const %a: f32[2] = [1, 2]
        %r: f32[1, 2] = unsqueeze(%a) {axes = [0]}
        %c: f32[1, 2] = relu(%r)
        %y: f32[1, 2] = add(%x, %c)
        output %y
      }
      """
    let without = try run(.foldConstants, text)
    #expect(without.operators == ["relu", "add"])
    let with = try run(.foldConstants, text, context: Self.adding)
    #expect(with.operators == ["relu", "add"])
    #expect(with.remarks.map(\.text) == ["its constant result cannot be computed: only adds"])
  }

  @Test("dequantized weights and widened f16 stay small")
  func storage() throws {
    let outcome = try run(
      .foldConstants,
      """
      graph @net {
        input %x: f32[32]
        const %a: i8[2] = [1, 2]
        const %s: f32[] = 0.5
        const %h: f16[32] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        %c: f32[2] = dequantize_linear(%a, %s)
        %w: f32[32] = cast(%h) {to = "f32"}
        %y: f32[32] = add(%x, %w)
        output %y
        output %c
      }
      """,
      context: Self.adding
    )
    #expect(!outcome.changed)
  }

  @Test("large results are not made")
  func large() throws {
    let outcome = try run(
      .foldConstants,
      """
      graph @net {
        input %x: f32[70000]
        const %shape: i64[1] = [70000]
        %c: f32[70000] = constant_of_shape(%shape) {dtype = "f32"}
        %y: f32[70000] = add(%x, %c)
        output %y
      }
      """,
      context: Self.adding
    )
    #expect(!outcome.changed)
    #expect(outcome.remarks.isEmpty)
  }
}

@Suite("SimplifyShapes")
struct SimplifyShapesTests {
  @Test("a flattening computed from the batch becomes an attribute")
  func flatten() throws {
    let outcome = try run(
      .simplifyShapes,
      """
      graph @net {
        input %x: f32[batch, 4, 1, 1]
        const %zero: i64[] = 0
        const %minus: i64[1] = [-1]
        %s: i64[4] = shape(%x)
        %n: i64[] = gather(%s, %zero)
        %u: i64[1] = unsqueeze(%n) {axes = [0]}
        %t: i64[2] = concat(%u, %minus) {axis = 0}
        %y: f32[batch, 4] = reshape(%x, %t)
        output %y
      }
      """
    )
    #expect(outcome.body == "%y: f32[batch, 4] = reshape(%x) {shape = [0, -1]}\noutput %y")
  }

  @Test("known extents become constants")
  func constants() throws {
    let outcome = try run(
      .simplifyShapes,
      """
      graph @net {
        input %x: f32[2, 3]
        input %i: i64[2]
        %s: i64[2] = shape(%x)
        %y: i64[2] = add(%s, %i)
        output %y
      }
      """
    )
    #expect(outcome.operators == ["add"])
    #expect(outcome.floats("s") == [2, 3])
  }

  @Test("operands of slice, expand and reductions become attributes")
  func attributes() throws {
    let outcome = try run(
      .simplifyShapes,
      """
      graph @net {
        input %x: f32[1, 8]
        const %one: i64[1] = [1]
        const %four: i64[1] = [4]
        const %shape: i64[2] = [3, 4]
        %a: f32[1, 3] = slice(%x, %one, %four, %one)
        %b: f32[1, 1] = reduce_mean(%a, %one)
        %y: f32[3, 4] = expand(%b, %shape)
        output %y
      }
      """
    )
    #expect(
      outcome.body == """
        %a: f32[1, 3] = slice(%x) {starts = [1], ends = [4], axes = [1]}
        %b: f32[1, 1] = reduce_mean(%a) {axes = [1]}
        %y: f32[3, 4] = expand(%b) {shape = [3, 4]}
        output %y
        """
    )
  }

  @Test("a shape with two unknown extents stays computed")
  func unknown() throws {
    let outcome = try run(
      .simplifyShapes,
      """
      graph @net {
        input %x: f32[a, b]
        input %i: i64[2]
        %y: f32[?, ?] = reshape(%x, %i)
        output %y
      }
      """
    )
    #expect(!outcome.changed)
  }
}

@Suite("RecognizeGlobalPool")
struct RecognizeGlobalPoolTests {
  @Test("a mean over all spatial axes is a global pool")
  func mean() throws {
    let outcome = try run(
      .recognizeGlobalPool,
      """
      graph @net {
        input %x: f32[n, 3, 4, 4]
        %a: f32[n, 3, 1, 1] = reduce_mean(%x) {axes = [-1, 2]}
        %y: f32[n, 3] = reduce_max(%x) {axes = [2, 3], keep_dims = 0}
        output %a
        output %y
      }
      """
    )
    #expect(
      outcome.body == """
        %a: f32[n, 3, 1, 1] = global_average_pool(%x)
        %y.pooled: f32[n, 3, 1, 1] = global_max_pool(%x)
        %y: f32[n, 3] = squeeze(%y.pooled) {axes = [2, 3]}
        output %a
        output %y
        """
    )
  }

  @Test("other axes and functions stay")
  func others() throws {
    let outcome = try run(
      .recognizeGlobalPool,
      """
      graph @net {
        input %x: f32[n, 3, 4, 4]
        %a: f32[n, 1, 4, 1] = reduce_mean(%x) {axes = [1, 3]}
        %y: f32[n, 3, 1, 1] = reduce_sum(%x) {axes = [2, 3]}
        output %a
        output %y
      }
      """
    )
    #expect(!outcome.changed)
  }
}
