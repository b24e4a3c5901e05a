internal import GraphIR
internal import Kernels

extension PointwiseFunction {
  init(_ activation: Activation) {
    self =
      switch activation {
      case .none: .identity
      case .relu: .relu
      case .clip(let min, let max): .clip(min: min, max: max)
      case .sigmoid: .sigmoid
      case .hardSigmoid(let alpha, let beta): .hardSigmoid(alpha: alpha, beta: beta)
      case .hardSwish: .hardSwish
      case .silu: .silu
      case .leakyRelu(let alpha): .leakyRelu(alpha: alpha)
      }
  }
}

extension ByteClamp {
  init(_ clamp: OutputClamp) {
    self.init(zeroPoint: clamp.zeroPoint, lowest: clamp.lowest, highest: clamp.highest)
  }
}

extension ByteBinary {
  init(_ add: IntegerAdd) {
    self.init(
      .add(multiplierA: add.multiplierA, multiplierB: add.multiplierB),
      zeroPointA: add.zeroPointA,
      zeroPointB: add.zeroPointB,
      ByteClamp(add.clamp)
    )
  }

  init(_ mul: IntegerMul) {
    self.init(
      .multiply(multiplier: mul.multiplier),
      zeroPointA: mul.zeroPointA,
      zeroPointB: mul.zeroPointB,
      ByteClamp(mul.clamp)
    )
  }
}

extension LinearTail {
  /// What a kernel does for this tail, and for an addition to its bytes if one is given.
  func output(bias: [Int32], inputZeroPoint: UInt8, sum: ByteBinary? = nil) -> LinearOutput {
    switch self {
    case .requantize(let multipliers, let clamp):
      .requantized(
        bias: bias,
        inputZeroPoint: inputZeroPoint,
        multipliers: multipliers,
        ByteClamp(clamp),
        sum: sum
      )
    case .real(let scales, let realBias, let activation, let output):
      .real(
        bias: bias,
        inputZeroPoint: inputZeroPoint,
        scales: scales,
        realBias: realBias,
        PointwiseFunction(activation),
        quantized: output.map { (scale: $0.scale, zeroPoint: $0.zeroPoint) }
      )
    }
  }
}

extension DynamicTail {
  /// What a kernel does for this tail where every row has parameters of its own.
  var rowOutput: LinearOutput {
    .dynamicRows(weightScales: weightScales, bias: bias, PointwiseFunction(activation))
  }

  /// What a kernel does for this tail.
  var output: LinearOutput {
    .dynamic(weightScales: weightScales, bias: bias, PointwiseFunction(activation))
  }
}

extension LinearShape {
  /// A convolution over one or two spatial axes; nil for more.
  ///
  /// - Parameters:
  ///   - geometry: The operator's.
  ///   - x: `[N, C, D...]`
  ///   - y: `[N, M, D'...]`
  init?(_ geometry: ConvGeometry, x: [Int], y: [Int]) {
    let axes = geometry.kernel.count
    guard axes == 1 || axes == 2, x.count == axes + 2, y.count == axes + 2, geometry.group > 0 else {
      return nil
    }
    self.init()
    let first = axes - 1
    batch = x[0]
    groups = geometry.group
    inputChannels = x[1] / geometry.group
    outputChannels = y[1] / geometry.group
    inputWidth = x[2 + first]
    outputWidth = y[2 + first]
    kernelWidth = geometry.kernel[first]
    strideX = geometry.strides[first]
    padLeft = geometry.pads[first]
    dilationX = geometry.dilations[first]
    guard axes == 2 else { return }
    inputHeight = x[2]
    outputHeight = y[2]
    kernelHeight = geometry.kernel[0]
    strideY = geometry.strides[0]
    padTop = geometry.pads[0]
    dilationY = geometry.dilations[0]
  }

  /// For profiles, such as `depthwise conv 3x3`.
  var summary: String {
    "\(isDepthwise ? "depthwise " : groups > 1 ? "grouped " : "")conv \(kernelHeight)x\(kernelWidth)"
  }
}

extension PoolingShape {
  /// Windows over one or two spatial axes; nil for more.
  ///
  /// - Parameters:
  ///   - kernel: As the operator's.
  ///   - strides: As the operator's.
  ///   - pads: As the operator's.
  ///   - dilations: As the operator's.
  ///   - x: `[N, C, D...]`
  ///   - y: `[N, C, D'...]`
  init?(kernel: [Int], strides: [Int], pads: [Int], dilations: [Int], x: [Int], y: [Int]) {
    let axes = kernel.count
    guard axes == 1 || axes == 2, x.count == axes + 2, y.count == axes + 2 else { return nil }
    self.init()
    let first = axes - 1
    batch = x[0]
    channels = x[1]
    inputWidth = x[2 + first]
    outputWidth = y[2 + first]
    kernelWidth = kernel[first]
    strideX = strides[first]
    padLeft = pads[first]
    padRight = pads[axes + first]
    dilationX = dilations[first]
    guard axes == 2 else { return }
    inputHeight = x[2]
    outputHeight = y[2]
    kernelHeight = kernel[0]
    strideY = strides[0]
    padTop = pads[0]
    padBottom = pads[axes]
    dilationY = dilations[0]
  }

  /// One window over all spatial axes.
  init(global x: [Int]) {
    self.init()
    batch = x[0]
    channels = x[1]
    inputWidth = x.dropFirst(2).reduce(1, *)
    kernelWidth = inputWidth
  }

  /// Whether every window has a tap inside the input.
  var hasNoEmptyWindow: Bool {
    func reaches(_ output: Int, _ stride: Int, _ pad: Int, _ dilation: Int, _ kernel: Int, _ extent: Int)
      -> Bool
    {
      (0..<output).allSatisfy { position in
        (0..<kernel).contains { tap in
          (0..<extent).contains(position * stride - pad + tap * dilation)
        }
      }
    }
    return reaches(outputHeight, strideY, padTop, dilationY, kernelHeight, inputHeight)
      && reaches(outputWidth, strideX, padLeft, dilationX, kernelWidth, inputWidth)
  }
}
