internal import BinaryIO
internal import GraphIR
internal import Kernels

extension PlanBuilder {
  // Integer

  mutating func addIntegerConv(_ kind: IntegerConv, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let y = step.outputs.first,
      let shape = LinearShape(kind.geometry, x: self.shape(x), y: self.shape(y))
    else { return false }
    let output = kind.tail.output(bias: kind.bias, inputZeroPoint: kind.inputZeroPoint)
    let kernel = try convKernel(shape, kind.weights, .int8, output)
    try addLinear(kernel, name: "int8 \(shape.summary)", x, y, .channelsLast)
    return true
  }

  mutating func addIntegerGemm(_ kind: IntegerGemm, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let y = step.outputs.first else { return false }
    let output = kind.tail.output(bias: kind.bias, inputZeroPoint: kind.inputZeroPoint)
    let shape = matrixShape(x, columns: kind.outputCount)
    let kernel = try matrixKernel(shape, kind.weights, .int8, isTransposed: kind.isTransposed, output)
    try addLinear(kernel, name: "int8 gemm", x, y, .plain)
    return true
  }

  mutating func addDynamicConv(_ kind: DynamicConv, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let y = step.outputs.first,
      let shape = LinearShape(kind.geometry, x: self.shape(x), y: self.shape(y))
    else { return false }
    let kernel = try convKernel(shape, kind.weights, .int8, kind.tail.output)
    try addDynamic(kernel, name: "int8 dynamic \(shape.summary)", step, x, y, .channelsLast)
    return true
  }

  mutating func addDynamicGemm(_ kind: DynamicGemm, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let y = step.outputs.first else { return false }
    let shape = matrixShape(x, columns: kind.outputCount)
    let kernel = try matrixKernel(
      shape,
      kind.weights,
      .int8,
      isTransposed: kind.isTransposed,
      kind.tail.output
    )
    try addDynamic(kernel, name: "int8 dynamic gemm", step, x, y, .plain)
    return true
  }

  // Float

  mutating func addFloatConv(_ op: Conv, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let w = step.inputs[1], let y = step.outputs.first, dtype(x) == .float32,
      constants.isConstant(w)
    else { return false }
    let geometry = ConvGeometry(
      kernel: Array(self.shape(w).dropFirst(2)),
      strides: op.strides,
      pads: op.pads,
      dilations: op.dilations,
      group: op.group
    )
    guard let shape = LinearShape(geometry, x: self.shape(x), y: self.shape(y)) else { return false }
    var bias: [Float]?
    if step.inputs.count > 2, let b = step.inputs[2] {
      guard constants.isConstant(b) else { return false }
      bias = try constants.tensor(b).floatValues()
    }
    let (weights, element) = try floatWeights(w)
    let output = LinearOutput.float(bias: bias, PointwiseFunction(op.activation))
    let kernel = try convKernel(shape, weights, element, output)
    weights.releasePages()
    try addLinear(kernel, name: "f32 \(shape.summary)", x, y, .channelsLast)
    return true
  }

  mutating func addFloatGemm(_ op: Gemm, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let w = step.inputs[1], let y = step.outputs.first, dtype(x) == .float32,
      !op.transA, constants.isConstant(w)
    else { return false }
    let columns = self.shape(y)[1]
    var bias: [Float]?
    if step.inputs.count > 2, let c = step.inputs[2] {
      guard constants.isConstant(c), let values = try rowBias(c, columns, factor: op.beta) else {
        return false
      }
      bias = values
    }
    let output = LinearOutput.float(bias: bias, PointwiseFunction(op.activation))
    try addFloatMatrix(x, w, y, isTransposed: op.transB, factor: op.alpha, output)
    return true
  }

  mutating func addMatMul(_ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let w = step.inputs[1], let y = step.outputs.first, dtype(x) == .float32,
      constants.isConstant(w), self.shape(w).count == 2, self.shape(x).count >= 2
    else { return false }
    try addFloatMatrix(x, w, y, isTransposed: false, factor: 1, .float(bias: nil, .identity))
    return true
  }

  private mutating func addFloatMatrix(
    _ x: ValueID,
    _ w: ValueID,
    _ y: ValueID,
    isTransposed: Bool,
    factor: Float,
    _ output: LinearOutput
  ) throws(Refusal) {
    let shape = matrixShape(x, columns: self.shape(w)[isTransposed ? 0 : 1])
    let (weights, element) = try floatWeights(w)
    let kernel = try matrixKernel(shape, weights, element, isTransposed: isTransposed, factor: factor, output)
    weights.releasePages()
    try addLinear(kernel, name: "f32 gemm", x, y, .plain)
  }

  /// An inference-time normalisation, as a depthwise convolution of one tap.
  mutating func addBatchNorm(_ op: BatchNorm, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let y = step.outputs.first, dtype(x) == .float32, self.shape(x).count >= 2
    else { return false }
    var parameters: [[Float]] = []
    for case let id? in step.inputs.dropFirst() {
      guard constants.isConstant(id), let values = try constants.tensor(id).floatValues() else {
        return false
      }
      parameters.append(values)
    }
    let channels = self.shape(x)[1]
    guard parameters.count == 4, channels > 1 else { return false }
    let scales = zip(parameters[0], parameters[3]).map { scale, variance in
      scale / (variance + op.epsilon).squareRoot()
    }
    let bias = (0..<channels).map { parameters[1][$0] - parameters[2][$0] * scales[$0] }
    var shape = LinearShape()
    shape.batch = self.shape(x)[0]
    shape.inputHeight = self.shape(x).dropFirst(2).reduce(1, *)
    shape.outputHeight = shape.inputHeight
    shape.groups = channels
    let weights = try Tensor.floats(scales, [channels, 1, 1])
    let kernel = try convKernel(shape, weights, .float32, .float(bias: bias, .identity))
    try addLinear(kernel, name: "f32 batch norm", x, y, .channelsLast)
    return true
  }

  /// `c` as one value per column, scaled; nil where it differs from row to row.
  private mutating func rowBias(_ c: ValueID, _ columns: Int, factor: Float) throws(Refusal) -> [Float]? {
    let tensor = try constants.tensor(c)
    guard let values = tensor.floatValues() else { return nil }
    let scaled = factor == 1 ? values : values.map { $0 * factor }
    if values.count == 1, let value = scaled.first { return [Float](repeating: value, count: columns) }
    guard values.count == columns, tensor.shape.last == columns else { return nil }
    return scaled
  }

  /// Float weights as stored: a constant, or the half-precision constant behind a constant cast.
  private mutating func floatWeights(
    _ id: ValueID
  ) throws(Refusal) -> (Tensor, WeightSource.Element) {
    if case .float(.cast(let cast))? = constants.step(of: id)?.kind, cast.to == .float32,
      let source = constants.step(of: id)?.inputs[0], let half = program.graph[source].constant,
      half.dtype == .float16
    {
      return (half, .float16)
    }
    return (try constants.tensor(id), .float32)
  }

  // Kernels

  private func matrixShape(_ x: ValueID, columns: Int) -> LinearShape {
    let shape = self.shape(x)
    return LinearShape(rows: shape.dropLast().reduce(1, *), depth: shape.last ?? 1, columns: columns)
  }

  private mutating func convKernel(
    _ shape: LinearShape,
    _ weights: Tensor,
    _ element: WeightSource.Element,
    _ output: LinearOutput
  ) throws(Refusal) -> LinearKernel {
    let set = context.instructionSet
    let made = unsafe PlanBuilder.withWeights(weights, element) { bytes in
      let source = unsafe WeightSource(
        bytes,
        element,
        outputs: shape.groups * shape.outputChannels,
        inputs: shape.inputChannels,
        taps: shape.taps
      )
      return source.flatMap { LinearKernel(shape, $0, output, set) }
    }
    return try counted(made, weights)
  }

  private mutating func matrixKernel(
    _ shape: LinearShape,
    _ weights: Tensor,
    _ element: WeightSource.Element,
    isTransposed: Bool,
    factor: Float = 1,
    _ output: LinearOutput
  ) throws(Refusal) -> LinearKernel {
    let set = context.instructionSet
    let made = unsafe PlanBuilder.withWeights(weights, element) { bytes in
      let source = unsafe WeightSource(
        matrix: bytes,
        element,
        columns: shape.outputChannels,
        depth: shape.inputChannels,
        isTransposed: isTransposed,
        factor: factor
      )
      return source.flatMap { LinearKernel(shape, $0, output, set) }
    }
    return try counted(made, weights)
  }

  private mutating func counted(_ kernel: LinearKernel?, _ weights: Tensor) throws(Refusal) -> LinearKernel {
    guard let kernel else { throw PlanBuilder.outOfMemory("packed weights") }
    weights.releasePages()
    weightBytes += kernel.residentBytes
    return kernel
  }

  /// The bytes of weights, aligned to their elements.
  private static func withWeights<R>(
    _ weights: Tensor,
    _ element: WeightSource.Element,
    _ body: (UnsafeRawBufferPointer) -> R
  ) -> R {
    switch element {
    case .float32: unsafe weights.withElements(as: Float.self) { unsafe body(UnsafeRawBufferPointer($0)) }
    case .float16: unsafe weights.withElements(as: UInt16.self) { unsafe body(UnsafeRawBufferPointer($0)) }
    case .int8: unsafe weights.withElements(as: Int8.self) { unsafe body(UnsafeRawBufferPointer($0)) }
    }
  }

  private mutating func addLinear(
    _ kernel: LinearKernel,
    name: String,
    _ x: ValueID,
    _ y: ValueID,
    _ layout: Layout
  ) throws(Refusal) {
    let source = try read(x, layout)
    let target = write(y, layout)
    add(name, reads: [source], writes: [target], scratch: kernel.scratchBytes) { (run) throws(Refusal) in
      kernel.run(run[source], run[target], in: run.context)
    }
  }

  private mutating func addDynamic(
    _ kernel: LinearKernel,
    name: String,
    _ step: Step,
    _ x: ValueID,
    _ y: ValueID,
    _ layout: Layout
  ) throws(Refusal) {
    guard step.inputs.count == 3, let scaleID = step.inputs[1], let zeroPointID = step.inputs[2] else {
      throw Evaluation.refusal("K3", "the dynamic parameters are missing")
    }
    let source = try read(x, layout)
    let scale = try read(scaleID, .plain)
    let zeroPoint = try read(zeroPointID, .plain)
    let target = write(y, layout)
    add(name, reads: [source, scale, zeroPoint], writes: [target], scratch: kernel.scratchBytes) {
      (run) throws(Refusal) in
      let parameters = (
        scale: run[scale].read(1, as: Float.self)[0], zeroPoint: run[zeroPoint].read(1, as: UInt8.self)[0]
      )
      kernel.run(run[source], run[target], parameters: parameters, in: run.context)
    }
  }
}
