internal import CKernels

/// Slices along the depth of a volume joined for every window.
///
/// `[batch, inputDepth, pixels, groups, bytes]` gives `[batch, outputDepth, pixels, groups, kernel, bytes]`.
package struct SliceStack: Hashable, Sendable {
  package var batch = 1
  package var inputDepth = 1
  package var outputDepth = 1
  package var kernel = 1
  package var stride = 1
  package var pad = 0
  package var dilation = 1
  /// Pixels of a slice.
  package var pixels = 1
  package var groups = 1
  /// Bytes of the channels of a group.
  package var bytes = 1

  package init() {}

  package var inputBytes: Int { batch * inputDepth * pixels * groups * bytes }
  package var outputBytes: Int { batch * outputDepth * pixels * groups * kernel * bytes }

  /// - Parameter fill: The bytes of slices outside of the volume.
  package func run(_ x: Buffer, _ y: Buffer, fill: UInt8, in context: KernelContext) {
    var op = qk_stack(
      batch: batch,
      in_depth: inputDepth,
      out_depth: outputDepth,
      kernel: kernel,
      stride: stride,
      pad: pad,
      dilation: dilation,
      pixels: pixels,
      groups: groups,
      bytes: bytes
    )
    unsafe qk_stack_run(&op, x.pointer(inputBytes), y.pointer(outputBytes), fill, context.pool)
  }
}

/// The phases of a transposed convolution put side by side, over three axes.
///
/// `[batch, input..., groups, strides..., bytes]` gives `[batch, output..., groups, bytes]`: place `p` along an axis is
/// phase `(p + pad) % stride` of place `(p + pad) / stride`.
package struct PhaseInterleaving: Hashable, Sendable {
  package var batch: Int
  package var input: [Int]
  package var output: [Int]
  package var strides: [Int]
  package var pads: [Int]
  package var groups: Int
  /// Bytes of the channels of a group.
  package var bytes: Int

  package init(
    batch: Int,
    input: [Int],
    output: [Int],
    strides: [Int],
    pads: [Int],
    groups: Int,
    bytes: Int
  ) {
    precondition([input, output, strides, pads].allSatisfy { $0.count == 3 })
    precondition((0..<3).allSatisfy { (output[$0] - 1 + pads[$0]) / strides[$0] < input[$0] })
    self.batch = batch
    self.input = input
    self.output = output
    self.strides = strides
    self.pads = pads
    self.groups = groups
    self.bytes = bytes
  }

  package func run(_ x: Buffer, _ y: Buffer, in context: KernelContext) {
    func triple(_ values: [Int]) -> (Int, Int, Int) { (values[0], values[1], values[2]) }
    var op = qk_phases(
      batch: batch,
      in: triple(input),
      out: triple(output),
      stride: triple(strides),
      pad: triple(pads),
      groups: groups,
      bytes: bytes
    )
    let phases = strides.reduce(1, *)
    let source = unsafe x.pointer(batch * input.reduce(1, *) * groups * phases * bytes)
    unsafe qk_phases_run(&op, source, y.pointer(batch * output.reduce(1, *) * groups * bytes), context.pool)
  }
}
