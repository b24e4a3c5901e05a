import BinaryIO
import COnnxProto
import CProtobufC

/// Unpacks a skeleton with libprotobuf-c and copies the messages into Swift values.
///
/// The only place that touches the C structures; they are freed before ``unpack(_:file:budget:)`` returns.
struct ProtoUnpacker {
  private let file: ByteSlice
  private let lifted: [Skeleton.Lifted]

  /// - Parameters:
  ///   - skeleton: What the scanner left.
  ///   - file: The mapped file that lifted payloads are ranges of.
  ///   - budget: Bytes that libprotobuf-c may take (L11).
  /// - Throws: A refusal when the budget is exceeded or the message does not unpack.
  static func unpack(_ skeleton: Skeleton, file: ByteSlice, budget: Int) throws(Refusal) -> Proto.Model {
    let unpacker = ProtoUnpacker(file: file, lifted: skeleton.lifted)
    let allocator = BudgetAllocator(budget: budget)
    let result = unsafe allocator.withC { (c) -> Result<Proto.Model, Refusal>? in
      unsafe skeleton.bytes.withUnsafeBufferPointer { (bytes) -> Result<Proto.Model, Refusal>? in
        guard let message = unsafe onnx__model_proto__unpack(c, bytes.count, bytes.baseAddress) else {
          return nil
        }
        defer { unsafe onnx__model_proto__free_unpacked(message, c) }
        do throws(Refusal) { return .success(try unsafe unpacker.model(message.pointee)) } catch {
          return .failure(error)
        }
      }
    }
    guard let result else { throw refusal(isExhausted: allocator.isExhausted, budget: budget) }
    return try result.get()
  }

  private static func refusal(isExhausted: Bool, budget: Int) -> Refusal {
    guard isExhausted else {
      return Refusal(
        .invalid,
        at: "file",
        rule: "O8",
        "is no ONNX model that libprotobuf-c understands",
        remedy: "export or download the model again"
      )
    }
    return Refusal(
      .limit,
      at: "file",
      rule: "L11",
      "needs more than \(budget) bytes of memory to unpack, which its size does not justify",
      remedy: "save the model again with raw_data or external data"
    )
  }

  // MARK: Messages

  private func model(_ c: Onnx__ModelProto) throws(Refusal) -> Proto.Model {
    var graph: Proto.Graph?
    if let pointer = unsafe c.graph { graph = try unsafe self.graph(pointer.pointee) }
    return unsafe Proto.Model(
      irVersion: c.has_ir_version != 0 ? Int(c.ir_version) : nil,
      producerName: text(c.producer_name),
      producerVersion: text(c.producer_version),
      operatorSets: list(c.opset_import, c.n_opset_import) {
        unsafe Proto.OperatorSet(
          domain: text($0.domain),
          version: $0.has_version != 0 ? Int($0.version) : nil
        )
      },
      metadata: entries(c.metadata_props, c.n_metadata_props),
      functions: list(c.functions, c.n_functions) {
        unsafe Proto.Function(domain: text($0.domain), name: text($0.name))
      },
      graph: graph
    )
  }

  private func graph(_ c: Onnx__GraphProto) throws(Refusal) -> Proto.Graph {
    try unsafe Proto.Graph(
      name: text(c.name),
      nodes: list(c.node, c.n_node, node),
      initializers: list(c.initializer, c.n_initializer, tensor),
      inputs: list(c.input, c.n_input, valueInfo),
      outputs: list(c.output, c.n_output, valueInfo),
      valueInfo: list(c.value_info, c.n_value_info, valueInfo),
      sparseInitializerCount: c.n_sparse_initializer
    )
  }

  private func node(_ c: Onnx__NodeProto) throws(Refusal) -> Proto.Node {
    try unsafe Proto.Node(
      name: text(c.name),
      domain: text(c.domain),
      opType: text(c.op_type),
      inputs: texts(c.input, c.n_input),
      outputs: texts(c.output, c.n_output),
      attributes: list(c.attribute, c.n_attribute, attribute)
    )
  }

  private func attribute(_ c: Onnx__AttributeProto) throws(Refusal) -> Proto.Attribute {
    var tensor: Proto.Tensor?
    if let pointer = unsafe c.t { tensor = try unsafe self.tensor(pointer.pointee) }
    var others: [String] = []
    if unsafe c.g != nil || c.n_graphs > 0 { others.append("graph") }
    if unsafe c.n_tensors > 0 { others.append("tensors") }
    if unsafe c.tp != nil || c.n_type_protos > 0 { others.append("type") }
    if unsafe c.sparse_tensor != nil || c.n_sparse_tensors > 0 { others.append("sparse tensor") }
    return unsafe Proto.Attribute(
      name: text(c.name),
      type: c.has_type != 0 ? Int(c.type) : nil,
      reference: text(c.ref_attr_name),
      float: c.has_f != 0 ? c.f : nil,
      int: c.has_i != 0 ? Int(c.i) : nil,
      string: c.has_s != 0 ? octets(c.s) : nil,
      tensor: tensor,
      floats: Array(UnsafeBufferPointer(start: c.floats, count: c.n_floats)),
      ints: UnsafeBufferPointer(start: c.ints, count: c.n_ints).map { Int($0) },
      strings: UnsafeBufferPointer(start: c.strings, count: c.n_strings).map { unsafe octets($0) },
      otherFields: others
    )
  }

  private func valueInfo(_ c: Onnx__ValueInfoProto) -> Proto.ValueInfo {
    var type: Proto.TensorType?
    if let tensor = unsafe c.type?.pointee.tensor_type {
      var shape: [Proto.Dimension]?
      if let dims = unsafe tensor.pointee.shape {
        shape = unsafe list(dims.pointee.dim, dims.pointee.n_dim) {
          unsafe Proto.Dimension(
            value: $0.has_dim_value != 0 ? Int($0.dim_value) : nil,
            parameter: $0.has_dim_param != 0 ? text($0.dim_param) : nil
          )
        }
      }
      let elementType = unsafe tensor.pointee.has_elem_type != 0 ? Int(tensor.pointee.elem_type) : nil
      type = Proto.TensorType(elementType: elementType, shape: shape)
    }
    return unsafe Proto.ValueInfo(name: text(c.name), type: type)
  }

  // MARK: Tensors

  private func tensor(_ c: Onnx__TensorProto) throws(Refusal) -> Proto.Tensor {
    try unsafe Proto.Tensor(
      name: text(c.name),
      dims: UnsafeBufferPointer(start: c.dims, count: c.n_dims).map { Int($0) },
      dataType: c.has_data_type != 0 ? Int(c.data_type) : nil,
      sources: sources(c),
      isExternal: c.has_data_location != 0 && c.data_location == 1,
      external: entries(c.external_data, c.n_external_data),
      isSegmented: c.segment != nil
    )
  }

  private func sources(_ c: Onnx__TensorProto) throws(Refusal) -> [Proto.Source] {
    var result: [Proto.Source] = []
    if unsafe c.has_lifted != 0, let source = unsafe liftedSource(Int(c.lifted)) { result.append(source) }
    if unsafe c.has_raw_data != 0 {
      result.append(.raw(try unsafe copy(c.raw_data.data, c.raw_data.len)))
    }
    if unsafe c.n_float_data > 0 { result.append(.floats(try unsafe copy(c.float_data, c.n_float_data))) }
    if unsafe c.n_int32_data > 0 { result.append(.int32s(try unsafe copy(c.int32_data, c.n_int32_data))) }
    if unsafe c.n_int64_data > 0 { result.append(.int64s(try unsafe copy(c.int64_data, c.n_int64_data))) }
    if unsafe c.n_double_data > 0 { result.append(.doubles(try unsafe copy(c.double_data, c.n_double_data))) }
    if unsafe c.n_uint64_data > 0 { result.append(.uint64s(try unsafe copy(c.uint64_data, c.n_uint64_data))) }
    if unsafe c.n_string_data > 0 { result.append(.strings) }
    return result
  }

  private func liftedSource(_ index: Int) -> Proto.Source? {
    guard lifted.indices.contains(index), let slice = file.slice(lifted[index].range) else { return nil }
    return switch lifted[index].payload {
    case .raw: .raw(slice)
    case .floats: .floats(slice)
    case .doubles: .doubles(slice)
    }
  }

  private func copy<Element>(_ start: UnsafeMutablePointer<Element>?, _ count: Int) throws(Refusal)
    -> ByteSlice
  {
    let source = unsafe UnsafeRawBufferPointer(UnsafeBufferPointer(start: start, count: count))
    return try unsafe ByteSlice.build(count: source.count) { (target) throws(Refusal) in
      unsafe target.copyMemory(from: source)
    }
  }

  // MARK: Parts

  private func entries(
    _ start: UnsafeMutablePointer<UnsafeMutablePointer<Onnx__StringStringEntryProto>?>?,
    _ count: Int
  ) -> [Proto.Entry] {
    unsafe list(start, count) { unsafe Proto.Entry(key: text($0.key), value: text($0.value)) }
  }

  private func list<C, Value, E: Error>(
    _ start: UnsafeMutablePointer<UnsafeMutablePointer<C>?>?,
    _ count: Int,
    _ convert: (C) throws(E) -> Value
  ) throws(E) -> [Value] {
    var result: [Value] = []
    result.reserveCapacity(count)
    for index in 0..<count {
      if let pointer = unsafe start?[index] { result.append(try unsafe convert(pointer.pointee)) }
    }
    return result
  }

  private func texts(_ start: UnsafeMutablePointer<ProtobufCBinaryData>?, _ count: Int) -> [String] {
    unsafe UnsafeBufferPointer(start: start, count: count).map { unsafe text($0) }
  }

  /// Text that the scanner has found to be UTF-8.
  private func text(_ data: ProtobufCBinaryData) -> String {
    unsafe String(validating: UnsafeBufferPointer(start: data.data, count: data.len), as: UTF8.self) ?? ""
  }

  private func octets(_ data: ProtobufCBinaryData) -> [UInt8] {
    unsafe Array(UnsafeBufferPointer(start: data.data, count: data.len))
  }
}
