internal import CKernels

/// Functions of rows.
package enum RowKernel {
  /// `(x - mean) / sqrt(variance + epsilon) * scale + bias` of each row; one scale and bias per column.
  package static func layerNorm(
    rows: Int,
    columns: Int,
    epsilon: Float,
    _ x: Buffer,
    scale: Buffer,
    bias: Buffer?,
    _ y: Buffer,
    in context: KernelContext
  ) {
    unsafe qk_f32_layer_norm_run(
      context.isa,
      rows,
      columns,
      x.elements(rows * columns, of: Float.self),
      scale.elements(columns, of: Float.self),
      bias.map { unsafe UnsafePointer($0.elements(columns, of: Float.self)) },
      epsilon,
      y.elements(rows * columns, of: Float.self),
      context.pool
    )
  }

  /// Quantizes each row by its own range; one scale (f32) and zero point (u8) per row.
  package static func dynamicQuantize(
    rows: Int,
    columns: Int,
    _ x: Buffer,
    _ y: Buffer,
    scales: Buffer,
    zeroPoints: Buffer,
    in context: KernelContext
  ) {
    unsafe qk_dynamic_quantize_rows_run(
      context.isa,
      rows,
      columns,
      x.elements(rows * columns, of: Float.self),
      y.elements(rows * columns, of: UInt8.self),
      scales.elements(rows, of: Float.self),
      zeroPoints.elements(rows, of: UInt8.self),
      context.pool
    )
  }
}
