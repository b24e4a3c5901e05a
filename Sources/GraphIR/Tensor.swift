public import BinaryIO

/// A constant: element type, shape and little-endian bytes in C order.
public struct Tensor: Sendable {
  public let dtype: DType
  public let shape: [Int]
  public let bytes: ByteSlice

  /// A tensor over existing bytes; nil unless the byte count is exactly that of the elements.
  public init?(_ dtype: DType, _ shape: [Int], bytes: ByteSlice) {
    guard let count = Checked.product(shape), let size = Checked.product(count, dtype.size),
      size == bytes.count
    else { return nil }
    self.dtype = dtype
    self.shape = shape
    self.bytes = bytes
  }

  private init(trusted dtype: DType, _ shape: [Int], _ bytes: ByteSlice) {
    self.dtype = dtype
    self.shape = shape
    self.bytes = bytes
  }

  public var count: Int { bytes.count / dtype.size }
  public var type: TensorType { TensorType(dtype, known: shape) }

  /// A tensor whose elements are written by `fill`.
  ///
  /// - Parameters:
  ///   - dtype: The element type; `Element` must have its size.
  ///   - shape: Extents, each at least 0; a product that overflows is refused.
  ///   - allocator: Where the bytes live.
  ///   - fill: Writes the elements; the buffer arrives zeroed.
  /// - Throws: A refusal when memory runs out, or what `fill` throws.
  package static func build<Element: BitwiseCopyable>(
    _ dtype: DType,
    _ shape: [Int],
    as element: Element.Type,
    in allocator: StorageAllocator = .heap,
    _ fill: (UnsafeMutableBufferPointer<Element>) throws(Refusal) -> Void
  ) throws(Refusal) -> Tensor {
    precondition(MemoryLayout<Element>.size == dtype.size)
    guard let count = Checked.product(shape), let size = Checked.product(count, dtype.size) else {
      throw Refusal(
        .limit,
        at: "tensor of shape \(shape)",
        rule: "L3",
        "has more elements than can be addressed",
        remedy: "check the model's dimensions"
      )
    }
    let bytes = try unsafe ByteSlice.build(count: size, in: allocator) { (raw) throws(Refusal) in
      try unsafe fill(raw.bindMemory(to: Element.self))
    }
    return Tensor(trusted: dtype, shape, bytes)
  }

  /// A tensor of the given elements; the count must be that of the shape.
  package static func make<Element: BitwiseCopyable>(
    _ dtype: DType,
    _ shape: [Int],
    _ elements: [Element],
    in allocator: StorageAllocator = .heap
  ) throws(Refusal) -> Tensor {
    precondition(Checked.product(shape) == elements.count, "\(elements.count) elements for shape \(shape)")
    return try unsafe build(dtype, shape, as: Element.self, in: allocator) { (buffer) throws(Refusal) in
      _ = unsafe buffer.update(fromContentsOf: elements)
    }
  }

  package static func floats(_ elements: [Float], _ shape: [Int]? = nil) throws(Refusal) -> Tensor {
    try make(.float32, shape ?? [elements.count], elements)
  }

  package static func int64s(_ elements: [Int], _ shape: [Int]? = nil) throws(Refusal) -> Tensor {
    try make(.int64, shape ?? [elements.count], elements.map(Int64.init))
  }

  /// The elements as a typed buffer for the time of `body`.
  ///
  /// Bytes that are not aligned to the element (a safetensors file may place them so) are copied first.
  package func withElements<Element: BitwiseCopyable, R, E: Error>(
    as element: Element.Type,
    _ body: (UnsafeBufferPointer<Element>) throws(E) -> R
  ) throws(E) -> R {
    precondition(MemoryLayout<Element>.size == dtype.size, "\(Element.self) is not the element of \(dtype)")
    return try unsafe bytes.withUnsafeBytes { (raw) throws(E) -> R in
      guard bytes.isAligned(to: MemoryLayout<Element>.alignment) else {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: raw.count, alignment: 64)
        defer { unsafe copy.deallocate() }
        unsafe copy.copyMemory(from: raw)
        return try unsafe body(UnsafeBufferPointer(copy.bindMemory(to: Element.self)))
      }
      return try unsafe body(raw.bindMemory(to: Element.self))
    }
  }

  /// A copy of the elements.
  package func elements<Element: BitwiseCopyable>(as element: Element.Type) -> [Element] {
    unsafe withElements(as: Element.self) { unsafe Array($0) }
  }

  /// The elements as floats, widened or rounded from whatever real type they have; nil for `bool`.
  package func floatValues() -> [Float]? {
    switch dtype {
    case .float32: elements(as: Float.self)
    case .float64: elements(as: Double.self).map { Float($0) }
    case .float16: elements(as: Float16.self).map { Float($0) }
    case .bfloat16: elements(as: UInt16.self).map { Float(bitPattern: UInt32($0) << 16) }
    case .int8, .uint8, .int16, .uint16, .int32, .uint32, .int64, .uint64: intValues()?.map { Float($0) }
    case .bool: nil
    }
  }

  /// The elements as integers; nil for floating-point types and for values that do not fit.
  package func intValues() -> [Int]? {
    switch dtype {
    case .int8: elements(as: Int8.self).map(Int.init)
    case .uint8, .bool: elements(as: UInt8.self).map(Int.init)
    case .int16: elements(as: Int16.self).map(Int.init)
    case .uint16: elements(as: UInt16.self).map(Int.init)
    case .int32: elements(as: Int32.self).map(Int.init)
    case .uint32: elements(as: UInt32.self).map(Int.init)
    case .int64: elements(as: Int64.self).map(Int.init)
    case .uint64:
      elements(as: UInt64.self).reduce(into: [Int]?.some([])) { result, value in
        guard let exact = Int(exactly: value) else {
          result = nil
          return
        }
        result?.append(exact)
      }
    case .float32, .float64, .float16, .bfloat16: nil
    }
  }

  /// The same bytes under another shape with the same number of elements; nil otherwise.
  package func reshaped(_ shape: [Int]) -> Tensor? { Tensor(dtype, shape, bytes: bytes) }

  /// Lets the kernel drop the pages of a mapped tensor; see ``ByteStorage/releasePages(_:)``.
  package func releasePages() { bytes.storage.releasePages(bytes.range) }
}
