internal import CKernels

/// Windows over NHWC pixels.
package struct PoolingShape: Hashable, Sendable {
  package var batch = 1
  package var inputHeight = 1
  package var inputWidth = 1
  package var outputHeight = 1
  package var outputWidth = 1
  package var channels = 1
  package var kernelHeight = 1
  package var kernelWidth = 1
  package var strideY = 1
  package var strideX = 1
  package var padTop = 0
  package var padLeft = 0
  package var padBottom = 0
  package var padRight = 0
  package var dilationY = 1
  package var dilationX = 1
  /// Whether the divisor of a mean counts padding.
  package var countIncludePad = false

  package init() {}

  package var inputElements: Int { batch * inputHeight * inputWidth * channels }
  package var outputElements: Int { batch * outputHeight * outputWidth * channels }

  func value(_ context: KernelContext) -> qk_pooling {
    qk_pooling(
      isa: context.isa,
      batch: batch,
      ih: inputHeight,
      iw: inputWidth,
      oh: outputHeight,
      ow: outputWidth,
      channels: channels,
      kh: kernelHeight,
      kw: kernelWidth,
      sh: strideY,
      sw: strideX,
      pt: padTop,
      pl: padLeft,
      dh: dilationY,
      dw: dilationX,
      pb: padBottom,
      pr: padRight,
      count_include_pad: countIncludePad
    )
  }
}

/// Pooling over NHWC pixels; every window has a tap inside the input.
package enum PoolingKernel {
  /// Scratch per thread of pooling bytes.
  package static func scratchBytes(_ shape: PoolingShape, in context: KernelContext) -> Int {
    var pooling = shape.value(context)
    return unsafe qk_pool_scratch_bytes(&pooling)
  }

  package static func max(_ shape: PoolingShape, _ x: Buffer, _ y: Buffer, in context: KernelContext) {
    var pooling = shape.value(context)
    unsafe qk_f32_max_pool(
      &pooling,
      x.elements(shape.inputElements, of: Float.self),
      y.elements(shape.outputElements, of: Float.self),
      context.pool
    )
  }

  package static func average(_ shape: PoolingShape, _ x: Buffer, _ y: Buffer, in context: KernelContext) {
    var pooling = shape.value(context)
    unsafe qk_f32_average_pool(
      &pooling,
      x.elements(shape.inputElements, of: Float.self),
      y.elements(shape.outputElements, of: Float.self),
      context.pool
    )
  }

  /// - Parameters:
  ///   - shape: The windows.
  ///   - x: Bytes.
  ///   - y: Bytes.
  ///   - table: 256 entries applied to the result, or nil.
  ///   - context: Threads and scratch.
  package static func maxBytes(
    _ shape: PoolingShape,
    _ x: Buffer,
    _ y: Buffer,
    table: [UInt8]?,
    in context: KernelContext
  ) {
    precondition(table.map { $0.count == 256 } ?? true)
    var pooling = shape.value(context)
    let input = unsafe x.elements(shape.inputElements, of: UInt8.self)
    let output = unsafe y.elements(shape.outputElements, of: UInt8.self)
    let scratch = unsafe context.scratch(scratchBytes(shape, in: context))
    guard let table else {
      unsafe qk_u8_max_pool(&pooling, input, output, nil, context.pool, scratch)
      return
    }
    unsafe qk_u8_max_pool(&pooling, input, output, table, context.pool, scratch)
  }

  /// - Parameters:
  ///   - shape: The windows.
  ///   - x: Bytes.
  ///   - y: Bytes.
  ///   - zeroPoint: The input's.
  ///   - multipliers: One per divisor from 0 to the number of taps.
  ///   - clamp: The output's.
  ///   - context: Threads and scratch.
  package static func averageBytes(
    _ shape: PoolingShape,
    _ x: Buffer,
    _ y: Buffer,
    zeroPoint: UInt8,
    multipliers: [Float],
    _ clamp: ByteClamp,
    in context: KernelContext
  ) {
    precondition(multipliers.count == shape.kernelHeight * shape.kernelWidth + 1)
    var pooling = shape.value(context)
    var clamp = clamp.value
    unsafe qk_u8_average_pool(
      &pooling,
      x.elements(shape.inputElements, of: UInt8.self),
      y.elements(shape.outputElements, of: UInt8.self),
      zeroPoint,
      multipliers,
      &clamp,
      context.pool,
      context.scratch(scratchBytes(shape, in: context))
    )
  }
}
