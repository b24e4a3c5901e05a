package import GraphIR

/// One unit of execution: a float operator, a stub, or an integer operator that replaces a group of nodes.
///
/// Operands and results are values of the graph; values of the group that appear in no step have no storage.
package struct Step: Sendable {
  package var kind: Kind
  /// Tensors read, in the order that ``Kind`` documents; nil is an absent optional operand of a float operator.
  package var inputs: [ValueID?]
  /// Tensors written.
  package var outputs: [ValueID]
  /// The nodes this step stands for, producers first; never empty.
  package var nodes: [NodeID]
  /// Why a step stays float although stubs surround it; nil where nobody asked for integers.
  package var reason: String?
  /// Whether every operand is a constant, or the result of such a step: it runs once, when the network is loaded.
  package var isConstant = false

  package init(
    _ kind: Kind,
    inputs: [ValueID?],
    outputs: [ValueID],
    nodes: [NodeID],
    reason: String? = nil
  ) {
    self.kind = kind
    self.inputs = inputs
    self.outputs = outputs
    self.nodes = nodes
    self.reason = reason
  }

  /// What a step does; the formulas are those of `schemas/arithmetic.md`, whose sections the cases name.
  ///
  /// Tensors are u8 where not said otherwise. Operands that a case calls constant are in its payload, not in `inputs`.
  package enum Kind: Sendable {
    /// 4: `[x]` to `[y]`.
    case integerConv(IntegerConv)
    /// 4: `[x]` to `[y]`.
    case integerConvTranspose(IntegerConvTranspose)
    /// 4: `[x]` to `[y]`; rows are all axes of `x` but the last.
    case integerGemm(IntegerGemm)
    /// 4.2: `[x, x_scale (f32 scalar), x_zero_point (u8 scalar)]` to `[y (f32)]`.
    case dynamicConv(DynamicConv)
    /// 4.2: `[x, x_scale (f32), x_zero_point (u8)]` to `[y (f32)]`; the parameters are scalars, or one per row of `x`.
    case dynamicGemm(DynamicGemm)
    /// 11: the operands of the operator but its matrix, as f32, to its results (f32).
    case dynamicRecurrence(DynamicRecurrence)
    /// 5: `[a, b]` to `[y]`, with broadcasting.
    case integerAdd(IntegerAdd)
    /// 5: `[a, b]` to `[y]`, with broadcasting.
    case integerMul(IntegerMul)
    /// 5: `[x...]` to `[y]`.
    case integerConcat(IntegerConcat)
    /// 6: `[x]` to `[y]`.
    case integerAveragePool(IntegerAveragePool)
    /// 6: `[x]` to `[y]`.
    case integerGlobalPool(IntegerGlobalPool)
    /// 6: `[x]` to `[y]`.
    case integerMaxPool(IntegerMaxPool)
    /// 7: `[x]` to `[y]`: `y = table[x]`, elementwise.
    case table(LookupTable)
    /// 7: `[x, other operands of the operator...]` to `[y...]`: a shape operator on u8.
    case passThrough(PassThrough)
    /// 3: `[x (f32)]` to `[q]`, with constant parameters; `q` may be i8.
    case quantize(Stub)
    /// 3: `[q]` to `[x (f32)]`, with constant parameters; `q` may be i8 or i32.
    case dequantize(Stub)
    /// 3: `[x (f32)]` to `[q, scale (f32), zero_point (u8)]`; the parameters are scalars, or one per row of `x`.
    case dynamicQuantize(perRow: Bool)
    /// The operator as it is, on the operands of its node.
    case float(Op)
  }
}

extension Step.Kind {
  /// A word for reports, such as `integer conv` or `float conv`.
  package var name: String {
    switch self {
    case .integerConv(let step): step.isDepthwise ? "integer depthwise conv" : "integer conv"
    case .integerConvTranspose: "integer conv_transpose"
    case .integerGemm: "integer gemm"
    case .dynamicConv: "dynamic conv"
    case .dynamicGemm: "dynamic gemm"
    case .dynamicRecurrence(let step): "dynamic \(step.cell.op.name)"
    case .integerAdd: "integer add"
    case .integerMul: "integer mul"
    case .integerConcat: "integer concat"
    case .integerAveragePool: "integer average_pool"
    case .integerGlobalPool: "integer global pool"
    case .integerMaxPool: "integer max_pool"
    case .table: "integer table"
    case .passThrough(let step): "integer \(step.op.name)"
    case .quantize: "quantize"
    case .dequantize: "dequantize"
    case .dynamicQuantize: "dynamic quantize"
    case .float(let op): "float \(op.name)"
    }
  }

  /// Whether the arithmetic is that of integers: neither a float operator nor a stub.
  package var isInteger: Bool {
    switch self {
    case .integerConv, .integerConvTranspose, .integerGemm, .dynamicConv, .dynamicGemm, .dynamicRecurrence,
      .integerAdd, .integerMul,
      .integerConcat, .integerAveragePool, .integerGlobalPool, .integerMaxPool, .table, .passThrough:
      true
    case .quantize, .dequantize, .dynamicQuantize, .float: false
    }
  }
}
