internal import BinaryIO
internal import GraphIR
internal import Kernels

extension PlanBuilder {
  // Integer

  /// - Parameter residual: The sum that the convolution's result goes into, to be computed with it.
  mutating func addIntegerConv(
    _ kind: IntegerConv,
    into residual: ResidualMatch? = nil,
    _ step: Step
  ) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let y = step.outputs.first,
      let plane = PlaneConv(kind.geometry, x: self.shape(x), y: self.shape(y))
    else { return false }
    let output = kind.tail.output(
      bias: kind.bias,
      inputZeroPoint: kind.inputZeroPoint,
      sum: residual?.function
    )
    let kernel = try convKernel(plane.shape, y, output) { () throws(Refusal) in
      (try plane.arranged(kind.weights), .int8)
    }
    let name = "int8 \(plane.summary)"
    let source = try stacked(x, plane) { _ in kind.inputZeroPoint }
    if let residual {
      try addSum(kernel, name: "\(name) + add", source, residual)
    } else {
      addLinear(kernel, name: name, source, place(y, .channelsLast))
    }
    return true
  }

  private mutating func addSum(
    _ kernel: LinearKernel,
    name: String,
    _ source: SlotID,
    _ residual: ResidualMatch
  ) throws(Refusal) {
    let addend = try read(residual.addend, .channelsLast)
    let target = write(residual.sum, .channelsLast)
    parameterBytes += kernel.residentBytes
    add(
      name,
      reads: [source, addend],
      writes: [target],
      reusing: 1,
      scratch: kernel.scratchBytes,
      joining: [residual.step]
    ) { (run) throws(Refusal) in
      kernel.run(run[source], run[target], addend: run[addend], in: run.context)
    }
  }

  mutating func addIntegerGemm(_ kind: IntegerGemm, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let y = step.outputs.first else { return false }
    let output = kind.tail.output(bias: kind.bias, inputZeroPoint: kind.inputZeroPoint)
    let shape = matrixShape(x, columns: kind.outputCount)
    let kernel = try matrixKernel(shape, y, isTransposed: kind.isTransposed, output) { () throws(Refusal) in
      (kind.weights, .int8)
    }
    try addLinear(kernel, name: "int8 gemm", read(x, .plain), place(y, .plain))
    return true
  }

  mutating func addDynamicConv(_ kind: DynamicConv, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let y = step.outputs.first,
      let plane = PlaneConv(kind.geometry, x: self.shape(x), y: self.shape(y))
    else { return false }
    let kernel = try convKernel(plane.shape, y, kind.tail.output) { () throws(Refusal) in
      (try plane.arranged(kind.weights), .int8)
    }
    let zeroPoint = try read(parameters(step).zeroPoint, .plain)
    let source = try stacked(x, plane, reading: [zeroPoint]) { run in
      run[zeroPoint].read(1, as: UInt8.self)[0]
    }
    try addDynamic(kernel, name: "int8 dynamic \(plane.summary)", step, source, y, .channelsLast)
    return true
  }

  mutating func addDynamicGemm(_ kind: DynamicGemm, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let y = step.outputs.first else { return false }
    let shape = matrixShape(x, columns: kind.outputCount)
    let output = kind.isPerRow ? kind.tail.rowOutput : kind.tail.output
    let kernel = try matrixKernel(shape, y, isTransposed: kind.isTransposed, output) { () throws(Refusal) in
      (kind.weights, .int8)
    }
    guard !kind.isPerRow else {
      try addDynamicRows(kernel, step, x, y)
      return true
    }
    try addDynamic(kernel, name: "int8 dynamic gemm", step, read(x, .plain), y, .plain)
    return true
  }

  // Float

  mutating func addFloatConv(_ op: Conv, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let w = step.inputs[1], let y = step.outputs.first, dtype(x) == .float32,
      constants.isConstant(w)
    else { return false }
    let geometry = ConvGeometry(op, kernel: self.shape(w).dropFirst(2))
    guard let plane = PlaneConv(geometry, x: self.shape(x), y: self.shape(y)), hasKnownBias(step) else {
      return false
    }
    let output = try LinearOutput.float(bias: knownBias(step), PointwiseFunction(op.activation))
    let kernel = try convKernel(plane.shape, y, output) { () throws(Refusal) in
      let (weights, element) = try floatWeights(w)
      return (try plane.arranged(weights), element)
    }
    let tile = plane.shape.fastestTile
    let algorithm = tile > 0 ? " by \(tile)x\(tile) tiles" : ""
    let source = try stacked(x, plane)
    addLinear(kernel, name: "f32 \(plane.summary)\(algorithm)", source, place(y, .channelsLast))
    return true
  }

  /// Whether the bias of a convolution is constant or absent.
  func hasKnownBias(_ step: Step) -> Bool {
    guard step.inputs.count > 2, let b = step.inputs[2] else { return true }
    return constants.isConstant(b)
  }

  /// The bias of a convolution, which is known; nil where it is absent.
  func knownBias(_ step: Step) throws(Refusal) -> [Float]? {
    guard step.inputs.count > 2, let b = step.inputs[2] else { return nil }
    return try constants.tensor(b).floatValues()
  }

  mutating func addFloatGemm(_ op: Gemm, _ step: Step) throws(Refusal) -> Bool {
    guard let x = step.inputs[0], let w = step.inputs[1], let y = step.outputs.first, dtype(x) == .float32,
      !op.transA, constants.isConstant(w)
    else { return false }
    let columns = self.shape(y).last ?? 1
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
      self.shape(x).count >= 2
    else { return false }
    guard constants.isConstant(w), self.shape(w).count == 2 else { return try addMatrixProducts(step) }
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
    let kernel = try matrixKernel(shape, y, isTransposed: isTransposed, factor: factor, output) {
      () throws(Refusal) in try floatWeights(w)
    }
    try addLinear(kernel, name: "f32 gemm", read(x, .plain), place(y, .plain))
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
    let kernel = try convKernel(shape, y, .float(bias: bias, .identity)) { () throws(Refusal) in
      (try Tensor.floats(scales, [channels, 1, 1]), .float32)
    }
    try addLinear(kernel, name: "f32 batch norm", read(x, .channelsLast), place(y, .channelsLast))
    return true
  }

  /// `c` as one value per column, scaled; nil where it differs from row to row.
  private func rowBias(_ c: ValueID, _ columns: Int, factor: Float) throws(Refusal) -> [Float]? {
    let tensor = try constants.tensor(c)
    guard let values = tensor.floatValues() else { return nil }
    let scaled = factor == 1 ? values : values.map { $0 * factor }
    if values.count == 1, let value = scaled.first { return [Float](repeating: value, count: columns) }
    guard values.count == columns, tensor.shape.last == columns else { return nil }
    return scaled
  }

  /// Float weights as stored: a constant, or the half-precision constant behind a constant cast.
  func floatWeights(
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

  func convKernel(
    _ shape: LinearShape,
    _ y: ValueID,
    _ output: LinearOutput,
    _ weights: () throws(Refusal) -> (Tensor, WeightSource.Element)
  ) throws(Refusal) -> LinearKernel {
    let packed = try packedWeights(shape, of: y, tile: output.isFloat ? shape.fastestTile : 0, weights)
    guard let kernel = LinearKernel(shape, packed, output) else { throw PlanBuilder.outOfMemory("a kernel") }
    return kernel
  }

  private func matrixKernel(
    _ shape: LinearShape,
    _ y: ValueID,
    isTransposed: Bool,
    factor: Float = 1,
    _ output: LinearOutput,
    _ weights: () throws(Refusal) -> (Tensor, WeightSource.Element)
  ) throws(Refusal) -> LinearKernel {
    let tile = output.isFloat ? shape.fastestTile : 0
    let packed = try unsafe packedWeights(shape, of: y, tile: tile, weights) { bytes, element in
      unsafe WeightSource(
        matrix: bytes,
        element,
        columns: shape.outputChannels,
        depth: shape.inputChannels,
        isTransposed: isTransposed,
        factor: factor
      )
    }
    guard let kernel = LinearKernel(shape, packed, output) else { throw PlanBuilder.outOfMemory("a kernel") }
    return kernel
  }

  /// The weights of the step that makes `y`, packed for a shape; the source's pages are released once packed.
  private func packedWeights(
    _ shape: LinearShape,
    of y: ValueID,
    tile: Int,
    _ weights: () throws(Refusal) -> (Tensor, WeightSource.Element),
    _ source: (UnsafeRawBufferPointer, WeightSource.Element) -> WeightSource?
  ) throws(Refusal) -> PackedWeights {
    let set = context.instructionSet
    return try resources.weights(of: y, tile: tile) { () throws(Refusal) -> PackedWeights? in
      let (tensor, element) = try weights()
      defer { tensor.releasePages() }
      return unsafe PlanBuilder.withWeights(tensor, element) { bytes in
        unsafe source(bytes, element).flatMap { PackedWeights(shape, $0, set, tile: tile) }
      }
    }
  }

  /// The same for weights stored as those of a convolution.
  func packedWeights(
    _ shape: LinearShape,
    of y: ValueID,
    tile: Int = 0,
    _ weights: () throws(Refusal) -> (Tensor, WeightSource.Element)
  ) throws(Refusal) -> PackedWeights {
    try unsafe packedWeights(shape, of: y, tile: tile, weights) { bytes, element in
      unsafe WeightSource(
        bytes,
        element,
        outputs: shape.groups * shape.outputChannels,
        inputs: shape.inputChannels,
        taps: shape.taps
      )
    }
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

  mutating func addLinear(_ kernel: LinearKernel, name: String, _ source: SlotID, _ target: Place) {
    parameterBytes += kernel.residentBytes
    add(name + target.suffix, reads: [source], writes: [target.slot], scratch: kernel.scratchBytes) {
      (run) throws(Refusal) in
      kernel.run(run[source], run[target.slot], at: target.pixels, in: run.context)
    }
  }

  private mutating func addDynamicRows(
    _ kernel: LinearKernel,
    _ step: Step,
    _ x: ValueID,
    _ y: ValueID
  ) throws(Refusal) {
    let (scaleID, zeroPointID) = try parameters(step)
    let source = try read(x, .plain)
    let scales = try read(scaleID, .plain)
    let zeroPoints = try read(zeroPointID, .plain)
    let target = write(y, .plain)
    parameterBytes += kernel.residentBytes
    add(
      "int8 dynamic gemm by rows",
      reads: [source, scales, zeroPoints],
      writes: [target],
      scratch: kernel.scratchBytes
    ) { (run) throws(Refusal) in
      kernel.run(
        run[source],
        run[target],
        scales: run[scales],
        zeroPoints: run[zeroPoints],
        in: run.context
      )
    }
  }

  /// Scale and zero point of a dynamic step.
  private func parameters(_ step: Step) throws(Refusal) -> (scale: ValueID, zeroPoint: ValueID) {
    guard step.inputs.count == 3, let scale = step.inputs[1], let zeroPoint = step.inputs[2] else {
      throw Evaluation.refusal("K3", "the dynamic parameters are missing")
    }
    return (scale, zeroPoint)
  }

  private mutating func addDynamic(
    _ kernel: LinearKernel,
    name: String,
    _ step: Step,
    _ source: SlotID,
    _ y: ValueID,
    _ layout: Layout
  ) throws(Refusal) {
    let (scaleID, zeroPointID) = try parameters(step)
    let scale = try read(scaleID, .plain)
    let zeroPoint = try read(zeroPointID, .plain)
    let target = place(y, layout)
    let range = ResultRange(memory: try PlanBuilder.memory(8))
    if target.pixels == nil { ranges[target.slot] = range }
    parameterBytes += kernel.residentBytes
    add(
      name + target.suffix,
      reads: [source, scale, zeroPoint],
      writes: [target.slot],
      scratch: kernel.scratchBytes
    ) { (run) throws(Refusal) in
      let parameters = (
        scale: run[scale].read(1, as: Float.self)[0], zeroPoint: run[zeroPoint].read(1, as: UInt8.self)[0]
      )
      kernel.run(
        run[source],
        run[target.slot],
        at: target.pixels,
        parameters: parameters,
        range: range.wanted,
        in: run.context
      )
    }
  }
}
