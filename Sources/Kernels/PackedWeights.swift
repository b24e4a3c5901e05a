internal import CKernels

/// Weights in the order in which kernels of one instruction set read them; independent of the input's extents.
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
  /// Whether rows are gathered before the product.
  let isGathered: Bool
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
  /// - Returns: nil when the system has no memory left.
  package init?(_ shape: LinearShape, _ source: WeightSource, _ instructionSet: InstructionSet) {
    precondition(source.outputChannels == shape.groups * shape.outputChannels)
    precondition(source.inputChannels == shape.inputChannels && source.taps == shape.taps)
    self.instructionSet = instructionSet
    isFloat = source.element != .int8
    let dtype = isFloat ? QK_F32 : QK_QU8
    groups = shape.groups
    outputChannels = shape.outputChannels
    inputChannels = shape.inputChannels
    taps = shape.taps
    isDepthwise = shape.isDepthwise
    panelWidth = qk_igemm_panel_width(dtype, instructionSet.value, shape.outputChannels)
    groupWidth = (shape.outputChannels + panelWidth - 1) / panelWidth * panelWidth
    paddedChannels = isDepthwise ? (shape.groups + 63) / 64 * 64 : shape.groups * groupWidth
    isGathered = !isDepthwise && qk_conv_wants_im2col(dtype, shape.inputChannels, shape.taps)
    var sums = [Int32](repeating: 0, count: paddedChannels)
    guard !isDepthwise else {
      guard let memory = Memory(count: qk_dw_packed_bytes(dtype, shape.groups, shape.taps)) else {
        return nil
      }
      unsafe qk_dw_pack(
        dtype,
        source.type,
        source.base,
        shape.groups,
        shape.taps,
        source.outputStride,
        source.tapStride,
        memory.buffer.pointer(0),
        &sums
      )
      self.memory = memory
      self.sums = sums
      return
    }
    let depth = isGathered ? shape.inputChannels * shape.taps : shape.inputChannels
    let panelBytes = qk_panel_bytes(dtype, panelWidth, depth, isGathered ? 1 : shape.taps)
    let groupBytes = groupWidth / panelWidth * panelBytes
    guard let memory = Memory(count: shape.groups * groupBytes) else { return nil }
    let pack = unsafe isGathered ? qk_pack_gathered_weights : qk_pack_weights
    for group in 0..<shape.groups {
      let first = unsafe source.base + group * shape.outputChannels * source.outputStride * source.elementSize
      let target = unsafe memory.buffer.pointer(0) + group * groupBytes
      var groupSums = [Int32](repeating: 0, count: groupWidth)
      unsafe pack(
        dtype,
        source.type,
        first,
        shape.outputChannels,
        shape.taps,
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
