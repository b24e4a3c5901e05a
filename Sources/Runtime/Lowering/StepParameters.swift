package import GraphIR

/// Scale and zero point of a u8 activation.
package struct Affine: Hashable, Sendable {
  /// Finite, at least 2^-126, at most 2^64.
  package var scale: Float
  package var zeroPoint: UInt8

  package init(scale: Float, zeroPoint: UInt8) {
    self.scale = scale
    self.zeroPoint = zeroPoint
  }
}

/// The last operation of an integer step: `min(max(sat_u8(rne(r) + zeroPoint), lowest), highest)`.
package struct OutputClamp: Hashable, Sendable {
  package var zeroPoint: UInt8
  /// `q_min` of section 4.1; 0 without an activation.
  package var lowest: UInt8
  /// `q_max` of section 4.1; 255 without an activation.
  package var highest: UInt8

  package init(zeroPoint: UInt8, lowest: UInt8, highest: UInt8) {
    self.zeroPoint = zeroPoint
    self.lowest = lowest
    self.highest = highest
  }
}

/// What follows the accumulator of a linear step whose input parameters are constant.
package enum LinearTail: Sendable {
  /// 4.1: `clamp(rne(f32(acc) * multipliers[c]) + z_y)`.
  case requantize(multipliers: [Float], OutputClamp)
  /// 4.2: `activation(f32(acc) * scales[c] + bias[c])`, then quantized if `output` is given.
  ///
  /// `bias` is nil where the bias is in the accumulator or absent.
  case real(scales: [Float], bias: [Float]?, Activation, output: Affine?)
}

/// The geometry of a convolution: its operator's attributes without the activation.
package struct ConvGeometry: Hashable, Sendable {
  /// Extents of the kernel, one per spatial axis.
  package var kernel: [Int]
  package var strides: [Int]
  /// All begins, then all ends.
  package var pads: [Int]
  package var dilations: [Int]
  package var group: Int

  package init(kernel: [Int], strides: [Int], pads: [Int], dilations: [Int], group: Int) {
    self.kernel = kernel
    self.strides = strides
    self.pads = pads
    self.dilations = dilations
    self.group = group
  }
}

extension ConvGeometry {
  /// - Parameter kernel: The extents of the weight's spatial axes.
  package init(_ op: Conv, kernel: some Sequence<Int>) {
    self.init(
      kernel: Array(kernel),
      strides: op.strides,
      pads: op.pads,
      dilations: op.dilations,
      group: op.group
    )
  }

  /// - Parameter kernel: The extents of the weight's spatial axes.
  package init(_ op: ConvTranspose, kernel: some Sequence<Int>) {
    self.init(
      kernel: Array(kernel),
      strides: op.strides,
      pads: op.pads,
      dilations: op.dilations,
      group: op.group
    )
  }
}

/// A convolution of u8 by i8; depthwise and grouped ones included.
package struct IntegerConv: Sendable {
  package var geometry: ConvGeometry
  package var inputZeroPoint: UInt8
  /// `i8[M, C/group, k...]` as stored, not packed.
  package var weights: Tensor
  /// One per output channel, added to the accumulator; zeros where there is none.
  package var bias: [Int32]
  package var tail: LinearTail

  /// Whether every output channel reads one input channel.
  package var isDepthwise: Bool { geometry.group > 1 && weights.shape[1] == 1 }
}

/// A transposed convolution of u8 by i8, group 1.
package struct IntegerConvTranspose: Sendable {
  package var geometry: ConvGeometry
  package var outputPadding: [Int]
  package var inputZeroPoint: UInt8
  /// `i8[C, M, k...]` as stored.
  package var weights: Tensor
  /// One per output channel, added to the accumulator; zeros where there is none.
  package var bias: [Int32]
  package var tail: LinearTail
}

/// A matrix product of u8 rows by an i8 matrix.
package struct IntegerGemm: Sendable {
  package var inputZeroPoint: UInt8
  /// `i8[N, K]` if ``isTransposed``, otherwise `i8[K, N]`, as stored.
  package var weights: Tensor
  package var isTransposed: Bool
  /// One per output channel, added to the accumulator; zeros where there is none.
  package var bias: [Int32]
  package var tail: LinearTail

  /// Output channels.
  package var outputCount: Int { weights.shape[isTransposed ? 0 : 1] }
}

/// What follows the accumulator of a dynamic step: 4.2 with the scales of run time.
package struct DynamicTail: Sendable {
  /// `s_w`, one per output channel (repeated where the weight has one scale).
  package var weightScales: [Float]
  package var bias: [Float]?
  package var activation: Activation
}

/// A convolution of a dynamically quantized input by i8, with a float result.
package struct DynamicConv: Sendable {
  package var geometry: ConvGeometry
  /// `i8[M, C/group, k...]` as stored.
  package var weights: Tensor
  package var tail: DynamicTail

  /// Whether every output channel reads one input channel.
  package var isDepthwise: Bool { geometry.group > 1 && weights.shape[1] == 1 }
}

/// A matrix product of dynamically quantized rows by an i8 matrix, with a float result.
package struct DynamicGemm: Sendable {
  /// `i8[N, K]` if ``isTransposed``, otherwise `i8[K, N]`, as stored.
  package var weights: Tensor
  package var isTransposed: Bool
  /// Whether every row of the input has a scale and a zero point of its own.
  package var isPerRow = false
  package var tail: DynamicTail

  /// Output channels.
  package var outputCount: Int { weights.shape[isTransposed ? 0 : 1] }
}

/// A recurrent operator.
package enum RecurrentCell: Sendable {
  case lstm(LSTM)
  case gru(GRU)

  package var recurrence: Recurrence {
    switch self {
    case .lstm(let op): op.recurrence
    case .gru(let op): op.recurrence
    }
  }

  /// Gates of one hidden unit.
  package var gateCount: Int {
    switch self {
    case .lstm: LSTM.gateCount
    case .gru: GRU.gateCount
    }
  }

  package var op: Op {
    switch self {
    case .lstm(let op): .lstm(op)
    case .gru(let op): .gru(op)
    }
  }
}

/// A recurrence whose state is quantized dynamically, row by row, and multiplied by i8.
package struct DynamicRecurrence: Sendable {
  package var cell: RecurrentCell
  /// `i8[N, hidden]` as stored.
  package var weights: Tensor
  /// `s_w`, one per row of the weights (repeated where they have one scale).
  package var weightScales: [Float]
}

/// `clamp(rne(f32(a - z_a) * m_a + f32(b - z_b) * m_b) + z_y)`.
package struct IntegerAdd: Sendable {
  package var zeroPointA: UInt8
  package var zeroPointB: UInt8
  package var multiplierA: Float
  /// Negative for a difference.
  package var multiplierB: Float
  package var clamp: OutputClamp
}

/// `clamp(rne(f32((a - z_a) * (b - z_b)) * m) + z_y)`.
package struct IntegerMul: Sendable {
  package var zeroPointA: UInt8
  package var zeroPointB: UInt8
  package var multiplier: Float
  package var clamp: OutputClamp
}

/// Operands joined along an axis, each brought to the output's parameters.
package struct IntegerConcat: Sendable {
  /// Counted from the front.
  package var axis: Int
  /// One per operand: 256 entries, or nil where the parameters agree.
  package var tables: [[UInt8]?]
}

/// Mean over windows: `clamp(rne(f32(acc) * multiplier(n)) + z_y)`.
package struct IntegerAveragePool: Sendable {
  package var pool: AveragePool
  package var inputZeroPoint: UInt8
  package var inputScale: Float
  package var outputScale: Float
  package var clamp: OutputClamp

  /// `m_n` of section 6 for a window with the divisor `n`.
  package func multiplier(_ n: Int) -> Float {
    Float(Double(inputScale) / (Double(outputScale) * Double(n)))
  }
}

/// Mean or maximum over all spatial axes (axes 2 and up).
package struct IntegerGlobalPool: Sendable {
  /// Whether the spatial axes stay with extent 1.
  package var keepDims: Bool
  package var function: Function

  package enum Function: Sendable {
    /// As ``IntegerAveragePool``, with `n` the number of spatial positions.
    case average(inputZeroPoint: UInt8, inputScale: Float, outputScale: Float, OutputClamp)
    /// The largest byte, then the table if there is one.
    case max(table: [UInt8]?)
  }
}

/// The largest byte of each window, then the table if there is one.
package struct IntegerMaxPool: Sendable {
  package var pool: MaxPool
  /// 256 entries; nil where input and output have the same parameters and no clamp follows.
  package var table: [UInt8]?
}

/// A function of one byte.
package struct LookupTable: Sendable {
  /// 256 entries.
  package var entries: [UInt8]
}

/// A shape operator that moves bytes.
package struct PassThrough: Sendable {
  package var op: Op
  /// The byte that stands for ``Pad/value``.
  package var padByte: UInt8
  /// One per output: 256 entries applied to the moved bytes, or nil where the parameters agree.
  package var tables: [[UInt8]?]
}

/// Parameters of a quantize or dequantize step, per tensor or per channel.
package struct Stub: Sendable {
  /// The integer type.
  package var dtype: DType
  /// One, or one per channel.
  package var scales: [Float]
  /// As many as ``scales``.
  package var zeroPoints: [Int32]
  /// Channel axis counted from the front; nil: per tensor.
  package var axis: Int?

  package init(dtype: DType, scales: [Float], zeroPoints: [Int32], axis: Int?) {
    self.dtype = dtype
    self.scales = scales
    self.zeroPoints = zeroPoints
    self.axis = axis
  }
}
