package import GraphIR

/// One operator of every case of ``Op``, and of every kind of the pointwise ones, with random attributes.
///
/// The attributes are legal as such; whether they fit any operand is not considered.
package func operatorSamples(seed: UInt64) -> [Op] {
  var random = SplitMix64(seed: seed)
  var ops =
    linearSamples(&random) + recurrentSamples(&random) + poolingSamples(&random) + shapeSamples(&random)
    + pointwiseSamples(&random)
  ops += [
    .quantizeLinear(QuantizeLinear(axis: random.maybe(random.int(-4...3)))),
    .dequantizeLinear(DequantizeLinear(axis: random.maybe(random.int(-4...3)))),
    .dequantizeBias(DequantizeBias()), .dynamicQuantize(DynamicQuantize()),
    .dequantizeBlocks(
      DequantizeBlocks(
        bits: random.int(2...8),
        block: 32,
        depth: random.int(1...99),
        isTransposed: random.bool()
      )
    ),
  ]
  return ops
}

/// A number per case of ``Op``, from 0 without gaps, for tests that all were seen.
package func caseNumber(of op: Op) -> Int {
  switch op {
  case .conv: 0
  case .convTranspose: 1
  case .gemm: 2
  case .matMul: 3
  case .batchNorm: 4
  case .layerNorm: 5
  case .maxPool: 6
  case .averagePool: 7
  case .globalPool: 8
  case .reduce: 9
  case .argMax: 10
  case .unary: 11
  case .clip: 12
  case .hardSigmoid: 13
  case .leakyRelu: 14
  case .gelu: 15
  case .binary: 16
  case .compare: 17
  case .where: 18
  case .prelu: 19
  case .softmax: 20
  case .cast: 21
  case .reshape: 22
  case .flatten: 23
  case .transpose: 24
  case .squeeze: 25
  case .unsqueeze: 26
  case .concat: 27
  case .split: 28
  case .slice: 29
  case .gather: 30
  case .expand: 31
  case .pad: 32
  case .shape: 33
  case .constantOfShape: 34
  case .range: 35
  case .resize: 36
  case .quantizeLinear: 37
  case .dequantizeLinear: 38
  case .dequantizeBias: 39
  case .dynamicQuantize: 40
  case .dequantizeBlocks: 41
  case .lstm: 42
  case .gru: 43
  case .elu: 44
  case .gatherElements: 45
  case .gatherND: 46
  case .scatterND: 47
  case .cumSum: 48
  case .tile: 49
  }
}

/// How many cases ``Op`` has.
package let caseCount = 50

extension SplitMix64 {
  fileprivate mutating func maybe<Value>(_ value: Value) -> Value? { bool() ? value : nil }

  fileprivate mutating func ints(_ count: Int, _ range: ClosedRange<Int>) -> [Int] {
    (0..<count).map { _ in int(range) }
  }

  /// Also reals that need many digits, whole ones, zeros of both signs and infinities.
  fileprivate mutating func real() -> Float {
    switch int(0...7) {
    case 0: 0
    case 1: -0.0
    case 2: Float(int(-1000...1000))
    case 3: bool() ? .infinity : -.infinity
    case 4: Float(bitPattern: UInt32(int(1...0x7F7F_FFFF)))
    default: float(-10...10)
    }
  }

  fileprivate mutating func activation() -> Activation {
    switch int(0...7) {
    case 0: .none
    case 1: .relu
    case 2: .clip(min: real(), max: real())
    case 3: .sigmoid
    case 4: .hardSigmoid(alpha: real(), beta: real())
    case 5: .hardSwish
    case 6: .silu
    default: .leakyRelu(alpha: real())
    }
  }
}

private func linearSamples(_ random: inout SplitMix64) -> [Op] {
  let axes = random.int(1...3)
  return [
    .conv(
      Conv(
        strides: random.ints(axes, 1...4),
        pads: random.ints(2 * axes, 0...4),
        dilations: random.ints(axes, 1...4),
        group: random.int(1...4),
        activation: random.activation()
      )
    ),
    .convTranspose(
      ConvTranspose(
        strides: random.ints(axes, 1...4),
        pads: random.ints(2 * axes, 0...4),
        dilations: random.ints(axes, 1...4),
        group: random.int(1...4),
        outputPadding: random.ints(axes, 0...1),
        activation: random.activation()
      )
    ),
    .gemm(
      Gemm(
        alpha: random.real(),
        beta: random.real(),
        transA: random.bool(),
        transB: random.bool(),
        activation: random.activation()
      )
    ),
    .matMul(MatMul()), .batchNorm(BatchNorm(epsilon: random.real())),
    .layerNorm(LayerNorm(axis: random.int(-2...2), epsilon: random.real())),
  ]
}

private func recurrentSamples(_ random: inout SplitMix64) -> [Op] {
  let recurrence = Recurrence(
    direction: Recurrence.Direction.allCases.randomElement(using: &random) ?? .forward,
    clip: random.real(),
    isDynamic: random.bool()
  )
  return [
    .lstm(LSTM(recurrence, isCoupled: random.bool())), .gru(GRU(recurrence, resetsAfter: random.bool())),
  ]
}

private func poolingSamples(_ random: inout SplitMix64) -> [Op] {
  let axes = random.int(1...3)
  var ops: [Op] = [
    .maxPool(
      MaxPool(
        kernel: random.ints(axes, 1...5),
        strides: random.ints(axes, 1...4),
        pads: random.ints(2 * axes, 0...4),
        dilations: random.ints(axes, 1...4),
        ceilMode: random.bool()
      )
    ),
    .averagePool(
      AveragePool(
        kernel: random.ints(axes, 1...5),
        strides: random.ints(axes, 1...4),
        pads: random.ints(2 * axes, 0...4),
        dilations: random.ints(axes, 1...4),
        ceilMode: random.bool(),
        countIncludePad: random.bool()
      )
    ),
    .argMax(ArgMax(axis: random.int(-2...2), keepDims: random.bool())),
  ]
  ops += GlobalPool.Kind.allCases.map { .globalPool(GlobalPool($0)) }
  for kind in Reduce.Kind.allCases {
    ops.append(
      .reduce(
        Reduce(kind, axes: random.maybe(random.ints(random.int(0...3), -4...3)), keepDims: random.bool())
      )
    )
  }
  return ops
}

private func pointwiseSamples(_ random: inout SplitMix64) -> [Op] {
  var ops: [Op] = Unary.Kind.allCases.map { .unary(Unary($0)) }
  ops += Binary.Kind.allCases.map { .binary(Binary($0)) }
  ops += Compare.Kind.allCases.map { .compare(Compare($0)) }
  ops += DType.allCases.map { .cast(Cast(to: $0)) }
  ops += [
    .clip(Clip(min: random.real(), max: random.real())),
    .hardSigmoid(HardSigmoid(alpha: random.real(), beta: random.real())),
    .leakyRelu(LeakyRelu(alpha: random.real())), .elu(Elu(alpha: random.real(), scale: random.real())),
    .gelu(Gelu(isTanh: random.bool())), .where(Where()),
    .prelu(Prelu()),
    .softmax(Softmax(axis: random.int(-3...3), isLog: random.bool(), isGuarded: random.bool())),
  ]
  return ops
}

private func shapeSamples(_ random: inout SplitMix64) -> [Op] {
  let rank = random.int(1...4)
  return [
    .reshape(Reshape(shape: random.maybe(random.ints(rank, -1...9)), allowZero: random.bool())),
    .flatten(Flatten(axis: random.int(-3...3))),
    .transpose(Transpose(perm: Array(0..<rank).shuffled(using: &random))),
    .squeeze(Squeeze(axes: random.maybe(random.ints(rank, -4...3)))),
    .unsqueeze(Unsqueeze(axes: random.ints(rank, -4...3))), .concat(Concat(axis: random.int(-4...3))),
    .split(Split(axis: random.int(-4...3), sizes: random.maybe(random.ints(rank, 0...5)))),
    .slice(
      Slice(
        starts: random.maybe(random.ints(rank, Int.min...Int.max)),
        ends: random.maybe(random.ints(rank, Int.min...Int.max)),
        axes: random.maybe(random.ints(rank, -4...3)),
        steps: random.maybe(random.ints(rank, -2...2))
      )
    ),
    .gatherElements(GatherElements(axis: random.int(-4...3))),
    .gatherND(GatherND(batchDims: random.int(0...2))), .scatterND(ScatterND()),
    .cumSum(CumSum(axis: random.int(-4...3), isExclusive: random.bool(), isReverse: random.bool())),
    .tile(Tile(repeats: random.maybe(random.ints(rank, 0...5)))),
    .gather(Gather(axis: random.int(-4...3))), .expand(Expand(shape: random.maybe(random.ints(rank, 0...5)))),
    .pad(
      Pad(
        pads: random.ints(2 * rank, -2...3),
        mode: [.constant, .reflect, .edge].randomElement(using: &random) ?? .edge,
        value: random.real()
      )
    ),
    .shape(ShapeOf(start: random.int(-4...3), end: random.maybe(random.int(-4...3)))),
    .constantOfShape(
      ConstantOfShape(dtype: DType.allCases.randomElement(using: &random) ?? .int8, value: random.real())
    ),
    .range(RangeOp()),
    .resize(
      Resize(
        scales: random.maybe((0..<rank).map { _ in random.real() }),
        sizes: random.maybe(random.ints(rank, 1...9)),
        mode: [.nearest, .linear, .cubic].randomElement(using: &random) ?? .cubic,
        coordinates: random.bool() ? "half_pixel" : "asymmetric",
        nearest: random.bool() ? "floor" : "round_prefer_floor"
      )
    ),
  ]
}
