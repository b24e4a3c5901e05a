public import BinaryIO

/// What an operator owes the rest of the package: a name, its attributes, its arity and its type rule.
///
/// One file per operator holds its conforming payload. Printer, parser and files need nothing more than
/// ``name`` and ``attributes``; the executor has an `Op+Eval` file of its own.
public protocol OpPayload: Hashable, Sendable {
  /// The name in the text form and in files, in lower_snake case.
  var name: String { get }

  /// Inputs that may be given; trailing optional ones may be absent.
  var inputCount: ClosedRange<Int> { get }

  /// Outputs that may be given.
  var outputCount: ClosedRange<Int> { get }

  /// All attributes that differ from their standard value, in a fixed order.
  var attributes: Attributes { get }

  /// The types of the outputs.
  ///
  /// - Parameter inputs: What is known of each input, nil for an absent optional one.
  /// - Throws: A refusal with the rule (3.4) that the types or attributes break.
  func inferTypes(_ inputs: [OperandInfo?]) throws(Refusal) -> [TensorType]
}

/// What a type rule may know of an operand.
public struct OperandInfo: Sendable {
  public var type: TensorType
  /// The value, when it is a constant.
  public var constant: Tensor?
  /// The elements of an integer vector or scalar, as far as shape arithmetic tells them.
  public var shapeValue: [Dim]?

  public init(type: TensorType, constant: Tensor? = nil, shapeValue: [Dim]? = nil) {
    self.type = type
    self.constant = constant
    self.shapeValue = shapeValue
  }
}

/// An operator with its attributes: the spine of the IR.
///
/// Consumers switch over it without `default`.
public enum Op: Hashable, Sendable {
  // Linear
  case conv(Conv)
  case convTranspose(ConvTranspose)
  case gemm(Gemm)
  case matMul(MatMul)
  // Recurrent
  case lstm(LSTM)
  case gru(GRU)
  // Normalisation
  case batchNorm(BatchNorm)
  case layerNorm(LayerNorm)
  // Pooling and reduction
  case maxPool(MaxPool)
  case averagePool(AveragePool)
  case globalPool(GlobalPool)
  case reduce(Reduce)
  case argMax(ArgMax)
  case cumSum(CumSum)
  // Elementwise
  case unary(Unary)
  case clip(Clip)
  case hardSigmoid(HardSigmoid)
  case leakyRelu(LeakyRelu)
  case elu(Elu)
  case gelu(Gelu)
  case binary(Binary)
  case compare(Compare)
  case `where`(Where)
  case prelu(Prelu)
  case softmax(Softmax)
  case cast(Cast)
  // Shape
  case reshape(Reshape)
  case flatten(Flatten)
  case transpose(Transpose)
  case squeeze(Squeeze)
  case unsqueeze(Unsqueeze)
  case concat(Concat)
  case split(Split)
  case slice(Slice)
  case gather(Gather)
  case gatherElements(GatherElements)
  case gatherND(GatherND)
  case scatterND(ScatterND)
  case expand(Expand)
  case tile(Tile)
  case pad(Pad)
  case shape(ShapeOf)
  case constantOfShape(ConstantOfShape)
  case range(RangeOp)
  case resize(Resize)
  // Quantization
  case quantizeLinear(QuantizeLinear)
  case dequantizeLinear(DequantizeLinear)
  case dequantizeBias(DequantizeBias)
  case dequantizeBlocks(DequantizeBlocks)
  case dynamicQuantize(DynamicQuantize)

  /// The operator's own file's view of it.
  public var payload: any OpPayload {
    switch self {
    case .conv(let op): op
    case .convTranspose(let op): op
    case .gemm(let op): op
    case .matMul(let op): op
    case .lstm(let op): op
    case .gru(let op): op
    case .batchNorm(let op): op
    case .layerNorm(let op): op
    case .maxPool(let op): op
    case .averagePool(let op): op
    case .globalPool(let op): op
    case .reduce(let op): op
    case .argMax(let op): op
    case .cumSum(let op): op
    case .unary(let op): op
    case .clip(let op): op
    case .hardSigmoid(let op): op
    case .leakyRelu(let op): op
    case .elu(let op): op
    case .gelu(let op): op
    case .binary(let op): op
    case .compare(let op): op
    case .where(let op): op
    case .prelu(let op): op
    case .softmax(let op): op
    case .cast(let op): op
    case .reshape(let op): op
    case .flatten(let op): op
    case .transpose(let op): op
    case .squeeze(let op): op
    case .unsqueeze(let op): op
    case .concat(let op): op
    case .split(let op): op
    case .slice(let op): op
    case .gather(let op): op
    case .gatherElements(let op): op
    case .gatherND(let op): op
    case .scatterND(let op): op
    case .expand(let op): op
    case .tile(let op): op
    case .pad(let op): op
    case .shape(let op): op
    case .constantOfShape(let op): op
    case .range(let op): op
    case .resize(let op): op
    case .quantizeLinear(let op): op
    case .dequantizeLinear(let op): op
    case .dequantizeBias(let op): op
    case .dequantizeBlocks(let op): op
    case .dynamicQuantize(let op): op
    }
  }

  public var name: String { payload.name }

  /// The operator called `name` with these attributes.
  ///
  /// - Throws: A refusal when there is no such operator, or an attribute is unknown, missing or malformed.
  public init(name: String, attributes: Attributes) throws(Refusal) {
    var reader = try AttributeReader(attributes)
    guard let op = try Op.make(name, &reader) else {
      throw Refusal(
        .unsupported,
        at: "operator '\(Refusal.printable(name))'",
        rule: "O29",
        "is not known",
        remedy: "use a newer qconvert, or rewrite the model without it"
      )
    }
    try reader.finish()
    self = op
  }

  private static func make(_ name: String, _ a: inout AttributeReader) throws(Refusal) -> Op? {
    if let kind = Unary.Kind(rawValue: name) { return .unary(Unary(kind)) }
    if let kind = Binary.Kind(rawValue: name) { return .binary(Binary(kind)) }
    if let kind = Compare.Kind(rawValue: name) { return .compare(Compare(kind)) }
    if let kind = GlobalPool.Kind(rawValue: name) { return .globalPool(GlobalPool(kind)) }
    if let kind = Reduce.Kind(rawValue: name) { return .reduce(try Reduce(kind, &a)) }
    return switch name {
    case "conv": .conv(try Conv(&a))
    case "conv_transpose": .convTranspose(try ConvTranspose(&a))
    case "gemm": .gemm(try Gemm(&a))
    case "matmul": .matMul(MatMul())
    case "lstm": .lstm(try LSTM(&a))
    case "gru": .gru(try GRU(&a))
    case "batch_norm": .batchNorm(try BatchNorm(&a))
    case "layer_norm": .layerNorm(try LayerNorm(&a))
    case "max_pool": .maxPool(try MaxPool(&a))
    case "average_pool": .averagePool(try AveragePool(&a))
    case "arg_max": .argMax(try ArgMax(&a))
    case "cum_sum": .cumSum(try CumSum(&a))
    case "clip": .clip(try Clip(&a))
    case "hard_sigmoid": .hardSigmoid(try HardSigmoid(&a))
    case "leaky_relu": .leakyRelu(try LeakyRelu(&a))
    case "elu": .elu(try Elu(&a))
    case "gelu": .gelu(try Gelu(&a))
    case "where": .where(Where())
    case "prelu": .prelu(Prelu())
    case "softmax": .softmax(try Softmax(&a))
    case "cast": .cast(try Cast(&a))
    case "reshape": .reshape(try Reshape(&a))
    case "flatten": .flatten(try Flatten(&a))
    case "transpose": .transpose(try Transpose(&a))
    case "squeeze": .squeeze(try Squeeze(&a))
    case "unsqueeze": .unsqueeze(try Unsqueeze(&a))
    case "concat": .concat(try Concat(&a))
    case "split": .split(try Split(&a))
    case "slice": .slice(try Slice(&a))
    case "gather": .gather(try Gather(&a))
    case "gather_elements": .gatherElements(try GatherElements(&a))
    case "gather_nd": .gatherND(try GatherND(&a))
    case "scatter_nd": .scatterND(ScatterND())
    case "expand": .expand(try Expand(&a))
    case "tile": .tile(try Tile(&a))
    case "pad": .pad(try Pad(&a))
    case "shape": .shape(try ShapeOf(&a))
    case "constant_of_shape": .constantOfShape(try ConstantOfShape(&a))
    case "range": .range(RangeOp())
    case "resize": .resize(try Resize(&a))
    case "quantize_linear": .quantizeLinear(try QuantizeLinear(&a))
    case "dequantize_linear": .dequantizeLinear(try DequantizeLinear(&a))
    case "dequantize_bias": .dequantizeBias(DequantizeBias())
    case "dequantize_blocks": .dequantizeBlocks(try DequantizeBlocks(&a))
    case "dynamic_quantize": .dynamicQuantize(try DynamicQuantize(&a))
    default: nil
    }
  }
}
