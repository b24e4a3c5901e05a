import BinaryIO
import GraphIR
import TestSupport
import Testing

@testable import QModelFormat

/// A graph with every kind of content: inline and stored constants, symbols, absent operands, all attribute kinds.
func sampleGraph(seed: UInt64 = 7) throws -> Graph {
  var random = SplitMix64(seed: seed)
  var graph = Graph(name: "sample")
  graph.metadata = [
    "source": "onnx opset 17", "passes": "fold-batch-norm,swap-relu6", "scheme": "int8 \u{e9}",
  ]
  let x = graph.addInput("x", TensorType(.float32, [.symbol("batch"), 3, 8, 8]))
  let weight = graph.addConstant("w", try random.ints(.int8, [4, 3, 3, 3], in: -127...127))
  let scale = graph.addConstant("w_scale", try random.floats([4], in: 0.01...0.1))
  let dequantized = try graph.addNode(
    .dequantizeLinear(DequantizeLinear(axis: 0)),
    inputs: [weight, scale],
    outputNames: ["w_float"]
  )
  let conv = try graph.addNode(
    .conv(
      Conv(
        strides: [1, 1],
        pads: [1, 1, 1, 1],
        dilations: [1, 1],
        activation: .clip(min: 0, max: 6)
      )
    ),
    name: "stem",
    inputs: [x, graph[dequantized].outputs[0], nil],
    outputNames: ["features"]
  )
  let high = graph.addConstant("high", try Tensor.floats([4], []))
  let clip = try graph.addNode(
    .binary(Binary(.min)),
    inputs: [graph[conv].outputs[0], high],
    outputNames: ["y"]
  )
  let half = try Tensor.make(.float16, [40], (0..<40).map { Float16($0) / 16 })
  let bias = graph.addConstant("half", half)
  let cast = try graph.addNode(.cast(Cast(to: .float32)), inputs: [bias], outputNames: ["half_float"])
  graph.addOutput(graph[clip].outputs[0])
  graph.addOutput(graph[cast].outputs[0])
  return graph
}

/// A valid graph of random operators, constants and names.
func randomGraph(seed: UInt64) throws -> Graph {
  var random = SplitMix64(seed: seed)
  var graph = Graph(name: random.bool() ? "" : "net \(seed) ü")
  for index in 0..<random.int(0...4) {
    graph.metadata["key\(index)"] = String(repeating: "v", count: random.int(0...99))
  }
  let dims = (0..<random.int(1...4)).map { _ in random.int(1...5) }
  let first: Dim = random.bool() ? .symbol("n") : .known(dims[0])
  let input = TensorType(.float32, [first] + dims.dropFirst().map(Dim.known))
  var reals = [graph.addInput("in", input), graph.addInput("in2", input)]
  for index in 0..<random.int(0...12) {
    let operand = reals[random.int(0...(reals.count - 1))]
    let name = "\(random.int(0...9))/v\(index)"
    let node: NodeID
    switch random.int(0...5) {
    case 0:
      let constant = graph.addConstant("c", try random.floats(dims.map { _ in 1 }))
      node = try graph.addNode(.binary(Binary(.mul)), inputs: [operand, constant], outputNames: [name])
    case 1:
      let kind = Unary.Kind.allCases[random.int(0...16)]
      node = try graph.addNode(.unary(Unary(kind)), name: "n\(index)", inputs: [operand], outputNames: [name])
    case 2:
      let other = reals[random.int(0...(reals.count - 1))]
      node = try graph.addNode(.binary(Binary(.add)), inputs: [operand, other], outputNames: [name])
    case 3:
      let slope = random.float()
      node = try graph.addNode(.leakyRelu(LeakyRelu(alpha: slope)), inputs: [operand], outputNames: [name])
    case 4:
      let dtype = DType.allCases[random.int(0...(DType.allCases.count - 1))]
      let shape = (0..<random.int(0...3)).map { _ in random.int(0...9) }
      let constant = graph.addConstant("t\(index)", try random.bits(dtype, shape))
      let identity = Transpose(perm: Array(0..<shape.count))
      node = try graph.addNode(.transpose(identity), inputs: [constant], outputNames: [name])
      graph.addOutput(graph[node].outputs[0])
      continue
    default:
      node = try graph.addNode(
        .dynamicQuantize(DynamicQuantize()),
        inputs: [operand],
        outputNames: ["q", "s", "z"]
      )
      graph.addOutput(graph[node].outputs[0])
      continue
    }
    reals.append(graph[node].outputs[0])
  }
  let last = reals[reals.count - 1]
  if graph[last].producer != nil {
    graph.addOutput(last)
  } else {
    let node = try graph.addNode(.unary(Unary(.relu)), inputs: [last], outputNames: ["out"])
    graph.addOutput(graph[node].outputs[0])
  }
  return graph
}

/// The bytes of a written file.
func written(_ graph: Graph, compress: Bool = false) throws -> [UInt8] {
  try withTemporaryFolder { folder in
    let path = "\(folder)/model.qmodel"
    try QModelWriter.write(graph, to: path, options: QModelWriterOptions(compress: compress))
    #expect(entries(folder) == ["model.qmodel"])
    return try readFile(path)
  }
}

/// The bytes as a reader takes them.
func slice(_ bytes: [UInt8]) throws(Refusal) -> ByteSlice {
  try unsafe ByteSlice.build(count: bytes.count) { (target) throws(Refusal) in
    unsafe target.copyBytes(from: bytes)
  }
}

/// The graph in a file's bytes.
func reading(_ bytes: [UInt8]) throws(Refusal) -> Graph {
  try QModelReader.graph(of: try QModelFile.parse(try slice(bytes)))
}

/// Why bytes are refused; nil when they are read.
func refusal(of bytes: [UInt8]) -> Refusal? {
  do {
    _ = try reading(bytes)
    return nil
  } catch { return error }
}

/// Writes a number into bytes, little-endian.
func put<T: FixedWidthInteger>(_ value: T, at offset: Int, in bytes: inout [UInt8]) {
  for index in 0..<MemoryLayout<T>.size {
    bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index))
  }
}

/// A file as its parts, to be put together wrongly.
struct Parts {
  var sections: [(section: Section, stored: [UInt8])] = []
  var major: UInt16 = 1
  var minor: UInt16 = 0
  var features: UInt32 = 0

  init() {}

  init(_ bytes: [UInt8]) throws {
    for section in try QModelFile.parse(try slice(bytes)).sections {
      sections.append((section, Array(bytes[section.offset..<section.end])))
    }
  }

  /// Replaces a section's content, raw.
  mutating func replace(_ id: Int, with raw: [UInt8]) {
    sections[id].stored = raw
    sections[id].section.codec = .raw
    sections[id].section.rawLength = raw.count
    sections[id].section.rawChecksum = CRC32(raw).value
  }

  /// The file, with offsets, lengths and checksums that are right for what the parts say.
  func assemble() -> [UInt8] {
    var end = Header.size + sections.count * Section.entrySize
    var entries = sections.map(\.section)
    var body: [UInt8] = []
    for index in entries.indices {
      let padding = -end & 63
      body += [UInt8](repeating: 0, count: padding) + sections[index].stored
      entries[index].offset = end + padding
      entries[index].storedLength = sections[index].stored.count
      end = entries[index].end
    }
    let identifier = Section.identifier(of: entries)
    for index in entries.indices {
      let seed = entries[index].seed(identifier)
      entries[index].storedChecksum = seed.followed(by: CRC32(sections[index].stored)).value
    }
    let index = entries.flatMap(\.bytes)
    var header = Header(
      fileLength: end,
      sectionCount: entries.count,
      indexChecksum: CRC32(index).value,
      identifier: identifier
    )
    (header.major, header.minor, header.features) = (major, minor, features)
    return header.bytes + index + body
  }
}
