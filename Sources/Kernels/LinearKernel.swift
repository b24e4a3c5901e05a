internal import CKernels

/// Extents of a convolution over NHWC pixels; a matrix product is one with `batch` rows of one pixel.
package struct LinearShape: Hashable, Sendable {
  package var batch = 1
  package var inputHeight = 1
  package var inputWidth = 1
  package var outputHeight = 1
  package var outputWidth = 1
  package var kernelHeight = 1
  package var kernelWidth = 1
  package var strideY = 1
  package var strideX = 1
  package var padTop = 0
  package var padLeft = 0
  package var dilationY = 1
  package var dilationX = 1
  package var groups = 1
  /// Input channels of one group.
  package var inputChannels = 1
  /// Output channels of one group.
  package var outputChannels = 1

  package init() {}

  /// A matrix product of `rows` rows of `depth` with a matrix of `columns` columns.
  package init(rows: Int, depth: Int, columns: Int) {
    batch = rows
    inputChannels = depth
    outputChannels = columns
  }

  package var taps: Int { kernelHeight * kernelWidth }
  package var isDepthwise: Bool { groups > 1 && inputChannels == 1 && outputChannels == 1 }
  /// Whether Winograd's filtering applies: one group, 3x3, stride and dilation 1.
  package var allowsTiles: Bool {
    groups == 1 && (kernelHeight, kernelWidth) == (3, 3)
      && (strideY, strideX, dilationY, dilationX) == (1, 1, 1, 1)
  }
  /// The extent of the output tiles by which a float convolution is fastest, 0 for the direct sum.
  package var fastestTile: Int {
    allowsTiles ? qk_winograd_tile(outputHeight, outputWidth, inputChannels, outputChannels) : 0
  }
  package var outputPixels: Int { batch * outputHeight * outputWidth }
  package var inputElements: Int { batch * inputHeight * inputWidth * groups * inputChannels }
  package var outputElements: Int { outputPixels * groups * outputChannels }
}

/// Where the channels of a result lie in a buffer whose pixels have more.
package struct PixelPlace: Hashable, Sendable {
  /// Bytes before the first pixel's.
  package var start: Int
  /// Bytes from one pixel's to the next one's.
  package var stride: Int

  package init(start: Int, stride: Int) {
    self.start = start
    self.stride = stride
  }
}

/// What a linear kernel does with its sums.
package enum LinearOutput: Sendable {
  /// f32 weights and activations: `function(acc + bias)`.
  case float(bias: [Float]?, PointwiseFunction)
  /// u8: `clamp(rne(f32(acc) * multipliers[c]) + z)`; `bias` is part of `acc`. Where a `sum` is given, the addition of
  /// that, whose second operand is given at run time.
  case requantized(
    bias: [Int32],
    inputZeroPoint: UInt8,
    multipliers: [Float],
    ByteClamp,
    sum: ByteBinary? = nil
  )
  /// f32, or u8 if `quantized` is given: `function(f32(acc) * scales[c] + realBias[c])`; `bias` is part of `acc`.
  case real(
    bias: [Int32],
    inputZeroPoint: UInt8,
    scales: [Float],
    realBias: [Float]?,
    PointwiseFunction,
    quantized: (scale: Float, zeroPoint: UInt8)?
  )
  /// f32: as `real`, with the input's parameters given at run time.
  case dynamic(weightScales: [Float], bias: [Float]?, PointwiseFunction)
  /// f32: as `dynamic`, with parameters of their own for each row of the input of a matrix product.
  case dynamicRows(weightScales: [Float], bias: [Float]?, PointwiseFunction)

  /// Whether weights and activations are floats.
  package var isFloat: Bool { if case .float = self { true } else { false } }
}

/// A convolution or matrix product with packed weights.
@safe package final class LinearKernel {
  package let shape: LinearShape
  /// Bytes of per-channel parameters; the weights are shared.
  package var residentBytes: Int { channels.count }
  /// Scratch per thread.
  package private(set) var scratchBytes = 0

  private let weights: PackedWeights
  private let channels: Memory
  private var conv = unsafe qk_conv()
  private var tail = unsafe qk_tail()
  private var post = qk_post()
  private var hasPost = false
  private var sum: qk_u8_binary?
  private var padByte: UInt8 = 0
  private let isDynamic: Bool

  /// The arrays behind ``channels``.
  private enum Array: Int, CaseIterable {
    case bias, scale, start, weightScale
  }

  /// - Parameters:
  ///   - shape: Extents; channels, groups and taps are those of the weights.
  ///   - weights: The packed weights, floats for a float output and bytes for the others.
  ///   - output: What becomes of the sums.
  /// - Returns: nil when the system has no memory left.
  package init?(_ shape: LinearShape, _ weights: PackedWeights, _ output: LinearOutput) {
    precondition(weights.fits(shape) && weights.isFloat == output.isFloat)
    precondition(weights.tile == 0 || shape.allowsTiles)
    self.shape = shape
    self.weights = weights
    unsafe conv.dtype = weights.dtype
    unsafe conv.isa = weights.instructionSet.value
    unsafe LinearKernel.setShape(&conv, shape)
    unsafe conv.depthwise = shape.isDepthwise
    unsafe conv.nr = weights.panelWidth
    unsafe conv.packed_n = weights.groupWidth
    unsafe conv.run = weights.run
    unsafe conv.tile = weights.tile
    unsafe conv.row_kernel = PackedWeights.rowKernel(shape, weights.dtype, weights.instructionSet)
    unsafe conv.in_stride = shape.groups * shape.inputChannels * (weights.isFloat ? 4 : 1)
    if case .dynamic = output { isDynamic = true } else { isDynamic = false }
    guard let channels = Memory(count: weights.paddedChannels * 4 * Array.allCases.count) else { return nil }
    self.channels = channels
    unsafe conv.weights = UnsafeRawPointer(weights.memory.buffer.pointer(0))
    setOutput(output)
    let outputSize = unsafe conv.out_size
    unsafe conv.out_stride = shape.groups * shape.outputChannels * outputSize
    scratchBytes = unsafe withConv { unsafe qk_conv_scratch_bytes($0) }
  }

  private static func setShape(_ conv: inout qk_conv, _ shape: LinearShape) {
    unsafe conv.batch = shape.batch
    unsafe conv.ih = shape.inputHeight
    unsafe conv.iw = shape.inputWidth
    unsafe conv.oh = shape.outputHeight
    unsafe conv.ow = shape.outputWidth
    unsafe conv.kh = shape.kernelHeight
    unsafe conv.kw = shape.kernelWidth
    unsafe conv.sh = shape.strideY
    unsafe conv.sw = shape.strideX
    unsafe conv.pt = shape.padTop
    unsafe conv.pl = shape.padLeft
    unsafe conv.dh = shape.dilationY
    unsafe conv.dw = shape.dilationX
    unsafe conv.groups = shape.groups
    unsafe conv.kc = shape.inputChannels
    unsafe conv.nc = shape.outputChannels
  }

  private func array<Element: BitwiseCopyable>(_ name: Array, _ type: Element.Type) -> UnsafeMutablePointer<
    Element
  > {
    let size = weights.paddedChannels * 4
    return unsafe Buffer(channels, offset: name.rawValue * size, count: size).elements(
      weights.paddedChannels,
      of: Element.self
    )
  }

  /// Spreads one value per output channel over the padded panels.
  private func spread<Element: BitwiseCopyable>(_ values: [Element], _ name: Array) {
    let target = unsafe array(name, Element.self)
    for (channel, value) in values.enumerated() {
      unsafe target[weights.position(channel)] = value
    }
  }

  private func setOutput(_ output: LinearOutput) {
    unsafe tail.bias = UnsafePointer(array(.bias, Float.self))
    unsafe tail.scale = UnsafePointer(array(.scale, Float.self))
    unsafe tail.start = UnsafePointer(array(.start, Int32.self))
    unsafe conv.out_size = 4
    switch output {
    case .float(let bias, let function):
      unsafe tail.kind = QK_TAIL_F32
      spreadBias(bias)
      setFunction(function, quantized: nil)
    case .requantized(let bias, let inputZeroPoint, let multipliers, let clamp, let sum):
      precondition(sum.map { $0.isAddition && $0.zeroPointA == clamp.zeroPoint } ?? true)
      self.sum = sum?.value
      unsafe tail.kind = sum == nil ? QK_TAIL_REQUANTIZE : QK_TAIL_ADD
      unsafe conv.out_size = 1
      setStart(bias, inputZeroPoint)
      spread(multipliers, .scale)
      unsafe tail.scales_below_1 = multipliers.allSatisfy { $0 < 1 }
      unsafe (tail.lo, tail.hi) = clamp.bounds
      unsafe tail.zero_point = Int32(clamp.zeroPoint)
    case .real(let bias, let inputZeroPoint, let scales, let realBias, let function, let quantized):
      unsafe tail.kind = QK_TAIL_DEQUANTIZE
      setStart(bias, inputZeroPoint)
      spread(scales, .scale)
      spreadBias(realBias)
      setFunction(function, quantized: quantized)
    case .dynamic(let weightScales, let bias, let function):
      unsafe tail.kind = QK_TAIL_DEQUANTIZE
      spread(weightScales, .weightScale)
      spreadBias(bias)
      setFunction(function, quantized: nil)
    case .dynamicRows(let weightScales, let bias, let function):
      unsafe tail.kind = QK_TAIL_ROWS
      spread(weightScales, .scale)
      spreadBias(bias)
      unsafe (tail.lo, tail.hi) = (-.infinity, .infinity)
      guard function != .identity else { return }
      hasPost = true
      post.activation = function.value
    }
  }

  /// An absent bias is -0, the number that changes no sum.
  private func spreadBias(_ bias: [Float]?) {
    spread(bias ?? [Float](repeating: -0.0, count: shape.groups * shape.outputChannels), .bias)
  }

  private func setStart(_ bias: [Int32], _ inputZeroPoint: UInt8) {
    padByte = inputZeroPoint
    let folded = bias.enumerated().map { channel, value in
      value &- Int32(inputZeroPoint) &* weights.sums[weights.position(channel)]
    }
    spread(folded, .start)
  }

  private func setFunction(_ function: PointwiseFunction, quantized: (scale: Float, zeroPoint: UInt8)?) {
    unsafe (tail.lo, tail.hi) = function.clamp ?? (-.infinity, .infinity)
    guard function.clamp == nil || quantized != nil else { return }
    hasPost = true
    post.activation = (function.clamp == nil ? function : .identity).value
    guard let quantized else { return }
    post.quantize = true
    post.scale = quantized.scale
    post.zero_point = quantized.zeroPoint
    unsafe conv.out_size = 1
  }

  private func withConv<R>(
    at place: PixelPlace? = nil,
    range: UnsafeMutablePointer<Float>? = nil,
    _ body: (UnsafePointer<qk_conv>) -> R
  ) -> R {
    var conv = unsafe conv
    unsafe conv.range = unsafe range
    if let place { unsafe conv.out_stride = place.stride }
    guard hasPost else { return unsafe body(&conv) }
    return unsafe withUnsafePointer(to: post) { post in
      unsafe conv.post = unsafe post
      return unsafe body(&conv)
    }
  }

  /// Runs a kernel whose output is ``LinearOutput/dynamicRows(weightScales:bias:_:)``.
  ///
  /// - Parameters:
  ///   - input: u8 rows.
  ///   - output: Space for the f32 results.
  ///   - scales: One f32 per row.
  ///   - zeroPoints: One u8 per row.
  ///   - context: Threads, and at least ``scratchBytes`` of scratch.
  package func run(
    _ input: Buffer,
    _ output: Buffer,
    scales: Buffer,
    zeroPoints: Buffer,
    in context: KernelContext
  ) {
    precondition(unsafe tail.kind == QK_TAIL_ROWS && shape.groups == 1)
    var tail = unsafe tail
    unsafe weights.sums.withUnsafeBufferPointer { sums in
      unsafe tail.start = sums.baseAddress
      unsafe tail.row_scale = UnsafePointer(scales.elements(shape.outputPixels, of: Float.self))
      unsafe tail.row_zero_point = UnsafePointer(zeroPoints.elements(shape.outputPixels, of: UInt8.self))
      unsafe withConv { conv in
        unsafe qk_conv_run(
          conv,
          input.pointer(shape.inputElements),
          output.pointer(shape.outputElements * 4),
          0,
          &tail,
          context.pool,
          context.scratch(scratchBytes)
        )
      }
    }
  }

  /// Runs the kernel on NHWC pixels.
  ///
  /// - Parameters:
  ///   - input: f32 or u8 elements.
  ///   - output: Space for the results.
  ///   - place: Where in `output` the results go; nil if they are all of it.
  ///   - addend: What is added to the results, for a kernel of a sum; `output` may be the same.
  ///   - parameters: Scale and zero point of the input, for a dynamic kernel.
  ///   - range: Space for the least and the largest finite f32 result, 0 included, if they are wanted.
  ///   - context: Threads, and at least ``scratchBytes`` of scratch.
  package func run(
    _ input: Buffer,
    _ output: Buffer,
    at place: PixelPlace? = nil,
    addend: Buffer? = nil,
    parameters: (scale: Float, zeroPoint: UInt8)? = nil,
    range: Buffer? = nil,
    in context: KernelContext
  ) {
    let inputSize = unsafe conv.dtype == QK_F32 ? 4 : 1
    let outputSize = unsafe conv.out_size
    var pad = padByte
    if isDynamic, let parameters {
      pad = parameters.zeroPoint
      unsafe qk_dynamic_tail(
        weights.paddedChannels,
        parameters.scale,
        parameters.zeroPoint,
        array(.weightScale, Float.self),
        weights.sums,
        array(.scale, Float.self),
        array(.start, Int32.self)
      )
    }
    precondition(range == nil || outputSize == 4, "only f32 results have a range")
    precondition((addend == nil) == (sum == nil), "a sum has two operands")
    precondition(addend == nil || place == nil, "the operands of a sum lie in the same way")
    var tail = unsafe tail
    let target = unsafe target(output, at: place)
    if let addend {
      let distance = unsafe addend.pointer(shape.outputElements) - target
      unsafe tail.addend = UInt(bitPattern: distance)
    }
    unsafe withUnsafePointer(to: sum ?? qk_u8_binary()) { sum in
      unsafe tail.add = unsafe sum
      unsafe withConv(at: place, range: range?.elements(2, of: Float.self)) { conv in
        unsafe qk_conv_run(
          conv,
          input.pointer(shape.inputElements * inputSize),
          target,
          pad,
          &tail,
          context.pool,
          context.scratch(scratchBytes)
        )
      }
    }
  }

  /// The first byte that the results go to.
  private func target(_ output: Buffer, at place: PixelPlace?) -> UnsafeMutableRawPointer {
    let pixelBytes = unsafe conv.out_stride
    let place = place ?? PixelPlace(start: 0, stride: pixelBytes)
    precondition(place.start >= 0 && place.stride >= place.start + pixelBytes)
    return unsafe output.pointer(shape.outputPixels * place.stride) + place.start
  }
}
