internal import CKernels

/// A binary function of bytes; see section 5 of `schemas/arithmetic.md`.
package struct ByteBinary: Sendable {
  package enum Function: Sendable {
    /// `rne(f32(a - za) * ma + f32(b - zb) * mb)`
    case add(multiplierA: Float, multiplierB: Float)
    /// `rne(f32((a - za) * (b - zb)) * m)`
    case multiply(multiplier: Float)
  }

  package var function: Function
  package var zeroPointA: UInt8
  package var zeroPointB: UInt8
  package var clamp: ByteClamp

  package init(_ function: Function, zeroPointA: UInt8, zeroPointB: UInt8, _ clamp: ByteClamp) {
    self.function = function
    self.zeroPointA = zeroPointA
    self.zeroPointB = zeroPointB
    self.clamp = clamp
  }

  /// The same function with its operands in the other order.
  package var swapped: ByteBinary {
    var function = function
    if case .add(let a, let b) = function { function = .add(multiplierA: b, multiplierB: a) }
    return ByteBinary(function, zeroPointA: zeroPointB, zeroPointB: zeroPointA, clamp)
  }

  var isAddition: Bool { if case .add = function { true } else { false } }

  var value: qk_u8_binary {
    let (multiply, ma, mb): (Bool, Float, Float) =
      switch function {
      case .add(let a, let b): (false, a, b)
      case .multiply(let m): (true, m, 0)
      }
    return qk_u8_binary(
      multiply: multiply,
      za: zeroPointA,
      zb: zeroPointB,
      ma: ma,
      mb: mb,
      clamp: clamp.value
    )
  }
}

/// A binary function of floats.
package enum FloatBinary: Sendable {
  case add
  case subtract
  case multiply
  case divide

  var value: qk_float_binary {
    switch self {
    case .add: QK_ADD
    case .subtract: QK_SUB
    case .multiply: QK_MUL
    case .divide: QK_DIV
    }
  }
}

/// How the second operand of a binary function meets the first.
package enum Pairing: Hashable, Sendable {
  /// Element by element.
  case equal(count: Int)
  /// `a` is `[batch, pixels, channels]`, `b` is `[batch, channels]`.
  case channels(batch: Int, pixels: Int, channels: Int)
  /// `b` is one number; for floats only.
  case scalar(count: Int)

  var count: Int {
    switch self {
    case .equal(let count), .scalar(let count): count
    case .channels(let batch, let pixels, let channels): batch * pixels * channels
    }
  }

  package var isScalar: Bool { if case .scalar = self { true } else { false } }

  var secondCount: Int {
    switch self {
    case .equal(let count): count
    case .channels(let batch, _, let channels): batch * channels
    case .scalar: 1
    }
  }
}

/// Functions of consecutive elements; results may take the place of operands of the same element size.
package enum ElementwiseKernel {
  package static func bytes(
    _ function: ByteBinary,
    _ pairing: Pairing,
    _ a: Buffer,
    _ b: Buffer,
    _ y: Buffer,
    in context: KernelContext
  ) {
    var params = function.value
    let left = unsafe a.elements(pairing.count, of: UInt8.self)
    let right = unsafe b.elements(pairing.secondCount, of: UInt8.self)
    let result = unsafe y.elements(pairing.count, of: UInt8.self)
    switch pairing {
    case .equal(let count):
      unsafe qk_u8_binary_run(context.isa, count, left, right, result, &params, context.pool)
    case .channels(let batch, let pixels, let channels):
      unsafe qk_u8_binary_channels_run(
        context.isa,
        batch,
        pixels,
        channels,
        left,
        right,
        result,
        &params,
        context.pool
      )
    case .scalar: preconditionFailure("bytes have no scalar operand")
    }
  }

  package static func floats(
    _ function: FloatBinary,
    _ pairing: Pairing,
    _ a: Buffer,
    _ b: Buffer,
    _ y: Buffer,
    in context: KernelContext
  ) {
    let left = unsafe a.elements(pairing.count, of: Float.self)
    let right = unsafe b.elements(pairing.secondCount, of: Float.self)
    let result = unsafe y.elements(pairing.count, of: Float.self)
    switch pairing {
    case .equal(let count):
      unsafe qk_f32_binary_run(context.isa, count, left, right, result, function.value, context.pool)
    case .channels(let batch, let pixels, let channels):
      unsafe qk_f32_binary_channels_run(
        context.isa,
        batch,
        pixels,
        channels,
        left,
        right,
        result,
        function.value,
        context.pool
      )
    case .scalar(let count):
      unsafe qk_f32_binary_scalar_run(
        context.isa,
        count,
        left,
        right[0],
        result,
        function.value,
        context.pool
      )
    }
  }

  package static func activate(
    _ function: PointwiseFunction,
    count: Int,
    _ x: Buffer,
    _ y: Buffer,
    in context: KernelContext
  ) {
    var activation = function.value
    unsafe qk_f32_activate_run(
      context.isa,
      count,
      x.elements(count, of: Float.self),
      y.elements(count, of: Float.self),
      &activation,
      context.pool
    )
  }

  package static func table(_ table: [UInt8], count: Int, _ x: Buffer, _ y: Buffer, in context: KernelContext)
  {
    precondition(table.count == 256)
    unsafe qk_table_run(
      context.isa,
      count,
      x.elements(count, of: UInt8.self),
      y.elements(count, of: UInt8.self),
      table,
      context.pool
    )
  }

  package static func quantize(
    scale: Float,
    zeroPoint: UInt8,
    count: Int,
    _ x: Buffer,
    _ y: Buffer,
    in context: KernelContext
  ) {
    unsafe qk_quantize_run(
      context.isa,
      count,
      x.elements(count, of: Float.self),
      y.elements(count, of: UInt8.self),
      scale,
      zeroPoint,
      context.pool
    )
  }

  package static func dequantize(
    scale: Float,
    zeroPoint: UInt8,
    count: Int,
    _ x: Buffer,
    _ y: Buffer,
    in context: KernelContext
  ) {
    unsafe qk_dequantize_run(
      context.isa,
      count,
      x.elements(count, of: UInt8.self),
      y.elements(count, of: Float.self),
      scale,
      zeroPoint,
      context.pool
    )
  }

  /// Quantizes by the range of the elements.
  ///
  /// - Returns: The parameters.
  package static func dynamicQuantize(
    count: Int,
    _ x: Buffer,
    range: Buffer? = nil,
    _ y: Buffer,
    in context: KernelContext
  ) -> (scale: Float, zeroPoint: UInt8) {
    var scale: Float = 1
    var zeroPoint: UInt8 = 0
    unsafe qk_dynamic_quantize_run(
      context.isa,
      count,
      x.elements(count, of: Float.self),
      range?.elements(2, of: Float.self),
      y.elements(count, of: UInt8.self),
      &scale,
      &zeroPoint,
      context.pool
    )
    return (scale, zeroPoint)
  }

  /// Softmax of each of `rows` rows; guarded, those that would be no numbers are 0.
  package static func softmax(
    rows: Int,
    columns: Int,
    isGuarded: Bool = false,
    _ x: Buffer,
    _ y: Buffer,
    in context: KernelContext
  ) {
    unsafe qk_f32_softmax_run(
      context.isa,
      rows,
      columns,
      x.elements(rows * columns, of: Float.self),
      y.elements(rows * columns, of: Float.self),
      isGuarded,
      context.pool
    )
  }

  /// Copies `[batch, channels, pixels]` to `[batch, pixels, channels]`; elements have 1 or 4 bytes.
  package static func transpose(
    elementSize: Int,
    batch: Int,
    channels: Int,
    pixels: Int,
    _ x: Buffer,
    _ y: Buffer,
    in context: KernelContext
  ) {
    precondition(elementSize == 1 || elementSize == 4)
    let bytes = batch * channels * pixels * elementSize
    unsafe qk_transpose_run(
      elementSize,
      batch,
      channels,
      pixels,
      x.pointer(bytes),
      y.pointer(bytes),
      context.pool
    )
  }

  /// Copies `rows` rows of `bytes` bytes to every `stride`th byte of `y`, from its byte `start` on, through a table
  /// of 256 entries if one is given.
  package static func copyRows(
    rows: Int,
    bytes: Int,
    _ x: Buffer,
    _ y: Buffer,
    start: Int,
    stride: Int,
    table: [UInt8]?
  ) {
    precondition(table.map { $0.count == 256 } ?? true)
    guard rows > 0, bytes > 0 else { return }
    let source = unsafe x.pointer(rows * bytes)
    let target = unsafe y.pointer(start + (rows - 1) * stride + bytes) + start
    guard let table else {
      unsafe qk_copy_rows(rows, bytes, source, bytes, target, stride, nil)
      return
    }
    unsafe qk_copy_rows(rows, bytes, source, bytes, target, stride, table)
  }

  /// Copies `count` bytes; nothing to do where both buffers are the same.
  package static func copy(_ count: Int, _ x: Buffer, _ y: Buffer) {
    let source = unsafe x.pointer(count)
    let target = unsafe y.pointer(count)
    guard unsafe source != target, count > 0 else { return }
    unsafe target.copyMemory(from: source, byteCount: count)
  }
}
