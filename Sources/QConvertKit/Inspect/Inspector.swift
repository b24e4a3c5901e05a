internal import BinaryIO
internal import GraphIR
internal import ONNXReader
internal import QModelFormat
internal import Safetensors

extension QConvert {
  /// Looks into a model file without running it; every check of its reader is made.
  ///
  /// - Parameters:
  ///   - path: An `.onnx`, `.safetensors` or `.qmodel` file.
  ///   - architecture: The architecture of a bare checkpoint; nil: recognised.
  ///   - inputSize: The size of images for a bare checkpoint, `N` or `HxW`; nil: the usual one.
  /// - Returns: What it holds and what it costs.
  /// - Throws: A refusal when it is not acceptable.
  public static func inspect(
    _ path: String,
    architecture: String? = nil,
    inputSize: String? = nil
  ) throws -> InspectReport {
    try Inspector.inspect(path, architecture: architecture, inputSize: inputSize)
  }
}

/// Fills an ``InspectReport`` for each format.
enum Inspector {
  static func inspect(_ path: String, architecture: String?, inputSize: String?) throws(Refusal)
    -> InspectReport
  {
    try inFile(path) { () throws(Refusal) in
      let format = try ModelFormat.detect(path)
      if format != .safetensors { try Loader.refuse(architecture, inputSize) }
      return switch format {
      case .qmodel: try qmodel(path)
      case .onnx: try onnx(path)
      case .safetensors: try safetensors(path, architecture, inputSize)
      }
    }
  }

  private static func qmodel(_ path: String) throws(Refusal) -> InspectReport {
    let file = try QModelFile.open(path)
    let graph = try QModelReader.graph(of: file)
    var stored: [ValueID: Storage] = [:]
    let sections = file.sections.filter { $0.kind == .tensor }
    var next = sections.startIndex
    for id in graph.valueIDs {
      guard let tensor = graph[id].constant else { continue }
      if tensor.bytes.count <= QModelFile.inlineBytes {
        stored[id] = Storage(bytes: tensor.bytes.count, codec: "inline")
      } else {
        stored[id] = Storage(bytes: sections[next].storedLength, codec: sections[next].codec.name)
        next += 1
      }
    }
    var report = report(path, "qmodel \(file.header.major).\(file.header.minor)", graph) { stored[$0] }
    report.fileBytes = file.bytes.count
    report.accounting = accounting(of: file)
    report.checksums = [
      "identifier": file.identifierText,
      "index_crc32": hexText(file.header.indexChecksum),
      "file_crc32": hexText(CRC32(file.bytes).value),
    ]
    report.notes.append("every checksum of the file was verified")
    return report
  }

  private static func accounting(of file: QModelFile) -> [InspectReport.Part] {
    func total(_ kind: SectionKind?) -> Int {
      file.sections.filter { $0.kind == kind }.map(\.storedLength).reduce(0, +)
    }
    return [
      InspectReport.Part(name: "header", bytes: Header.size),
      InspectReport.Part(name: "index", bytes: file.sections.count * Section.entrySize),
      InspectReport.Part(name: "graph", bytes: total(.graph)),
      InspectReport.Part(name: "metadata", bytes: total(.metadata)),
      InspectReport.Part(name: "tensors", bytes: total(.tensor)),
      InspectReport.Part(name: "unknown optional sections", bytes: total(nil)),
      InspectReport.Part(name: "padding", bytes: file.paddingBytes),
    ].filter { $0.bytes > 0 || $0.name != "unknown optional sections" }
  }

  private static func onnx(_ path: String) throws(Refusal) -> InspectReport {
    let graph = try ONNXReader.read(path)
    let file = try MappedFile.open(path)
    var report = report(path, graph.metadata[MetadataKey.source] ?? "onnx", graph) { _ in nil }
    let mapped = MappedConstants(graph, modelBytes: file.count)
    report.fileBytes = file.count + mapped.externalFileBytes
    report.accounting = [
      InspectReport.Part(name: "graph and small tensors", bytes: file.count - mapped.inModel),
      InspectReport.Part(name: "tensors", bytes: mapped.inModel),
      InspectReport.Part(name: "external tensors", bytes: mapped.inExternal),
      InspectReport.Part(name: "external, unused", bytes: mapped.externalFileBytes - mapped.inExternal),
    ]
    report.checksums = ["file_crc32": hexText(CRC32(file).value)]
    return report
  }

  private static func safetensors(
    _ path: String,
    _ architecture: String?,
    _ inputSize: String?
  ) throws(Refusal) -> InspectReport {
    let file = try SafetensorsFile.open(path)
    var report: InspectReport
    do {
      let graph = try Loader.load(path, architecture: architecture, inputSize: inputSize)
      let format = SafetensorsGraph.isPresent(in: file) ? "safetensors with a network" : "safetensors"
      report = Inspector.report(path, format, graph) { _ in nil }
    } catch {
      guard architecture == nil, inputSize == nil, !SafetensorsGraph.isPresent(in: file) else { throw error }
      report = bareReport(path, file)
      report.notes.append("the tensors are of no known network: \(error.problem)")
    }
    report.fileBytes = file.fileBytes
    let data = file.fileBytes - file.headerBytes
    report.accounting = [
      InspectReport.Part(name: "header", bytes: file.headerBytes),
      InspectReport.Part(name: "tensors", bytes: data),
    ]
    report.checksums = ["file_crc32": hexText(CRC32(try MappedFile.open(path)).value)]
    report.notes += file.warnings
    return report
  }

  /// A report of tensors that no network uses.
  private static func bareReport(_ path: String, _ file: SafetensorsFile) -> InspectReport {
    var graph = Graph(name: "")
    for (name, tensor) in file.entries { graph.addConstant(name, tensor) }
    var report = report(path, "safetensors", graph) { _ in nil }
    let reals = file.entries.map(\.tensor).filter(\.dtype.isFloatingPoint)
    report.parameters = reals.map(\.count).reduce(0, +)
    report.fp32Bytes = 4 * report.parameters
    report.payloadBytes = reals.map(\.bytes.count).reduce(0, +)
    for index in report.tensors.indices { report.tensors[index].role = "tensor" }
    return report
  }
}

/// Where a constant is in the file.
struct Storage {
  let bytes: Int
  let codec: String
}

/// Which bytes of the model file and its external files hold constants.
private struct MappedConstants {
  private(set) var inModel = 0
  private(set) var inExternal = 0
  private(set) var externalFileBytes = 0

  init(_ graph: Graph, modelBytes: Int) {
    var ranges: [ObjectIdentifier: [Range<Int>]] = [:]
    var storages: [ByteStorage] = []
    for id in graph.valueIDs {
      guard let bytes = graph[id].constant?.bytes, case .mapped = bytes.storage.kind else { continue }
      let key = ObjectIdentifier(bytes.storage)
      if ranges[key] == nil { storages.append(bytes.storage) }
      ranges[key, default: []].append(bytes.range)
    }
    for storage in storages {
      let used = MappedConstants.covered(ranges[ObjectIdentifier(storage)] ?? [])
      if storage.count == modelBytes, inModel == 0 {
        inModel = used
      } else {
        inExternal += used
        externalFileBytes += storage.count
      }
    }
  }

  /// Bytes in the union of ranges.
  private static func covered(_ ranges: [Range<Int>]) -> Int {
    var end = 0
    var total = 0
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) where range.upperBound > end {
      total += range.upperBound - max(range.lowerBound, end)
      end = range.upperBound
    }
    return total
  }
}
