internal import CKernels

/// Pixels chosen by row and column, over NHWC.
package struct PixelPick: Sendable {
  /// Marks a row or column that takes the filler.
  package static let filled = -1

  private let batch: Int
  private let inputPixels: Int
  private let rows: [Int64]
  private let columns: [Int64]
  /// One pixel.
  private let filler: [UInt8]

  /// - Parameters:
  ///   - batch: Images.
  ///   - inputPixels: Pixels of an image of the input.
  ///   - rows: For each row of the result the pixel that the chosen row begins with, or ``filled``.
  ///   - columns: For each column of the result the chosen column, or ``filled``.
  ///   - filler: The bytes of one pixel.
  package init(batch: Int, inputPixels: Int, rows: [Int], columns: [Int], filler: [UInt8]) {
    let last = (rows.max() ?? 0) + (columns.max() ?? 0)
    precondition(last < max(inputPixels, 1) && (rows + columns).allSatisfy { $0 >= PixelPick.filled })
    self.batch = batch
    self.inputPixels = inputPixels
    self.rows = rows.map(Int64.init)
    self.columns = columns.map(Int64.init)
    self.filler = filler
  }

  package func run(_ x: Buffer, _ y: Buffer, in context: KernelContext) {
    let source = unsafe x.pointer(batch * inputPixels * filler.count)
    let target = unsafe y.pointer(batch * rows.count * columns.count * filler.count)
    unsafe rows.withUnsafeBufferPointer { rows in
      unsafe columns.withUnsafeBufferPointer { columns in
        unsafe filler.withUnsafeBufferPointer { filler in
          var op = unsafe qk_pick()
          unsafe (op.batch, op.in_pixels, op.bytes) = (batch, inputPixels, filler.count)
          unsafe (op.rows, op.row_count) = (rows.baseAddress, rows.count)
          unsafe (op.columns, op.column_count) = (columns.baseAddress, columns.count)
          unsafe op.filler = UnsafeRawPointer(filler.baseAddress)
          unsafe qk_pick_run(&op, source, target, context.pool)
        }
      }
    }
  }
}

/// Two neighbours between which a value is interpolated.
package struct LinearTap: Hashable, Sendable {
  package var low: Int
  package var high: Int
  /// Of the higher one, 0 to 1.
  package var weight: Float

  package init(low: Int, high: Int, weight: Float) {
    self.low = low
    self.high = high
    self.weight = weight
  }

  fileprivate var value: qk_linear_tap { qk_linear_tap(low: low, high: high, weight: weight) }
}

/// Bilinear interpolation of f32 over NHWC.
package struct BilinearKernel: Sendable {
  private let batch: Int
  private let channels: Int
  private let height: Int
  private let width: Int
  private let rows: [LinearTap]
  private let columns: [LinearTap]

  /// - Parameters:
  ///   - batch: Images.
  ///   - channels: Channels.
  ///   - height: Rows of the input.
  ///   - width: Columns of the input.
  ///   - rows: One for each row of the result.
  ///   - columns: One for each column of the result.
  package init(batch: Int, channels: Int, height: Int, width: Int, rows: [LinearTap], columns: [LinearTap]) {
    precondition(rows.allSatisfy { (0..<height).contains($0.low) && (0..<height).contains($0.high) })
    precondition(columns.allSatisfy { (0..<width).contains($0.low) && (0..<width).contains($0.high) })
    self.batch = batch
    self.channels = channels
    self.height = height
    self.width = width
    self.rows = rows
    self.columns = columns
  }

  package func run(_ x: Buffer, _ y: Buffer, in context: KernelContext) {
    let source = unsafe x.elements(batch * height * width * channels, of: Float.self)
    let target = unsafe y.elements(batch * rows.count * columns.count * channels, of: Float.self)
    unsafe rows.map(\.value).withUnsafeBufferPointer { rows in
      unsafe columns.map(\.value).withUnsafeBufferPointer { columns in
        var op = unsafe qk_bilinear()
        unsafe (op.batch, op.channels, op.in_height, op.in_width) = (batch, channels, height, width)
        unsafe (op.rows, op.row_count) = (rows.baseAddress, rows.count)
        unsafe (op.columns, op.column_count) = (columns.baseAddress, columns.count)
        unsafe qk_f32_bilinear_run(&op, source, target, context.pool)
      }
    }
  }
}
