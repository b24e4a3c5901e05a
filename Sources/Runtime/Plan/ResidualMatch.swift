internal import GraphIR
internal import Kernels

/// A convolution whose bytes go nowhere but into a sum with those of another value of the same shape.
///
///     %c = integer_conv(%x)          with a tail that requantizes
///     %s = integer_add(%c, %addend)  or (%addend, %c)
struct ResidualMatch {
  let conv: IntegerConv
  /// The addition with the convolution's result as the first operand.
  let function: ByteBinary
  let addend: ValueID
  let sum: ValueID
  /// Index of the addition.
  let step: Int

  /// The match that begins with a convolution, or nil.
  init?(from index: Int, in program: Program, _ uses: StepUses) {
    guard case .integerConv(let conv) = program.steps[index].kind, case .requantize = conv.tail,
      let y = program.steps[index].outputs.first, let step = uses.onlyReader(of: y),
      case .integerAdd(let add) = program.steps[step].kind, let sum = program.steps[step].outputs.first
    else { return nil }
    let inputs = program.steps[step].inputs.compactMap(\.self)
    guard inputs.count == 2,
      inputs.allSatisfy({ program.graph[$0].type.knownDims == program.graph[sum].type.knownDims })
    else { return nil }
    let isFirst = inputs[0] == y
    self.conv = conv
    function = isFirst ? ByteBinary(add) : ByteBinary(add).swapped
    addend = inputs[isFirst ? 1 : 0]
    self.sum = sum
    self.step = step
  }
}
