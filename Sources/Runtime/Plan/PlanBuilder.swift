internal import BinaryIO
internal import GraphIR
internal import Kernels

/// Turns the steps of a program into operations on slots.
///
/// Values of convolutional parts live channels-last; conversions are inserted where a step wants another layout.
struct PlanBuilder {
  let program: Program
  let resources: PlanResources
  let memoryLimit: Int
  private(set) var slots: [Slot] = []
  private(set) var operations: [Operation] = []
  /// Contents of slots outside of the arena.
  private(set) var constantMemory: [SlotID: Memory] = [:]
  /// Bytes of the parameters of kernels, weights apart.
  var parameterBytes = 0
  let constants: ConstantValues
  private var table: [ValueID: [Layout: SlotID]] = [:]
  /// Values without a slot until somebody needs their elements in order.
  private(set) var views: [ValueID: LazyView] = [:]
  /// Where operations that can find the range of their result on the way leave it.
  var ranges: [SlotID: ResultRange] = [:]
  private var step = 0
  /// Whether one operation may compute several steps, which leaves values in between without a slot.
  let joinsSteps: Bool
  let uses: StepUses
  /// Slots of concatenations that operations write before their turn.
  private var begun: [ValueID: SlotID] = [:]
  /// Values that lie in such slots and nowhere else.
  private(set) var placed: Set<ValueID> = []
  /// Steps that the operation of another one computes.
  private var joined: Set<Int> = []
  /// By the step whose turn it is when all operands are there.
  private var attentions: [Int: AttentionMatch] = [:]

  init(_ program: Program, _ resources: PlanResources, memoryLimit: Int, joinsSteps: Bool) {
    self.program = program
    self.resources = resources
    self.memoryLimit = memoryLimit
    self.joinsSteps = joinsSteps
    uses = StepUses(program)
    constants = ConstantValues(program, memoryLimit: memoryLimit)
  }

  /// The plan's operations, or nil where a shape is known only at run time.
  ///
  /// - Throws: A refusal when a constant breaks a rule or memory runs out.
  mutating func build() throws(Refusal) -> Bool {
    for step in program.steps where !step.isConstant {
      guard step.outputs.allSatisfy({ program.graph[$0].type.elementCount != nil }) else { return false }
    }
    for id in program.inputs { _ = write(id, .plain) }
    for (index, step) in program.steps.enumerated() where !step.isConstant && !joined.contains(index) {
      self.step = index
      do {
        if try addJoined(index) { continue }
        if try addKernel(for: step) { continue }
        try addReference(step)
      } catch { throw step.nodes.first.map { error.at(program.graph.label(of: $0)) } ?? error }
    }
    step = program.steps.count
    for id in program.outputs where !constants.isConstant(id) { _ = try read(id, .plain) }
    return true
  }

  /// Adds the operation for a step and those after it that it is joined with, if there is one, or leaves it to a later
  /// step.
  private mutating func addJoined(_ index: Int) throws(Refusal) -> Bool {
    if let match = attentions[index] {
      try addAttention(match)
      return true
    }
    if joinsSteps, let match = AttentionMatch(from: index, in: program, uses, constants) {
      attentions[match.last] = match
      joined.formUnion(match.steps.filter { $0 != match.last })
      return true
    }
    if joinsSteps, let match = ResidualMatch(from: index, in: program, uses), isComputed(match.addend),
      try addIntegerConv(match.conv, into: match, program.steps[index])
    {
      joined.insert(match.step)
      return true
    }
    let chain = RowChain(from: index, isLong: joinsSteps, in: program, uses, constants)
    guard let chain, try addRows(chain) else { return false }
    joined.formUnion(chain.steps)
    return true
  }

  /// Adds the kernel for a step, if there is one.
  private mutating func addKernel(for step: Step) throws(Refusal) -> Bool {
    switch step.kind {
    case .integerConv(let kind): try addIntegerConv(kind, step)
    case .integerGemm(let kind): try addIntegerGemm(kind, step)
    case .dynamicConv(let kind): try addDynamicConv(kind, step)
    case .dynamicGemm(let kind): try addDynamicGemm(kind, step)
    case .dynamicRecurrence(let kind): try addDynamicRecurrence(kind, step)
    case .integerAdd(let kind): try addIntegerBinary(ByteBinary(kind), step)
    case .integerMul(let kind): try addIntegerBinary(ByteBinary(kind), step)
    case .integerConcat(let kind): try addConcat(axis: kind.axis, tables: kind.tables, step)
    case .integerAveragePool(let kind): try addIntegerAveragePool(kind, step)
    case .integerGlobalPool(let kind): try addIntegerGlobalPool(kind, step)
    case .integerMaxPool(let kind): try addIntegerMaxPool(kind, step)
    case .table(let kind): try addTable(kind.entries, step)
    case .passThrough(let kind): try addPassThrough(kind, step)
    case .quantize(let stub): try addQuantize(stub, step)
    case .dequantize(let stub): try addDequantize(stub, step)
    case .dynamicQuantize(let perRow): try perRow ? false : addDynamicQuantize(step)
    case .float(let op): try addFloat(op, step)
    case .integerConvTranspose(let kind): try addIntegerConvTranspose(kind, step)
    }
  }

  var context: KernelContext { resources.context }

  // Slots

  /// The layout a value really has when `wanted` is asked for: where both are the same bytes, the plain one.
  func layout(of id: ValueID, wanted: Layout) -> Layout {
    guard let shape = program.graph[id].type.knownDims else { return .plain }
    let size = program.graph[id].type.dtype.size
    guard shape.count > 2, size == 1 || size == 4 else { return .plain }
    guard shape[1] != 1, shape.dropFirst(2).contains(where: { $0 != 1 }) else { return .plain }
    return wanted
  }

  /// Whether the operations so far, or none at all, compute the value.
  private func isComputed(_ id: ValueID) -> Bool {
    table[id] != nil || views[id] != nil || constants.isConstant(id)
  }

  /// Whether the value is there channels-last, and that is not the same as plain.
  func livesChannelsLast(_ id: ValueID) -> Bool { table[id]?[.channelsLast] != nil }

  func shape(_ id: ValueID) -> [Int] { program.graph[id].type.knownDims ?? [] }

  func dtype(_ id: ValueID) -> DType { program.graph[id].type.dtype }

  subscript(_ slot: SlotID) -> Slot { slots[slot.index] }

  mutating func setView(_ view: LazyView, of id: ValueID) { views[id] = view }

  /// The view of a value whose elements lie nowhere in plain order yet: of another value, or of its slot channels-last.
  func pendingView(_ id: ValueID) -> LazyView? {
    guard let slots = table[id] else { return views[id] }
    guard slots[.plain] == nil, let slot = slots[.channelsLast] else { return nil }
    let dims = shape(id)
    let channels = dims[1]
    let strides = Mover.strides([dims[0]] + dims.dropFirst(2) + [channels])
    return LazyView(source: slot, extents: dims, strides: [strides[0], 1] + strides.dropFirst().dropLast())
  }

  /// The slot of a value in a layout, converted if need be.
  mutating func read(_ id: ValueID, _ wanted: Layout) throws(Refusal) -> SlotID {
    let layout = layout(of: id, wanted: wanted)
    if let slot = table[id]?[layout] { return slot }
    if constants.isConstant(id) { return try constantSlot(id, layout) }
    if table[id] == nil, let view = views[id] {
      let target = write(id, layout)
      try addCopy(of: view.ordered(as: layout), target)
      return target
    }
    let other: Layout = layout == .plain ? .channelsLast : .plain
    guard let source = table[id]?[other] else {
      throw Evaluation.refusal("O23", "value \(Refusal.quoted(program.graph[id].name)) was not computed")
    }
    let target = write(id, layout)
    addConversion(source, target)
    return target
  }

  /// The slot of a value, to be written by the next operation; a new one if none is begun.
  mutating func write(_ id: ValueID, _ wanted: Layout) -> SlotID {
    let slot = begun.removeValue(forKey: id) ?? newSlot(id, layout(of: id, wanted: wanted))
    table[id, default: [:]][self[slot].layout] = slot
    return slot
  }

  private mutating func newSlot(_ id: ValueID, _ layout: Layout) -> SlotID {
    let slot = SlotID(index: slots.count)
    slots.append(Slot(value: id, dtype: dtype(id), shape: shape(id), layout: layout))
    return slot
  }

  /// The slot of a concatenation, of which the next operation writes the channels of `id`.
  mutating func write(_ id: ValueID, into concatenation: ValueID) -> SlotID {
    let slot = begun[concatenation] ?? newSlot(concatenation, .channelsLast)
    begun[concatenation] = slot
    placed.insert(id)
    return slot
  }

  /// A slot for what one operation leaves to the next.
  mutating func between(_ dtype: DType, _ shape: [Int]) -> SlotID {
    slots.append(Slot(value: nil, dtype: dtype, shape: shape, layout: .plain))
    return SlotID(index: slots.count - 1)
  }

  /// A slot that holds these numbers.
  mutating func constant(_ elements: [Float]) throws(Refusal) -> SlotID {
    let slot = between(.float32, [elements.count])
    let memory = try PlanBuilder.memory(self[slot].byteCount)
    memory.buffer.write(elements)
    constantMemory[slot] = memory
    return slot
  }

  private mutating func constantSlot(_ id: ValueID, _ layout: Layout) throws(Refusal) -> SlotID {
    let tensor = try constants.tensor(id)
    let slot = SlotID(index: slots.count)
    slots.append(Slot(value: id, dtype: tensor.dtype, shape: tensor.shape, layout: layout))
    let memory = try PlanBuilder.memory(tensor.bytes.count)
    unsafe tensor.bytes.withUnsafeBytes { unsafe memory.buffer.write($0) }
    constantMemory[slot] = memory
    if layout == .channelsLast {
      let converted = try PlanBuilder.memory(tensor.bytes.count)
      convert(self[slot], memory.buffer, converted.buffer, to: .channelsLast)
      constantMemory[slot] = converted
    }
    table[id, default: [:]][layout] = slot
    return slot
  }

  private func convert(_ slot: Slot, _ x: Buffer, _ y: Buffer, to layout: Layout) {
    PlanBuilder.convert(slot, x, y, to: layout, in: context)
  }

  /// Copies a value from one layout to the other.
  static func convert(_ slot: Slot, _ x: Buffer, _ y: Buffer, to layout: Layout, in context: KernelContext) {
    let channels = slot.shape[1]
    let pixels = slot.pixels
    ElementwiseKernel.transpose(
      elementSize: slot.dtype.size,
      batch: slot.shape[0],
      channels: layout == .channelsLast ? channels : pixels,
      pixels: layout == .channelsLast ? pixels : channels,
      x,
      y,
      in: context
    )
  }

  private mutating func addConversion(_ source: SlotID, _ target: SlotID) {
    let slot = self[target]
    add(slot.layout == .plain ? "to channels first" : "to channels last", reads: [source], writes: [target]) {
      (run) throws(Refusal) in
      PlanBuilder.convert(slot, run[source], run[target], to: slot.layout, in: run.context)
    }
  }

  // Operations

  mutating func add(
    _ name: String,
    reads: [SlotID],
    writes: [SlotID],
    reusing reusableOperand: Int? = nil,
    scratch: Int = 0,
    joining steps: [Int] = [],
    _ body: @escaping (PlanRun) throws(Refusal) -> Void
  ) {
    operations.append(
      Operation(
        name: name,
        step: step,
        reads: reads,
        writes: writes,
        reusableOperand: reusableOperand,
        scratchBytes: scratch,
        joinedSteps: steps.filter { $0 != step },
        body: body
      )
    )
  }

  /// Runs a step as the reference executor does.
  private mutating func addReference(_ step: Step) throws(Refusal) {
    enum Operand {
      case absent
      case constant(Tensor)
      case slot(SlotID, DType, [Int])
    }
    var operands: [Operand] = []
    var reads: [SlotID] = []
    for input in step.inputs {
      guard let input else {
        operands.append(.absent)
        continue
      }
      if constants.isConstant(input) {
        operands.append(.constant(try constants.tensor(input)))
      } else {
        let slot = try read(input, .plain)
        reads.append(slot)
        operands.append(.slot(slot, self[slot].dtype, self[slot].shape))
      }
    }
    let writes = step.outputs.map { write($0, .plain) }
    let expected = writes.map { self[$0] }
    let limit = memoryLimit
    let sources = operands
    add("reference \(step.kind.name)", reads: reads, writes: writes) { (run) throws(Refusal) in
      var inputs: [Tensor?] = []
      for source in sources {
        switch source {
        case .absent: inputs.append(nil)
        case .constant(let tensor): inputs.append(tensor)
        case .slot(let slot, let dtype, let shape):
          inputs.append(try PlanBuilder.tensor(dtype, shape, run[slot]))
        }
      }
      let results = try Reference.run(step, inputs: inputs, memoryLimit: limit)
      for (index, tensor) in results.enumerated() where index < writes.count {
        guard tensor.shape == expected[index].shape, tensor.dtype == expected[index].dtype else {
          throw Evaluation.refusal(
            "V1",
            "the result is \(tensor.type), the plan has room for \(expected[index].dtype)\(expected[index].shape)"
          )
        }
        unsafe tensor.bytes.withUnsafeBytes { unsafe run[writes[index]].write($0) }
      }
    }
  }

  // Memory

  static func memory(_ count: Int) throws(Refusal) -> Memory {
    guard let memory = Memory(count: count) else { throw outOfMemory("\(count) bytes") }
    return memory
  }

  static func outOfMemory(_ what: String) -> Refusal {
    Refusal(
      .limit,
      at: what,
      rule: "L11",
      "the system has no memory left",
      remedy: "use a smaller batch or a machine with more memory"
    )
  }

  /// A copy of a buffer's elements.
  static func tensor(_ dtype: DType, _ shape: [Int], _ buffer: Buffer) throws(Refusal) -> Tensor {
    let count = shape.reduce(1, *) * dtype.size
    let bytes = try unsafe ByteSlice.build(count: count) { (target) throws(Refusal) in
      unsafe buffer.read(into: target)
    }
    guard let tensor = Tensor(dtype, shape, bytes: bytes) else {
      throw Evaluation.refusal("V1", "\(count) bytes are not a tensor of shape \(shape)")
    }
    return tensor
  }
}
