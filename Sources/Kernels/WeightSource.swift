internal import CKernels

/// Weights as a file stores them: element `(n, t, k)` (output channel, tap, input channel of the group) is
/// `base[n * outputStride + t * tapStride + k * inputStride]`.
@safe package struct WeightSource {
  /// The type of stored weights.
  package enum Element: Sendable {
    case float32
    case float16
    case int8
  }

  package var element: Element
  package var outputChannels: Int
  package var taps: Int
  package var inputChannels: Int
  package var outputStride: Int
  package var tapStride: Int
  package var inputStride: Int
  /// Multiplied onto float weights.
  package var factor: Float
  let base: UnsafeRawPointer

  /// Convolution weights `[M, C/group, k...]`.
  package init?(_ bytes: UnsafeRawBufferPointer, _ element: Element, outputs: Int, inputs: Int, taps: Int) {
    guard let base = bytes.baseAddress else { return nil }
    unsafe self.base = base
    self.element = element
    outputChannels = outputs
    self.taps = taps
    inputChannels = inputs
    outputStride = inputs * taps
    tapStride = 1
    inputStride = taps
    factor = 1
    precondition(bytes.count == outputs * inputs * taps * elementSize)
  }

  /// A matrix `[N, K]` if transposed, otherwise `[K, N]`.
  package init?(
    matrix bytes: UnsafeRawBufferPointer,
    _ element: Element,
    columns: Int,
    depth: Int,
    isTransposed: Bool,
    factor: Float = 1
  ) {
    guard unsafe bytes.baseAddress != nil else { return nil }
    guard let source = unsafe WeightSource(bytes, element, outputs: columns, inputs: depth, taps: 1) else {
      return nil
    }
    self = source
    self.factor = factor
    guard !isTransposed else { return }
    outputStride = 1
    inputStride = columns
  }

  var elementSize: Int {
    switch element {
    case .float32: 4
    case .float16: 2
    case .int8: 1
    }
  }

  var type: qk_source {
    switch element {
    case .float32: QK_SOURCE_F32
    case .float16: QK_SOURCE_F16
    case .int8: QK_SOURCE_S8
    }
  }
}
