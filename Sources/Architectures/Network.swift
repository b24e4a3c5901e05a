import BinaryIO
import GraphIR

/// A value of a network under description: square feature maps `[batch, channels, extent, extent]`, or
/// `[batch, channels]` behind ``Network/flatten(_:_:)``.
struct Feature {
  /// Where a value comes from.
  enum Source {
    /// Index of an input of the network.
    case input(Int)
    /// Index of a layer.
    case layer(Int)
    /// A tensor of the checkpoint.
    case parameter(Network.Demand)
    /// A scalar i64.
    case integer(Int)
  }

  let source: Source
  let channels: Int
  let extent: Int

  fileprivate init(source: Source, channels: Int, extent: Int) {
    self.source = source
    self.channels = channels
    self.extent = extent
  }

  /// A tensor of the checkpoint.
  init(parameter: Network.Demand) {
    self.init(source: .parameter(parameter), channels: parameter.shape.last ?? 1, extent: 1)
  }

  /// A scalar i64.
  init(integer: Int) {
    self.init(source: .integer(integer), channels: 1, extent: 1)
  }

  /// The tensor that this is, if no layer makes it.
  var parameter: Network.Demand? {
    guard case .parameter(let demand) = source else { return nil }
    return demand
  }
}

/// How a convolution pads its input.
enum Padding {
  /// As many zeros on all sides.
  case symmetric(Int)
  /// So many zeros that the extent is divided by the stride, rounded up; the odd one is at the end.
  case same

  func amounts(extent: Int, kernel: Int, stride: Int) -> (before: Int, after: Int) {
    switch self {
    case .symmetric(let amount): return (amount, amount)
    case .same:
      let total = max(((extent + stride - 1) / stride - 1) * stride + kernel - extent, 0)
      return (total / 2, total - total / 2)
    }
  }
}

/// A network as a description makes it: layers, and the tensors they demand of a checkpoint.
///
/// A description calls the methods in the order of evaluation; a layer has the name that its tensors share. Nothing
/// fails while describing: a width that the checkpoint does not tell has a standard value, and what is missing or
/// misshapen shows when demands and checkpoint are compared.
struct Network {
  /// A tensor that a layer takes from the checkpoint.
  struct Demand {
    let name: String
    let shape: [Int]
    /// Makes the constant of the checkpoint's tensor; nil: they are the same.
    var derive: (@Sendable (Tensor) throws(Refusal) -> Tensor)?
  }

  struct Layer {
    let name: String
    let op: Op
    let inputs: [Feature]
    let parameters: [Demand]
    /// Numbers that follow the parameters as operands.
    var constants: [Float] = []
  }

  let checkpoint: Checkpoint
  private(set) var inputs: [(name: String, type: TensorType)] = []
  private(set) var layers: [Layer] = []
  /// Results and the layers they come from; the last layer is `output` where there are none.
  private var outputs: [Int: String] = [:]
  /// Tensors that the network can do without.
  private(set) var ignored: [String] = []
  /// Why a network whose tensors are all there cannot be built.
  private(set) var obstacle: Refusal?
  /// What the graph's metadata say of preprocessing; nil when the checkpoint does not tell.
  var preprocessing: String?

  init(_ checkpoint: Checkpoint, preprocessing: String?) {
    self.checkpoint = checkpoint
    self.preprocessing = preprocessing
  }

  /// All tensors that the network needs, in order of use.
  var demands: [Demand] { layers.flatMap { $0.inputs.compactMap(\.parameter) + $0.parameters } }

  // MARK: Asking the checkpoint

  func has(_ name: String) -> Bool { checkpoint[name] != nil }

  /// The output channels of a convolution or linear layer, or `standard` where the checkpoint does not tell.
  func width(_ layer: String, standard: Int) -> Int {
    checkpoint.extent("\(layer).weight", axis: 0) ?? standard
  }

  /// The one of `names` that has a weight; the first if none has.
  func present(_ names: [String]) -> String { names.first { has("\($0).weight") } ?? names[0] }

  // MARK: Layers

  /// An input of the network.
  mutating func input(_ name: String, _ type: TensorType, extent: Int = 1) -> Feature {
    inputs.append((name, type))
    let channels = type.rank > 1 ? type.dims[1].value ?? 1 : 1
    return Feature(source: .input(inputs.count - 1), channels: channels, extent: extent)
  }

  /// Images with three channels.
  mutating func imageInput(_ size: ImageSize) -> Feature {
    let dims: [Dim] = [.symbol("batch"), 3, .known(size.height), .known(size.width)]
    return input("input", TensorType(.float32, dims), extent: size.height)
  }

  /// Names what a layer makes as a result of the network.
  mutating func output(_ name: String, _ x: Feature) {
    if case .layer(let index) = x.source { outputs[index] = name }
  }

  /// Accepts tensors that no layer takes.
  mutating func ignore(_ names: [String]) { ignored += names }

  /// States that the network cannot be built; the first reason counts.
  mutating func refuse(_ problem: String, remedy: String) {
    guard obstacle == nil else { return }
    obstacle = Refusal(.unsupported, at: "checkpoint", rule: "S18", problem, remedy: remedy)
  }

  /// A convolution; without `padding` it keeps the extent at stride 1.
  mutating func conv(
    _ name: String,
    _ x: Feature,
    _ channels: Int,
    kernel: Int,
    stride: Int = 1,
    padding: Padding? = nil,
    groups: Int = 1,
    bias: Bool = false
  ) -> Feature {
    let padding = padding ?? .symmetric(kernel / 2)
    let (before, after) = padding.amounts(extent: x.extent, kernel: kernel, stride: stride)
    var parameters = [Demand(name: "\(name).weight", shape: [channels, x.channels / groups, kernel, kernel])]
    if bias { parameters.append(Demand(name: "\(name).bias", shape: [channels])) }
    let op = Conv(
      strides: [stride, stride],
      pads: [before, before, after, after],
      dilations: [1, 1],
      group: groups
    )
    let extent = (x.extent + before + after - kernel) / stride + 1
    return add(name, .conv(op), [x], parameters, channels: channels, extent: extent)
  }

  /// A convolution of every channel with a filter of its own.
  mutating func depthwise(
    _ name: String,
    _ x: Feature,
    kernel: Int,
    stride: Int = 1,
    padding: Padding? = nil
  ) -> Feature {
    conv(name, x, x.channels, kernel: kernel, stride: stride, padding: padding, groups: x.channels)
  }

  mutating func batchNorm(_ name: String, _ x: Feature, epsilon: Float = 1e-5) -> Feature {
    let parameters = ["weight", "bias", "running_mean", "running_var"].map {
      Demand(name: "\(name).\($0)", shape: [x.channels])
    }
    return add(name, .batchNorm(BatchNorm(epsilon: epsilon)), [x], parameters)
  }

  /// A fully connected layer.
  mutating func linear(_ name: String, _ x: Feature, _ channels: Int, bias: Bool = true) -> Feature {
    var parameters = [Demand(name: "\(name).weight", shape: [channels, x.channels])]
    if bias { parameters.append(Demand(name: "\(name).bias", shape: [channels])) }
    return add(name, .gemm(Gemm(transB: true)), [x], parameters, channels: channels)
  }

  /// The classifier: a fully connected layer as wide as the checkpoint says.
  mutating func classifier(_ name: String, _ x: Feature, standard: Int = 1000) -> Feature {
    linear(name, x, width(name, standard: standard))
  }

  mutating func relu(_ name: String, _ x: Feature) -> Feature { add(name, .unary(Unary(.relu)), [x]) }

  mutating func relu6(_ name: String, _ x: Feature) -> Feature {
    add(name, .clip(Clip(min: 0, max: 6)), [x])
  }

  mutating func hardSwish(_ name: String, _ x: Feature) -> Feature {
    add(name, .unary(Unary(.hardSwish)), [x])
  }

  /// `min(max(x/6 + 1/2, 0), 1)`.
  mutating func hardSigmoid(_ name: String, _ x: Feature) -> Feature {
    add(name, .hardSigmoid(HardSigmoid(alpha: 1 / 6, beta: 0.5)), [x])
  }

  mutating func maxPool(
    _ name: String,
    _ x: Feature,
    kernel: Int,
    stride: Int,
    padding: Int = 0,
    ceilMode: Bool = false
  ) -> Feature {
    let op = MaxPool(
      kernel: [kernel, kernel],
      strides: [stride, stride],
      pads: [padding, padding, padding, padding],
      dilations: [1, 1],
      ceilMode: ceilMode
    )
    let room = x.extent + 2 * padding - kernel
    let extent = (ceilMode ? (room + stride - 1) / stride : room / stride) + 1
    return add(name, .maxPool(op), [x], extent: extent)
  }

  mutating func globalAveragePool(_ name: String, _ x: Feature) -> Feature {
    add(name, .globalPool(GlobalPool(.average)), [x], extent: 1)
  }

  mutating func flatten(_ name: String, _ x: Feature) -> Feature {
    add(name, .flatten(Flatten(axis: 1)), [x], channels: x.channels * x.extent * x.extent, extent: 1)
  }

  mutating func sum(_ name: String, _ x: Feature, _ y: Feature) -> Feature {
    add(name, .binary(Binary(.add)), [x, y])
  }

  mutating func product(_ name: String, _ x: Feature, _ y: Feature) -> Feature {
    add(name, .binary(Binary(.mul)), [x, y])
  }

  /// Feature maps joined along the channels.
  mutating func concat(_ name: String, _ features: [Feature]) -> Feature {
    let channels = features.reduce(0) { $0 + $1.channels }
    return add(name, .concat(Concat(axis: 1)), features, channels: channels)
  }

  /// Every `stride`-th pixel of every `stride`-th row.
  mutating func subsample(_ name: String, _ x: Feature, stride: Int) -> Feature {
    let op = Slice(starts: [0, 0], ends: [x.extent, x.extent], axes: [2, 3], steps: [stride, stride])
    return add(name, .slice(op), [x], extent: (x.extent + stride - 1) / stride)
  }

  /// Channels of zeros on both sides.
  mutating func padChannels(_ name: String, _ x: Feature, _ amount: Int) -> Feature {
    let op = Pad(pads: [0, amount, 0, 0, 0, amount, 0, 0])
    return add(name, .pad(op), [x], channels: x.channels + 2 * amount)
  }

  mutating func add(
    _ name: String,
    _ op: Op,
    _ inputs: [Feature],
    _ parameters: [Demand] = [],
    constants: [Float] = [],
    channels: Int? = nil,
    extent: Int? = nil
  ) -> Feature {
    layers.append(
      Layer(name: name, op: op, inputs: inputs, parameters: parameters, constants: constants)
    )
    let first = inputs[0]
    return Feature(
      source: .layer(layers.count - 1),
      channels: channels ?? first.channels,
      extent: extent ?? first.extent
    )
  }
}

extension Network {
  /// The graph of the layers with the tensors of the checkpoint.
  ///
  /// - Parameter name: Name of the graph.
  /// - Throws: A refusal when the network has an ``obstacle``, a demanded tensor is missing, or types do not fit.
  func graph(named name: String) throws(Refusal) -> Graph {
    if let obstacle { throw obstacle }
    var graph = Graph(name: name)
    let given = inputs.map { graph.addInput($0.name, $0.type) }
    let names = outputs.isEmpty ? [layers.count - 1: "output"] : outputs
    var results: [ValueID] = []
    for (index, layer) in layers.enumerated() {
      var operands: [ValueID] = []
      for feature in layer.inputs {
        switch feature.source {
        case .input(let index): operands.append(given[index])
        case .layer(let index): operands.append(results[index])
        case .parameter(let demand): operands.append(try add(demand, to: &graph))
        case .integer(let value):
          operands.append(
            graph.addConstant(graph.uniqueName("\(layer.name).index"), try Tensor.int64s([value], []))
          )
        }
      }
      for demand in layer.parameters { operands.append(try add(demand, to: &graph)) }
      for number in layer.constants {
        operands.append(graph.addConstant("\(layer.name).factor", try Tensor.floats([number], [])))
      }
      let node = try graph.addNode(
        layer.op,
        name: layer.name,
        inputs: operands,
        outputNames: [names[index] ?? layer.name]
      )
      results.append(graph[node].outputs[0])
    }
    for index in names.keys.sorted() where results.indices.contains(index) {
      graph.addOutput(results[index])
    }
    return graph
  }

  /// The tensor as a constant, and where it is not f32 the cast of it.
  private func add(_ demand: Demand, to graph: inout Graph) throws(Refusal) -> ValueID {
    guard let tensor = checkpoint[demand.name], tensor.shape == demand.shape else {
      throw Refusal(
        .invalid,
        at: "tensor \(Refusal.quoted(demand.name))",
        rule: "S17",
        "is missing or has another shape than \(demand.shape)",
        remedy: "save the checkpoint again"
      )
    }
    if let derive = demand.derive { return graph.addConstant(demand.name, try derive(tensor)) }
    let constant = graph.addConstant(demand.name, tensor)
    guard tensor.dtype != .float32 else { return constant }
    let node = try graph.addNode(
      .cast(Cast(to: .float32)),
      name: "\(demand.name).f32",
      inputs: [constant],
      outputNames: ["\(demand.name).f32"]
    )
    return graph[node].outputs[0]
  }
}
