public import BinaryIO
public import GraphIR

extension Tensor {
  /// A float tensor.
  ///
  /// - Parameters:
  ///   - values: The elements in C order.
  ///   - shape: Extents whose product is the number of values.
  /// - Throws: A refusal (R4) when the counts differ, or memory runs out.
  public init(_ values: [Float], shape: [Int]) throws(Refusal) {
    try Tensor.checkCount(values.count, shape)
    self = try Tensor.floats(values, shape)
  }

  /// An i64 tensor, such as token ids.
  ///
  /// - Parameters:
  ///   - values: The elements in C order.
  ///   - shape: Extents whose product is the number of values.
  /// - Throws: A refusal (R4) when the counts differ, or memory runs out.
  public init(_ values: [Int], shape: [Int]) throws(Refusal) {
    try Tensor.checkCount(values.count, shape)
    self = try Tensor.int64s(values, shape)
  }

  /// The elements as floats, converted from whatever number type they have; nil for `bool`.
  public var floats: [Float]? { floatValues() }

  private static func checkCount(_ count: Int, _ shape: [Int]) throws(Refusal) {
    guard Checked.product(shape) == count else {
      throw Refusal(
        .usage,
        at: "tensor",
        rule: "R4",
        "\(count) elements do not fill the shape \(shape)",
        remedy: "give as many elements as the product of the extents"
      )
    }
  }
}
