package import BinaryIO
package import GraphIR

/// A weight as i8 values in -127...127 and their f32 scales.
package struct QuantizedWeight: Sendable {
  /// i8, with the shape of the float weight.
  package let values: Tensor
  /// f32: a scalar per tensor, or one per channel.
  package let scales: Tensor
  /// The channels' axis; nil: one scale for the tensor.
  package let axis: Int?
  /// Channels whose scale was raised above absmax/127.
  package let raised: Int
}

/// Symmetric i8 quantization of weights.
///
/// `scale = absmax / 127`, `q = clamp(rne(w / scale), -127, 127)` (K6), per tensor or per index of one axis; or the scale below with the
/// least squared error (``WeightScales``).
///
/// Three floors keep a nearly dead channel from ruining the arithmetic behind it (K1, K4, K5): the least normal
/// number, 2^-40 of the tensor's own scale, and what the caller asks for, so that a bias fits the accumulator.
/// A channel of zeros takes the scale of the whole tensor, since any is exact.
package enum WeightQuantizer {
  /// Quantizes a float weight.
  ///
  /// - Parameters:
  ///   - weight: f32 values, all finite.
  ///   - axis: The axis of the output channels; nil quantizes per tensor.
  ///   - floors: The least scale of each channel; empty: none. Per tensor, the largest counts.
  ///   - rule: How scales are chosen.
  ///   - allocator: Where the i8 values live.
  /// - Throws: A refusal when a value is not finite (O36), the weight is not f32, or a scale breaks K1.
  package static func quantize(
    _ weight: Tensor,
    axis: Int?,
    floors: [Float] = [],
    choosing rule: WeightScales = .minMax,
    in allocator: StorageAllocator = .heap
  ) throws(Refusal) -> QuantizedWeight {
    guard weight.dtype == .float32, let layout = ChannelLayout(weight, axis: axis) else {
      throw refusal("K3", "a weight of type \(weight.type) has no f32 channels on axis \(axis ?? 0)")
    }
    precondition(floors.isEmpty || axis == nil || floors.count == layout.channels)
    let peaks = absoluteMaxima(weight, layout)
    guard peaks.allSatisfy(\.isFinite) else {
      throw refusal("O36", "the weight holds NaN or infinity")
    }
    let (scales, raised) = self.scales(
      peaks: rule == .mse ? fitted(weight, layout, peaks) : peaks,
      floors: axis == nil ? floors.max().map { [$0] } ?? [] : floors
    )
    guard scales.allSatisfy(QuantParams.isValidScale) else {
      throw refusal("K1", "the weight needs a scale above 2^64")
    }
    let values = try unsafe Tensor.build(.int8, weight.shape, as: Int8.self, in: allocator) { (out) in
      unsafe round(weight, into: out, layout, scales)
    }
    return QuantizedWeight(
      values: values,
      scales: try Tensor.floats(scales, axis == nil ? [] : [scales.count]),
      axis: axis,
      raised: raised
    )
  }

  /// The largest magnitude of each channel; infinity where one is NaN or infinite.
  package static func absoluteMaxima(_ weight: Tensor, _ layout: ChannelLayout) -> [Float] {
    var peaks = [UInt32](repeating: 0, count: layout.channels)
    unsafe peaks.withUnsafeMutableBufferPointer { (peaks) in
      unsafe weight.forEachBlock(of: UInt32.self) { (bits, start) in
        layout.forEachRun(in: start..<(start + bits.count)) { (run, _, channel) in
          if layout.inner == 1 {
            for (step, index) in run.enumerated() {
              let magnitude = unsafe bits[index - start] & 0x7FFF_FFFF
              unsafe peaks[channel + step] = unsafe max(peaks[channel + step], magnitude)
            }
          } else {
            var peak = unsafe peaks[channel]
            for index in run { peak = unsafe max(peak, bits[index - start] & 0x7FFF_FFFF) }
            unsafe peaks[channel] = peak
          }
        }
      }
    }
    return peaks.map { $0 < 0x7F80_0000 ? Float(bitPattern: $0) : .infinity }
  }

  /// The scales of channels with these magnitudes, and how many were raised by a floor.
  private static func scales(peaks: [Float], floors: [Float]) -> ([Float], raised: Int) {
    let whole = (peaks.max() ?? 0) / 127
    let least = max(Float.leastNormalMagnitude, whole * 0x1p-40)
    var raised = 0
    let scales = peaks.indices.map { channel -> Float in
      let own = peaks[channel] == 0 ? (whole == 0 ? 1 : whole) : peaks[channel] / 127
      let floor = max(least, floors.isEmpty ? 0 : floors[channel])
      guard own < floor else { return own }
      raised += 1
      return floor
    }
    return (scales, raised)
  }

  /// Writes `clamp(rne(w / scale), -127, 127)`.
  private static func round(
    _ weight: Tensor,
    into out: UnsafeMutableBufferPointer<Int8>,
    _ layout: ChannelLayout,
    _ scales: [Float]
  ) {
    unsafe weight.forEachBlock(of: Float.self) { (block, start) in
      layout.forEachRun(in: start..<(start + block.count)) { (run, _, channel) in
        if layout.inner == 1 {
          for (step, index) in run.enumerated() {
            unsafe out[index] = unsafe nearest(block[index - start] / scales[channel + step])
          }
        } else {
          let scale = scales[channel]
          for index in run { unsafe out[index] = unsafe nearest(block[index - start] / scale) }
        }
      }
    }
  }

  /// The nearest integer in -127...127, half to even.
  ///
  /// Adding 1.5·2^23 leaves the rounded integer in the low bits, which vectorises where a checked conversion
  /// does not.
  @inline(__always)
  private static func nearest(_ x: Float) -> Int8 {
    let low: Float = x > -127 ? x : -127
    let clamped: Float = low < 127 ? low : 127
    return Int8(truncatingIfNeeded: (clamped + 12_582_912).bitPattern)
  }

  private static func refusal(_ rule: String, _ problem: String) -> Refusal {
    Refusal(
      .invalid,
      at: "weight",
      rule: rule,
      problem,
      remedy: "repair the weight, or convert with --fp32"
    )
  }
}
