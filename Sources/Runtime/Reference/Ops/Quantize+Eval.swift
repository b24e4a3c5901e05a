package import BinaryIO
package import GraphIR

extension QuantizeLinear {
  /// Section 3 of `schemas/arithmetic.md`.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let stub = Stub(
      dtype: try e.input(2).dtype,
      scales: try e.real(1).elements(as: Float.self),
      zeroPoints: try e.input(2).integers().map { Int32($0) },
      axis: axis.map { $0 < 0 ? $0 + e.types[0].rank : $0 }
    )
    return try Reference.quantize(e.real(0), stub)
  }
}

extension DequantizeLinear {
  /// Section 3 of `schemas/arithmetic.md`.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    guard try e.input(1).shape.count <= 1 else { return try rows(e) }
    let scales = try e.real(1).elements(as: Float.self)
    let zeroPoints = try e.optional(2).map { (tensor) throws(Refusal) in try tensor.integers() }
    let stub = Stub(
      dtype: try e.input(0).dtype,
      scales: scales,
      zeroPoints: zeroPoints?.map { Int32($0) } ?? scales.map { _ in 0 },
      axis: axis.map { $0 < 0 ? $0 + e.types[0].rank : $0 }
    )
    return try Reference.dequantize(e.input(0), stub).narrowed(to: e.dtype)
  }

  /// Every run along the last axis with parameters of its own.
  private func rows(_ e: Evaluation) throws(Refusal) -> Tensor {
    let q = try e.input(0).integers()
    let scales = try e.real(1).elements(as: Float.self)
    let zeroPoints = try e.optional(2).map { (tensor) throws(Refusal) in try tensor.integers() }
    let columns = max(try e.input(0).shape.last ?? 1, 1)
    let values = q.indices.map { index in
      Float(q[index] - (zeroPoints?[index / columns] ?? 0)) * scales[index / columns]
    }
    return try Tensor.floats(values, e.input(0).shape).narrowed(to: e.dtype)
  }
}

extension DequantizeBias {
  /// Section 3 of `schemas/arithmetic.md`.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let q = try e.input(0).elements(as: Int32.self)
    let input = try e.real(1).elements(as: Float.self)
    let weight = try e.real(2).elements(as: Float.self)
    return try Tensor.floats(
      q.indices.map { index in
        let scale = IntegerArithmetic.accumulatorScale(input[0], weight[weight.count == 1 ? 0 : index])
        return Float(q[index]) * scale
      }
    )
  }
}

extension DynamicQuantize {
  /// Section 3 of `schemas/arithmetic.md`.
  func evaluate(_ e: Evaluation) throws(Refusal) -> [Tensor] {
    let x = try e.real(0)
    guard !perRow else { return try rows(x, e) }
    let affine = unsafe x.withElements(as: Float.self) { unsafe IntegerArithmetic.dynamicParameters($0) }
    let stub = Stub(dtype: .uint8, scales: [affine.scale], zeroPoints: [Int32(affine.zeroPoint)], axis: nil)
    return [
      try Reference.quantize(x, stub),
      try Tensor.floats([affine.scale], []),
      try Tensor.make(.uint8, [], [affine.zeroPoint]),
    ]
  }

  /// Every run along the last axis by its own range.
  private func rows(_ x: Tensor, _ e: Evaluation) throws(Refusal) -> [Tensor] {
    let columns = x.shape.last ?? 1
    let elements = x.elements(as: Float.self)
    var bytes: [UInt8] = []
    var parameters: [Affine] = []
    for start in stride(from: 0, to: elements.count, by: max(columns, 1)) {
      let row = elements[start..<start + columns]
      let affine = unsafe row.withUnsafeBufferPointer { unsafe IntegerArithmetic.dynamicParameters($0) }
      bytes += row.map { IntegerArithmetic.quantize($0, affine) }
      parameters.append(affine)
    }
    let shape = try e.shape(1)
    return [
      try Tensor.make(.uint8, x.shape, bytes),
      try Tensor.floats(parameters.map(\.scale), shape),
      try Tensor.make(.uint8, shape, parameters.map(\.zeroPoint)),
    ]
  }
}

extension Reference {
  /// An f32 tensor quantized to 8 or 16 bits.
  package static func quantize(_ x: Tensor, _ stub: Stub) throws(Refusal) -> Tensor {
    switch stub.dtype {
    case .uint8: try quantize(x, stub, as: UInt8.self)
    case .int8: try quantize(x, stub, as: Int8.self)
    case .uint16: try quantize(x, stub, as: UInt16.self)
    case .int16: try quantize(x, stub, as: Int16.self)
    case .int32, .uint32, .int64, .uint64, .bool, .float16, .float32, .float64, .bfloat16:
      throw Evaluation.refusal("K2", "\(stub.dtype.name) is no type to quantize to")
    }
  }

  private static func quantize<Element: FixedWidthInteger & BitwiseCopyable>(
    _ x: Tensor,
    _ stub: Stub,
    as element: Element.Type
  ) throws(Refusal) -> Tensor {
    let limits = Int32(Element.min)...Int32(Element.max)
    let channels = stub.channels(of: x.shape)
    return try unsafe Tensor.build(stub.dtype, x.shape, as: Element.self) { (q) throws(Refusal) in
      unsafe x.withElements(as: Float.self) { x in
        for index in 0..<x.count {
          let channel = channels(index)
          let value = IntegerArithmetic.quantize(
            unsafe x[index],
            scale: stub.scales[channel],
            zeroPoint: stub.zeroPoints[channel],
            limits: limits
          )
          unsafe q[index] = Element(truncatingIfNeeded: value)
        }
      }
    }
  }

  /// A quantized tensor as f32.
  package static func dequantize(_ q: Tensor, _ stub: Stub) throws(Refusal) -> Tensor {
    switch q.dtype {
    case .uint8: try dequantize(q, stub, as: UInt8.self)
    case .int8: try dequantize(q, stub, as: Int8.self)
    case .uint16: try dequantize(q, stub, as: UInt16.self)
    case .int16: try dequantize(q, stub, as: Int16.self)
    case .int32: try dequantize(q, stub, as: Int32.self)
    case .uint32, .int64, .uint64, .bool, .float16, .float32, .float64, .bfloat16:
      throw Evaluation.refusal("K2", "\(q.type) is not quantized")
    }
  }

  private static func dequantize<Element: FixedWidthInteger & BitwiseCopyable>(
    _ q: Tensor,
    _ stub: Stub,
    as element: Element.Type
  ) throws(Refusal) -> Tensor {
    let channels = stub.channels(of: q.shape)
    return try unsafe Tensor.build(.float32, q.shape, as: Float.self) { (x) throws(Refusal) in
      unsafe q.withElements(as: Element.self) { q in
        for index in 0..<q.count {
          let channel = channels(index)
          let difference = Int64(unsafe q[index]) - Int64(stub.zeroPoints[channel])
          unsafe x[index] = Float(difference) * stub.scales[channel]
        }
      }
    }
  }
}

extension Stub {
  /// Tells the index into ``scales`` of every element of a tensor.
  struct Channels {
    fileprivate let inner: Int
    fileprivate let count: Int

    func callAsFunction(_ index: Int) -> Int { count == 1 ? 0 : index / inner % count }
  }

  func channels(of shape: [Int]) -> Channels {
    guard let axis else { return Channels(inner: 1, count: 1) }
    return Channels(inner: max(shape[(axis + 1)...].reduce(1, *), 1), count: max(shape[axis], 1))
  }
}
