internal import CKernels

/// Weights in the order in which kernels of one instruction set read them; apart from the choice of a tile independent of
/// the input's extents.
@safe package final class PackedWeights: Sendable {
  package let instructionSet: InstructionSet
  /// Whether they are floats; otherwise signed bytes.
  package let isFloat: Bool
  let memory: Memory
  /// Per padded output channel, the sum of its weights; for bytes only.
  let sums: [Int32]
  let panelWidth: Int
  /// Output channels of one group, rounded up to whole panels.
  let groupWidth: Int
  /// Output channels of all groups with their padding.
  let paddedChannels: Int
  /// Neighbouring taps that are packed as one.
  let run: Int
  /// The extent of the tiles that the weights are transformed for, 0 if they are not.
  package let tile: Int
  private let groups: Int
  private let outputChannels: Int
  private let inputChannels: Int
  private let taps: Int
  private let isDepthwise: Bool

  /// Packs weights.
  ///
  /// - Parameters:
  ///   - shape: Channels, groups and taps; the other extents do not matter.
  ///   - source: The weights as stored.
  ///   - instructionSet: Decides the layout.
  ///   - tile: Extent of the output tiles, 2 or 4, or 0 for the direct sum; tiles are for floats where the shape allows them.
  /// - Returns: nil when the system has no memory left.
  package init?(
    _ shape: LinearShape,
    _ source: WeightSource,
    _ instructionSet: InstructionSet,
    tile: Int = 0
  ) {
    precondition(source.outputChannels == shape.groups * shape.outputChannels)
    precondition(source.inputChannels == shape.inputChannels && source.taps == shape.taps)
    precondition(tile == 0 || source.element != .int8)
    self.instructionSet = instructionSet
    self.tile = tile
    isFloat = source.element != .int8
    let dtype = isFloat ? QK_F32 : QK_QU8
    groups = shape.groups
    outputChannels = shape.outputChannels
    inputChannels = shape.inputChannels
    taps = shape.taps
    isDepthwise = shape.isDepthwise
    panelWidth = qk_igemm_panel_width(
      dtype,
      instructionSet.value,
      shape.outputChannels,
      shape.inputChannels * shape.taps
    )
    groupWidth = (shape.outputChannels + panelWidth - 1) / panelWidth * panelWidth
    paddedChannels = isDepthwise ? (shape.groups + 63) / 64 * 64 : shape.groups * groupWidth
    run = isDepthwise ? 1 : qk_conv_run_length(dtype, shape.inputChannels, shape.kernelWidth)
    var sums = [Int32](repeating: 0, count: paddedChannels)
    if isDepthwise {
      guard let memory = PackedWeights.packDepthwise(shape, source, dtype, instructionSet, &sums) else {
        return nil
      }
      self.memory = memory
      self.sums = sums
      return
    }
    if tile > 0 {
      guard let memory = PackedWeights.transform(shape, source, panelWidth: panelWidth, tile: tile) else {
        return nil
      }
      self.memory = memory
      self.sums = []
      return
    }
    let isa = instructionSet.value
    let panelBytes = qk_panel_bytes(dtype, isa, panelWidth, shape.inputChannels * run, shape.taps / run)
    let groupBytes = groupWidth / panelWidth * panelBytes
    guard let memory = Memory(count: shape.groups * groupBytes) else { return nil }
    for group in 0..<shape.groups {
      let first = unsafe source.base + group * shape.outputChannels * source.outputStride * source.elementSize
      let target = unsafe memory.buffer.pointer(0) + group * groupBytes
      var groupSums = [Int32](repeating: 0, count: groupWidth)
      unsafe qk_pack_weights(
        dtype,
        isa,
        source.type,
        first,
        shape.outputChannels,
        shape.taps,
        run,
        shape.inputChannels,
        source.outputStride,
        source.tapStride,
        source.inputStride,
        panelWidth,
        source.factor,
        target,
        &groupSums
      )
      sums.replaceSubrange(group * groupWidth..<(group + 1) * groupWidth, with: groupSums)
    }
    self.memory = memory
    self.sums = sums
  }

  private static func transform(
    _ shape: LinearShape,
    _ source: WeightSource,
    panelWidth: Int,
    tile: Int
  ) -> Memory? {
    let (columns, depth) = (shape.outputChannels, shape.inputChannels)
    guard let memory = Memory(count: qk_winograd_packed_bytes(columns, depth, panelWidth, tile)) else {
      return nil
    }
    unsafe qk_winograd_pack(
      source.type,
      source.base,
      columns,
      depth,
      source.outputStride,
      source.tapStride,
      source.inputStride,
      panelWidth,
      tile,
      source.factor,
      memory.buffer.pointer(0)
    )
    return memory
  }

  /// The kernel for whole rows that weights of a depthwise convolution are packed for, nil where there is none.
  static func rowKernel(
    _ shape: LinearShape,
    _ dtype: qk_dtype,
    _ set: InstructionSet
  ) -> UnsafePointer<qk_dwrow_ukernel>? {
    guard shape.isDepthwise, shape.strideX == shape.strideY else { return nil }
    return unsafe qk_dwrow_ukernel(
      dtype,
      set.value,
      shape.kernelHeight,
      shape.kernelWidth,
      shape.strideX,
      shape.dilationX
    )
  }

  private static func packDepthwise(
    _ shape: LinearShape,
    _ source: WeightSource,
    _ dtype: qk_dtype,
    _ set: InstructionSet,
    _ sums: inout [Int32]
  ) -> Memory? {
    let (kh, kw) = (shape.kernelHeight, shape.kernelWidth)
    let (channel, tap) = (source.outputStride, source.tapStride)
    if dtype == QK_QU8, unsafe rowKernel(shape, dtype, set) != nil {
      guard let memory = Memory(count: qk_dwrow_packed_bytes(shape.groups, kh, kw)) else { return nil }
      let packed = unsafe memory.buffer.pointer(0)
      unsafe qk_dwrow_pack(source.base, shape.groups, kh, kw, channel, tap, packed, &sums)
      return memory
    }
    guard let memory = Memory(count: qk_dw_packed_bytes(dtype, shape.groups, shape.taps)) else { return nil }
    let packed = unsafe memory.buffer.pointer(0)
    unsafe qk_dw_pack(
      dtype,
      source.type,
      source.base,
      shape.groups,
      shape.taps,
      channel,
      tap,
      packed,
      &sums
    )
    return memory
  }

  /// Bytes of packed weights.
  package var residentBytes: Int { memory.count + sums.count * 4 }

  var dtype: qk_dtype { isFloat ? QK_F32 : QK_QU8 }

  /// Whether the weights are those of this shape.
  package func fits(_ shape: LinearShape) -> Bool {
    groups == shape.groups && outputChannels == shape.outputChannels && inputChannels == shape.inputChannels
      && taps == shape.taps
  }

  /// Where an output channel is among the padded ones.
  func position(_ channel: Int) -> Int {
    isDepthwise ? channel : channel / outputChannels * groupWidth + channel % outputChannels
  }
}
