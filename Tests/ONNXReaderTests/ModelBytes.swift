import BinaryIO
import GraphIR
import Testing

@testable import ONNXReader

/// An ONNX file in the making; defaults make a valid model around its nodes.
struct ModelBytes {
  var irVersion = 8
  var operatorSet = 17
  var nodes: [ProtoBytes] = []
  var initializers: [ProtoBytes] = []
  var inputs: [ProtoBytes] = []
  var outputs: [ProtoBytes] = []
  var valueInfo: [ProtoBytes] = []
  /// Fields of the model after the others.
  var modelFields = ProtoBytes()
  /// Fields of the graph after the others.
  var graphFields = ProtoBytes()

  /// `y = Relu(x)` for `x: f32[batch, 3]`.
  static let relu = ModelBytes(
    nodes: [node("Relu", ["x"], ["y"])],
    inputs: [value("x", 1, ["batch", "3"])],
    outputs: [value("y", 1, ["batch", "3"])]
  )

  var graph: ProtoBytes {
    ProtoBytes().messages(1, nodes).text(2, "net").messages(5, initializers).messages(11, inputs)
      .messages(12, outputs).messages(13, valueInfo).raw(graphFields.bytes)
  }

  var message: ProtoBytes {
    ProtoBytes().int(1, irVersion).message(7, graph).message(8, ProtoBytes().text(1, "").int(2, operatorSet))
      .raw(modelFields.bytes)
  }

  var bytes: [UInt8] { message.bytes }

  /// Reads it, as a file that lies at `path`.
  func read(at path: String = "/nowhere/model.onnx", limits: Limits = .standard) throws -> Graph {
    try readModel(bytes, at: path, limits: limits)
  }

  /// The lines of its `.qir` text that say what the nodes, inputs, outputs and constants became.
  func lines() throws -> [String] {
    GraphPrinter.text(try read(), constants: .small(16)).split(separator: "\n").dropFirst().dropLast()
      .map { String($0.drop { $0 == " " }) }.filter { !$0.hasPrefix("meta ") }
  }
}

func readModel(
  _ bytes: [UInt8],
  at path: String = "/nowhere/model.onnx",
  limits: Limits = .standard
) throws -> Graph {
  try ONNXReader.graph(of: slice(bytes), path: path, limits: limits)
}

func slice(_ bytes: [UInt8]) throws -> ByteSlice {
  try unsafe ByteSlice.build(count: bytes.count) { unsafe $0.copyBytes(from: bytes) }
}

/// Expects a refusal under `rule` whose line has all of `parts`.
func expectRefusal<R>(
  _ rule: String,
  _ parts: String...,
  sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () throws -> R
) {
  do {
    _ = try body()
    Issue.record("was accepted, \(rule) expected", sourceLocation: sourceLocation)
  } catch let refusal as Refusal {
    #expect(refusal.rule == rule, "\(refusal)", sourceLocation: sourceLocation)
    #expect(!refusal.remedy.isEmpty, "\(refusal)", sourceLocation: sourceLocation)
    for part in parts {
      #expect(refusal.description.contains(part), "\(refusal)", sourceLocation: sourceLocation)
    }
  } catch {
    Issue.record("\(error)", sourceLocation: sourceLocation)
  }
}

// MARK: Messages

func node(
  _ opType: String,
  _ inputs: [String],
  _ outputs: [String],
  _ attributes: [ProtoBytes] = [],
  domain: String? = nil
) -> ProtoBytes {
  let message = ProtoBytes().texts(1, inputs).texts(2, outputs).text(4, opType).messages(5, attributes)
  return domain.map { message.text(7, $0) } ?? message
}

/// A value's name and type; a dimension is a number, a symbol, or `?` for none.
func value(_ name: String, _ type: Int, _ dims: [String]) -> ProtoBytes {
  let shape = dims.reduce(ProtoBytes()) { shape, dim in
    let dimension =
      dim == "?" ? ProtoBytes() : Int(dim).map { ProtoBytes().int(1, $0) } ?? ProtoBytes().text(2, dim)
    return shape.message(1, dimension)
  }
  return ProtoBytes().text(1, name).message(
    2,
    ProtoBytes().message(1, ProtoBytes().int(1, type).message(2, shape))
  )
}

/// A tensor whose elements follow as further fields.
func tensor(_ name: String, _ type: Int, _ dims: [Int]) -> ProtoBytes {
  ProtoBytes().packed(1, dims).int(2, type).text(8, name)
}

func floats(_ name: String, _ dims: [Int], _ values: [Float]) -> ProtoBytes {
  tensor(name, 1, dims).blob(9, values.flatMap { ProtoBytes.little($0.bitPattern) })
}

/// All elements the same.
func floats(_ name: String, _ dims: [Int], repeating value: Float = 1) -> ProtoBytes {
  floats(name, dims, Array(repeating: value, count: dims.reduce(1, *)))
}

func int64s(_ name: String, _ values: [Int]) -> ProtoBytes {
  tensor(name, 7, [values.count]).blob(9, values.flatMap { ProtoBytes.little(Int64($0)) })
}

func attribute(_ name: String, _ value: Int) -> ProtoBytes {
  ProtoBytes().text(1, name).int(3, value).int(20, 2)
}

func attribute(_ name: String, _ value: Float) -> ProtoBytes {
  ProtoBytes().text(1, name).float(2, value).int(20, 1)
}

func attribute(_ name: String, _ value: String) -> ProtoBytes {
  ProtoBytes().text(1, name).text(4, value).int(20, 3)
}

func attribute(_ name: String, tensor: ProtoBytes) -> ProtoBytes {
  ProtoBytes().text(1, name).message(5, tensor).int(20, 4)
}

func attribute(_ name: String, _ values: [Float]) -> ProtoBytes {
  ProtoBytes().text(1, name).packed(7, values).int(20, 6)
}

func attribute(_ name: String, _ values: [Int]) -> ProtoBytes {
  ProtoBytes().text(1, name).packed(8, values).int(20, 7)
}
