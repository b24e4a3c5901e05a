import BinaryIO
import GraphIR
import TestSupport
import Testing

@testable import Kernels
@testable import Runtime

/// The plan against the reference executor.
@Suite("Plan") struct PlanTests {
  static let sets = InstructionSet.allCases.filter(\.isAvailable).map(\.name)

  /// Compares all values that both executors store.
  ///
  /// - Parameter tolerance: Largest difference, relative to the reference's largest magnitude; 0: the same bytes.
  static func compare(
    _ graph: Graph,
    seed: UInt64,
    tolerance: Float,
    _ label: String,
    sets: [String] = PlanTests.sets
  ) throws {
    var random = SplitMix64(seed: seed)
    let inputs = try graph.inputs.map { try random.floats(graph[$0].type.knownDims ?? [], in: -3...3) }
    let program = try Program(graph, inputTypes: [:])
    let watched = Set(program.steps.flatMap(\.outputs)).union(graph.inputs)
    var expected: [ValueID: Tensor] = [:]
    let reference = try ReferenceExecutor(program)
    let results = try reference.run(inputs, observing: watched) { (id, tensor) throws(Refusal) in
      expected[id] = tensor
    }
    for set in sets {
      var first: [Tensor] = []
      for threads in [1, 2] {
        let plan = try PlanExecutor.make(
          program,
          PlanResources(threads: threads, instructionSet: set),
          memoryLimit: .max,
          isObservable: true
        )
        var seen: Set<ValueID> = []
        let got = try plan.run(inputs, observing: watched) { (id, tensor) throws(Refusal) in
          seen.insert(id)
          let name = "\(label) \(set) \(threads) threads: \(program.graph[id].name)"
          #expect(matches(tensor, expected[id], tolerance), "\(name)")
        }
        let constants = Set(program.steps.filter(\.isConstant).flatMap(\.outputs))
        #expect(
          seen.union(constants) == watched.union(constants),
          "\(label) \(set): not all values were shown"
        )
        for (tensor, reference) in zip(got, results) {
          #expect(matches(tensor, reference, tolerance), "\(label) \(set): outputs")
        }
        let again = try plan.run(inputs, observing: []) { (_, _) throws(Refusal) in }
        for (tensor, other) in zip(got, again) {
          #expect(matches(tensor, other, 0), "\(label) \(set): second run")
        }
        for (tensor, other) in zip(got, first) {
          #expect(matches(tensor, other, 0), "\(label) \(set): threads")
        }
        first = got
      }
      try compareJoined(program, inputs, results, tolerance, "\(label) \(set)", set)
    }
  }

  /// Compares the outputs of a plan whose operations may compute several steps.
  private static func compareJoined(
    _ program: Program,
    _ inputs: [Tensor],
    _ expected: [Tensor],
    _ tolerance: Float,
    _ label: String,
    _ set: String
  ) throws {
    var first: [Tensor] = []
    for threads in [1, 2] {
      let resources = try PlanResources(threads: threads, instructionSet: set)
      let plan = try PlanExecutor.make(program, resources, memoryLimit: .max)
      let got = try plan.run(inputs, observing: []) { (_, _) throws(Refusal) in }
      for (tensor, reference) in zip(got, expected) {
        #expect(matches(tensor, reference, tolerance), "\(label): joined steps")
      }
      for (tensor, other) in zip(got, first) {
        #expect(matches(tensor, other, 0), "\(label): joined steps, threads")
      }
      first = got
    }
  }

  /// The names of all kernel calls.
  static func kernels(_ graph: Graph) throws -> [String] {
    var random = SplitMix64(seed: 53)
    var inputs: [String: Tensor] = [:]
    for id in graph.inputs { inputs[graph[id].name] = try random.floats(graph[id].type.knownDims ?? []) }
    return try Session(graph).profile(inputs, runs: 1).steps.flatMap(\.kernels)
  }

  static func matches(_ tensor: Tensor, _ reference: Tensor?, _ tolerance: Float) -> Bool {
    guard let reference, tensor.dtype == reference.dtype, tensor.shape == reference.shape else {
      return false
    }
    guard tolerance > 0, tensor.dtype == .float32 else {
      return tensor.rawBytes == reference.rawBytes
    }
    let (a, b) = (tensor.elements(as: Float.self), reference.elements(as: Float.self))
    let limit = max(b.filter(\.isFinite).map(abs).max() ?? 0, 1e-3) * tolerance
    return zip(a, b).allSatisfy { $0 == $1 || ($0.isNaN && $1.isNaN) || abs($0 - $1) <= limit }
  }

  static func randomConv(_ draft: inout GraphDraft, _ x: ValueID) throws -> ValueID {
    let channels = draft.shape(x)[1]
    let axes = draft.shape(x).count - 2
    let divisors = (1...channels).filter { channels % $0 == 0 }
    let group = [1, 1, channels, divisors[draft.random.int(0...divisors.count - 1)]][draft.random.int(0...3)]
    let kernel = (0..<axes).map { _ in draft.random.int(1...4) }
    let dilations = (0..<axes).map { _ in draft.random.int(1...2) }
    let pads = (0..<2 * axes).map { draft.random.int(0...(kernel[$0 % axes] - 1) * dilations[$0 % axes]) }
    let activations: [Activation] = [
      .none, .relu, .clip(min: 0, max: 6), .hardSwish, .leakyRelu(alpha: 0.1), .sigmoid, .silu,
      .hardSigmoid(alpha: 0.2, beta: 0.5),
    ]
    let op = Conv(
      strides: (0..<axes).map { _ in draft.random.int(1...3) },
      pads: pads,
      dilations: dilations,
      group: group,
      activation: activations[draft.random.int(0...activations.count - 1)]
    )
    return try draft.conv(x, outputs: group * draft.random.int(1...9), kernel: kernel, op)
  }

  @Test("Convolutions of random shapes agree", arguments: GraphDraft.Scheme.allCases)
  func convolutions(_ scheme: GraphDraft.Scheme) throws {
    for seed in UInt64(1)...40 {
      var draft = GraphDraft(seed: seed, scheme)
      let axes = draft.random.int(1...3)
      let shape = [draft.random.int(1...2), [1, 3, 4, 8, 18, 33][draft.random.int(0...5)]]
      let spatial = (0..<axes).map { _ in draft.random.int(axes == 3 ? 7...9 : 8...14) }
      let x = draft.graph.addInput("x", TensorType(.float32, known: shape + spatial))
      let y = try PlanTests.randomConv(&draft, draft.stubs(x))
      draft.graph.addOutput(y)
      let tolerance: Float = scheme == .staticInteger ? 0 : 1e-5
      try PlanTests.compare(draft.graph, seed: seed, tolerance: tolerance, "\(scheme) seed \(seed)")
    }
  }

  @Test("Constants that steps compute are shown, however large")
  func constantsAreShown() throws {
    let graph = try GraphParser.parse(
      """
      graph @g {
        input %x: f32[2, 1]
        const %one: f32[] = 1
        %table: f32[200, 200] = expand(%one) {shape = [200, 200]}
        %row: f32[200] = reduce_sum(%table) {axes = [0], keep_dims = 0}
        %y: f32[2, 200] = add(%x, %row)
        output %y
      }
      """
    )
    let observed = try ["table", "row"].map { try #require(graph.value(named: $0)) }
    var shown: [ValueID: Float] = [:]
    _ = try Session(graph).run(["x": .floats([1, 2], [2, 1])], observing: observed) { id, tensor in
      shown[id] = tensor.elements(as: Float.self).first
    }
    #expect(shown == [observed[0]: 1, observed[1]: 200])
  }

  @Test("Layer normalisation by one scale for all columns, as groups have, is a kernel")
  func groupNormalisation() throws {
    var draft = GraphDraft(seed: 11, .float)
    let x = draft.graph.addInput("x", TensorType(.float32, known: [2, 4, 60]))
    let scale = draft.constant("scale", try .floats([1.5]))
    let bias = draft.constant("bias", try .floats([-0.25]))
    draft.graph.addOutput(try draft.node(.layerNorm(LayerNorm()), [x, scale, bias]))
    try PlanTests.compare(draft.graph, seed: 12, tolerance: 1e-5, "one scale")
    #expect(try PlanTests.kernels(draft.graph) == ["f32 layer norm"])
  }

  @Test("Resizing and padding agree, and no image is left to the reference")
  func resampling() throws {
    let extents = [[9], [6, 7], [3, 4, 5]]
    let coordinates = ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"]
    let nearest = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
    for (index, spatial) in (0..<24).map({ ($0, extents[$0 % 3]) }) {
      var draft = GraphDraft(seed: UInt64(index), .float)
      let x = draft.graph.addInput("x", TensorType(.float32, known: [2, 3] + spatial))
      let isLinear = index % 2 == 0 && spatial.count < 3
      let resize = Resize(
        scales: nil,
        sizes: [2, 3] + spatial.map { $0 + draft.random.int(-2...8) },
        mode: isLinear ? .linear : .nearest,
        coordinates: coordinates[index / 6],
        nearest: nearest[draft.random.int(0...3)]
      )
      let mode: Pad.Mode = [.constant, .reflect, .edge][index / 3 % 3]
      let amounts = [0, 0] + spatial.map { _ in draft.random.int(-1...2) }
      let pad = Pad(pads: amounts + amounts, mode: mode, value: mode == .constant ? 1.5 : 0)
      draft.graph.addOutput(try draft.node(.resize(resize), [x]))
      draft.graph.addOutput(try draft.node(.pad(pad), [x]))
      try PlanTests.compare(draft.graph, seed: 9, tolerance: isLinear ? 1e-6 : 0, "case \(index)")
      let kernels = try PlanTests.kernels(draft.graph)
      #expect(!kernels.contains { $0.contains("reference") }, "\(kernels)")
    }
  }

  @Test("Bytes that only move are not left to the reference")
  func movedBytes() throws {
    var draft = GraphDraft(seed: 3, .staticInteger)
    let x = draft.graph.addInput("x", TensorType(.float32, known: [2, 8, 5, 6]))
    let unit = Conv(strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1])
    let q = try draft.conv(draft.stubs(x), outputs: 8, kernel: [1, 1], unit)
    func moved(_ op: Op, _ y: ValueID) throws -> ValueID {
      let parameters = try #require(draft.graph[y].producer.map { draft.graph[$0].inputs })
      let result = try draft.node(op, [y])
      let bytes = try draft.node(
        .quantizeLinear(QuantizeLinear()),
        [result] + parameters.dropFirst().compactMap { $0 }
      )
      return try draft.node(
        .dequantizeLinear(DequantizeLinear()),
        [bytes] + parameters.dropFirst().compactMap { $0 }
      )
    }
    let half = try moved(.slice(Slice(starts: [2], ends: [6], axes: [1])), q)
    let wide = try moved(
      .resize(Resize(sizes: [2, 4, 10, 12], mode: .nearest, coordinates: "asymmetric", nearest: "floor")),
      half
    )
    let padded = try moved(.pad(Pad(pads: [0, 0, 1, 0, 0, 0, 2, 1], mode: .constant)), wide)
    let turned = try moved(.transpose(Transpose(perm: [0, 2, 3, 1])), padded)
    draft.graph.addOutput(try draft.conv(padded, outputs: 3, kernel: [3, 3], unit))
    draft.graph.addOutput(turned)
    try PlanTests.compare(draft.graph, seed: 4, tolerance: 0, "moved bytes")
    let kernels = try PlanTests.kernels(draft.graph)
    #expect(!kernels.contains { $0.contains("reference") }, "\(kernels)")
  }

  @Test("No convolution over three axes runs as the reference does", arguments: GraphDraft.Scheme.allCases)
  func volumes(_ scheme: GraphDraft.Scheme) throws {
    for kernel in [[3, 3, 3], [1, 3, 3], [3, 1, 1], [1, 1, 1]] {
      var draft = GraphDraft(seed: 7, scheme)
      let x = draft.graph.addInput("x", TensorType(.float32, known: [2, 6, 4, 5, 6]))
      let pads = kernel.map { $0 / 2 }
      let op = Conv(strides: [1, 1, 1], pads: pads + pads, dilations: [1, 1, 1], group: 2)
      draft.graph.addOutput(try draft.conv(draft.stubs(x), outputs: 8, kernel: kernel, op))
      try PlanTests.compare(
        draft.graph,
        seed: 8,
        tolerance: scheme == .staticInteger ? 0 : 1e-5,
        "\(scheme) \(kernel)"
      )
      let kernels = try PlanTests.kernels(draft.graph)
      #expect(!kernels.contains { $0.hasPrefix("reference") && $0.contains("conv") }, "\(kernels)")
      #expect(kernels.contains("stack slices") == (kernel == [3, 3, 3]), "\(kernels)")
    }
  }

  @Test(
    "Transposed convolutions of random shapes agree, by phases",
    arguments: [GraphDraft.Scheme.float, .half, .staticInteger]
  )
  func transposedConvolutions(_ scheme: GraphDraft.Scheme) throws {
    var plain = 0
    for seed in UInt64(1)...40 {
      var draft = GraphDraft(seed: seed, scheme)
      let axes = draft.random.int(1...3)
      let channels = [1, 2, 6, 16][draft.random.int(0...3)]
      let spatial = (0..<axes).map { _ in draft.random.int(1...5) }
      let x = draft.graph.addInput(
        "x",
        TensorType(.float32, known: [draft.random.int(1...2), channels] + spatial)
      )
      let strides = (0..<axes).map { _ in draft.random.int(1...3) }
      let kernel = (0..<axes).map { axis in
        axes == 3 && axis == 0 ? draft.random.int(1...strides[0]) : draft.random.int(1...5)
      }
      let begins = (0..<axes).map { draft.random.int(0...min(kernel[$0] - 1, 2)) }
      let op = ConvTranspose(
        strides: strides,
        pads: begins.enumerated().map { axes == 3 && $0 == 0 ? 0 : $1 } + kernel.map { _ in 0 },
        dilations: kernel.map { _ in 1 },
        group: scheme == .staticInteger || channels == 1 ? 1 : draft.random.int(1...2),
        outputPadding: strides.map { axes == 3 ? 0 : draft.random.int(0...$0 - 1) },
        activation: draft.random.bool() ? .relu : .none
      )
      let y = try draft.convTranspose(
        draft.stubs(x),
        outputs: op.group * draft.random.int(1...9),
        kernel: kernel,
        op
      )
      draft.graph.addOutput(y)
      let tolerance: Float = scheme == .staticInteger ? 0 : 1e-5
      try PlanTests.compare(draft.graph, seed: seed, tolerance: tolerance, "\(scheme) seed \(seed)")
      let names = try PlanTests.kernels(draft.graph)
      if !names.contains(where: { $0.contains("transposed conv") }) { plain += 1 }
    }
    #expect(plain == 0, "\(plain) run as the reference does")
  }

  @Test("Convolutions by tiles agree with direct sums", arguments: [GraphDraft.Scheme.float, .half])
  func tiles(_ scheme: GraphDraft.Scheme) throws {
    let activations: [Activation] = [.none, .relu, .clip(min: 0, max: 6), .hardSwish, .leakyRelu(alpha: 0.1)]
    for (seed, activation) in activations.enumerated() {
      var draft = GraphDraft(seed: UInt64(seed), scheme)
      let extents = [draft.random.int(9...20), draft.random.int(9...20)]
      let x = draft.graph.addInput("x", TensorType(.float32, known: [1 + seed % 2, 19] + extents))
      let op = Conv(strides: [1, 1], pads: [1, 1, 0, 1], dilations: [1, 1], activation: activation)
      let y = try draft.conv(x, outputs: 40, kernel: [3, 3], op)
      let z = try draft.conv(y, outputs: 33, kernel: [3, 3], op)
      draft.graph.addOutput(z)
      for (input, output) in [(x, y), (y, z)] {
        let geometry = ConvGeometry(op, kernel: [3, 3])
        let shape = LinearShape(geometry, x: draft.shape(input), y: draft.shape(output))
        #expect(try #require(shape).fastestTile > 0)
      }
      try PlanTests.compare(draft.graph, seed: UInt64(seed), tolerance: 5e-6, "\(scheme) \(activation)")
    }
  }

  @Test("Steps without a kernel run as the reference runs them, in the graph's layout")
  func fallback() throws {
    var draft = GraphDraft(seed: 5)
    let x = draft.graph.addInput("x", TensorType(.float32, known: [1, 6, 8, 8]))
    let plain = Conv(strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1])
    let a = try draft.conv(x, outputs: 6, kernel: [3, 3], plain)
    let b = try draft.node(.transpose(Transpose(perm: [0, 1, 3, 2])), [a])
    let c = try draft.node(.binary(Binary(.add)), [a, b])
    let d = try draft.node(.pad(Pad(pads: [0, 0, 1, 1, 0, 0, 1, 1], mode: .reflect)), [c])
    let e = try draft.conv(d, outputs: 4, kernel: [3, 3], plain)
    let f = try draft.node(.reduce(Reduce(.mean, axes: [1], keepDims: true)), [e])
    let g = try draft.node(.binary(Binary(.mul)), [e, f])
    let h = try draft.node(.softmax(Softmax(axis: 1)), [g])
    draft.graph.addOutput(h)
    draft.graph.addOutput(a)
    try PlanTests.compare(draft.graph, seed: 6, tolerance: 1e-5, "fallback")
  }

  @Test("A network of blocks agrees", arguments: GraphDraft.Scheme.allCases)
  func network(_ scheme: GraphDraft.Scheme) throws {
    var draft = GraphDraft(seed: 7, scheme)
    let x = draft.graph.addInput("x", TensorType(.float32, known: [2, 3, 19, 17]))
    func conv(_ stride: Int, group: Int = 1, pad: Int = 1, _ activation: Activation = .none) -> Conv {
      Conv(
        strides: [stride, stride],
        pads: [pad, pad, pad, pad],
        dilations: [1, 1],
        group: group,
        activation: activation
      )
    }
    let stem = try draft.conv(draft.stubs(x), outputs: 16, kernel: [3, 3], conv(2, .clip(min: 0, max: 6)))
    let pooled = try draft.node(
      .maxPool(MaxPool(kernel: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1])),
      [stem]
    )
    let wide = try draft.conv(draft.stubs(pooled), outputs: 40, kernel: [1, 1], conv(1, pad: 0, .relu))
    let deep = try draft.conv(wide, outputs: 40, kernel: [3, 3], conv(1, group: 40, .relu))
    let narrow = try draft.conv(deep, outputs: 16, kernel: [1, 1], conv(1, pad: 0))
    let sum = try draft.stubs(draft.node(.binary(Binary(.add)), [narrow, stem]))
    let branch = try draft.conv(sum, outputs: 7, kernel: [3, 3], conv(1, .relu))
    let joined = try draft.stubs(draft.node(.concat(Concat(axis: 1)), [sum, branch]))
    let mean = try draft.stubs(draft.node(.globalPool(GlobalPool(.average)), [joined]))
    let gate = try draft.conv(
      mean,
      outputs: 23,
      kernel: [1, 1],
      conv(1, pad: 0, .hardSigmoid(alpha: 0.2, beta: 0.5))
    )
    let scaled = try draft.stubs(draft.node(.binary(Binary(.mul)), [joined, gate]))
    let window = AveragePool(kernel: [2, 2], strides: [2, 2], pads: [0, 0, 1, 1], dilations: [1, 1])
    let small = try draft.stubs(draft.node(.averagePool(window), [scaled]))
    let flat = try draft.node(.flatten(Flatten(axis: 1)), [small])
    let logits = try draft.gemm(draft.stubs(flat), outputs: 10)
    draft.graph.addOutput(try draft.node(.softmax(Softmax(axis: -1)), [logits]))
    draft.graph.addOutput(logits)
    try PlanTests.compare(
      draft.graph,
      seed: 8,
      tolerance: scheme == .staticInteger ? 1e-6 : 2e-3,
      "\(scheme)"
    )
  }

  @Test("Pools of random windows agree", arguments: [GraphDraft.Scheme.float, .staticInteger])
  func pools(_ scheme: GraphDraft.Scheme) throws {
    for seed in UInt64(1)...25 {
      var draft = GraphDraft(seed: seed, scheme)
      let axes = draft.random.int(1...2)
      let shape =
        [draft.random.int(1...2), draft.random.int(1...40)] + (0..<axes).map { _ in draft.random.int(7...12) }
      let x = try draft.stubs(draft.graph.addInput("x", TensorType(.float32, known: shape)))
      let kernel = (0..<axes).map { _ in draft.random.int(1...4) }
      let pads = (0..<2 * axes).map { draft.random.int(0...(kernel[$0 % axes] - 1) / 2) }
      let strides = (0..<axes).map { _ in draft.random.int(1...3) }
      let dilations = (0..<axes).map { _ in draft.random.int(1...2) }
      let ceil = draft.random.bool()
      let ops: [Op] = [
        .maxPool(
          MaxPool(kernel: kernel, strides: strides, pads: pads, dilations: dilations, ceilMode: ceil)
        ),
        .averagePool(
          AveragePool(
            kernel: kernel,
            strides: strides,
            pads: pads,
            dilations: dilations,
            ceilMode: ceil,
            countIncludePad: draft.random.bool()
          )
        ),
        .globalPool(GlobalPool(.average)), .globalPool(GlobalPool(.max)),
        .reduce(Reduce(.mean, axes: Array(2..<axes + 2), keepDims: draft.random.bool())),
      ]
      let y = try draft.stubs(draft.node(ops[draft.random.int(0...ops.count - 1)], [x]))
      draft.graph.addOutput(y)
      let tolerance: Float = scheme == .staticInteger ? 0 : 1e-5
      try PlanTests.compare(draft.graph, seed: seed, tolerance: tolerance, "\(scheme) seed \(seed)")
    }
  }

  @Test("Every operator case gives what the reference gives")
  func operatorCases() throws {
    let path = "\(packageFolder())/Tests/RuntimeTests/Fixtures/operator-cases.qir"
    let text = String(decoding: try readFile(path), as: UTF8.self)
    for item in text.split(separator: "\n----\n") {
      let constant = try GraphParser.parse(String(item))
      let node = constant[constant.order[0]]
      // The first operand becomes an input, so that the operator runs and is not folded.
      guard let first = node.inputs.first ?? nil, let value = constant[first].constant else { continue }
      var graph = Graph(name: constant.name)
      let x = graph.addInput("x", value.type)
      let others = node.inputs.dropFirst().map { id in
        id.flatMap { operand in
          constant[operand].constant.map { graph.addConstant(constant[operand].name, $0) }
        }
      }
      let names = node.outputs.indices.map { "y\($0)" }
      guard let id = try? graph.addNode(node.op, inputs: [x] + others, outputNames: names) else { continue }
      for output in graph[id].outputs { graph.addOutput(output) }
      let program = try Program(graph, inputTypes: [:])
      let expected = try? ReferenceExecutor(program).run([value], observing: []) { (_, _) throws(Refusal) in }
      guard let expected else { continue }
      for set in PlanTests.sets {
        let resources = try PlanResources(threads: 2, instructionSet: set)
        let plan = try PlanExecutor.make(program, resources, memoryLimit: .max)
        let got = try plan.run([value], observing: []) { (_, _) throws(Refusal) in }
        for (tensor, reference) in zip(got, expected) {
          #expect(PlanTests.matches(tensor, reference, 1e-5), "\(constant.name) \(set)")
        }
      }
    }
  }

  @Test("Plans of one session share their packed weights")
  func sharedWeights() throws {
    var draft = GraphDraft(seed: 11, .float)
    let x = draft.graph.addInput("x", TensorType(.float32, [.symbol("N"), 8, 5, 5]))
    let op = Conv(strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1])
    let w = draft.constant("w", try draft.random.floats([4, 8, 3, 3]))
    draft.graph.addOutput(try draft.node(.conv(op), [x, w]))
    let resources = try PlanResources(threads: 1)
    var sizes: Set<Int> = []
    for batch in [1, 3] {
      let input = try draft.random.floats([batch, 8, 5, 5])
      let program = try Program(draft.graph, inputTypes: ["x": input.type])
      let plan = try PlanExecutor.make(program, resources, memoryLimit: .max)
      let got = try plan.run([input], observing: []) { (_, _) throws(Refusal) in }
      let expected = try ReferenceExecutor(program).run([input], observing: []) { (_, _) throws(Refusal) in }
      #expect(PlanTests.matches(got[0], expected[0], 1e-5))
      sizes.insert(resources.weightBytes)
    }
    #expect(sizes.count == 1)
  }

  @Test("Blocks that live at the same time do not overlap")
  func memoryPlanner() {
    var random = SplitMix64(seed: 9)
    for _ in 0..<50 {
      let blocks = (0..<random.int(1...40)).map { _ in
        let start = random.int(0...30)
        return MemoryPlanner.Block(bytes: random.int(0...5000), lifetime: start...start + random.int(0...10))
      }
      let (offsets, size) = MemoryPlanner.place(blocks)
      for i in blocks.indices {
        #expect(offsets[i] % 64 == 0 && offsets[i] + blocks[i].bytes <= size)
        for j in 0..<i where blocks[i].lifetime.overlaps(blocks[j].lifetime) {
          let disjoint =
            offsets[i] + blocks[i].bytes <= offsets[j] || offsets[j] + blocks[j].bytes <= offsets[i]
          #expect(disjoint)
        }
      }
    }
  }

  @Test("Activations beyond the memory limit are refused")
  func memoryLimit() throws {
    var draft = GraphDraft(seed: 10)
    let x = draft.graph.addInput("x", TensorType(.float32, known: [1, 3, 64, 64]))
    draft.graph.addOutput(try draft.node(.unary(Unary(.relu)), [x]))
    let program = try Program(draft.graph, inputTypes: [:])
    let refusal = #expect(throws: Refusal.self) {
      try PlanExecutor.make(program, PlanResources(threads: 1), memoryLimit: 1000)
    }
    #expect(refusal?.rule == "L12")
  }
}

extension Tensor {
  /// The bytes.
  fileprivate var rawBytes: [UInt8] {
    unsafe bytes.withUnsafeBytes { unsafe Array($0) }
  }
}
