internal import BinaryIO
internal import GraphIR

/// Samples that are slices of arrays along their first axis.
struct ArraySource: SampleSource {
  /// The array of labels, unless the model has an input of that name.
  static let labelsName = "labels"

  let file: String
  let count: Int
  private let inputs: [(input: ModelInput, array: Tensor)]
  private let labels: [Int]?

  /// Matches arrays with the model's inputs.
  ///
  /// - Parameters:
  ///   - file: For messages.
  ///   - arrays: By name; further arrays are ignored.
  ///   - names: Of all arrays of the file, for messages.
  init(
    file: String,
    arrays: [(name: String, tensor: Tensor)],
    names: [String],
    for inputs: [ModelInput]
  ) throws(Refusal) {
    self.file = file
    var matched: [(input: ModelInput, array: Tensor)] = []
    for input in inputs {
      let lone = inputs.count == 1 ? arrays.first { $0.name == "arr_0" } : nil
      guard let array = arrays.first(where: { $0.name == input.name }) ?? lone else {
        let present = names.isEmpty ? "none" : names.prefix(16).map(Refusal.quoted).joined(separator: ", ")
        throw ArraySource.refusal(
          file,
          "has no array for the input \(input.description); arrays: \(present)",
          remedy: "name the arrays like the model's inputs"
        )
      }
      try ArraySource.check(array.tensor, array.name, input, file)
      matched.append((input, array.tensor))
    }
    guard let count = matched.first?.array.shape.first else {
      throw ArraySource.refusal(file, "gives nothing to a model without inputs", remedy: "use another model")
    }
    for (input, array) in matched where array.shape.first != count {
      throw ArraySource.refusal(
        file,
        "has \(array.shape.first ?? 0) samples of \(Refusal.quoted(input.name)) and \(count) of another input",
        remedy: "give as many samples of every input"
      )
    }
    self.count = count
    self.inputs = matched
    let hasLabelsInput = inputs.contains { $0.name == ArraySource.labelsName }
    let labels = hasLabelsInput ? nil : arrays.first { $0.name == ArraySource.labelsName }?.tensor
    self.labels = try labels.map { (tensor) throws(Refusal) in try ArraySource.labels(tensor, count, file) }
  }

  var hasLabels: Bool { labels != nil }
  var summary: String { "\(count) samples with\(hasLabels ? "" : "out") labels" }

  func name(_ index: Int) -> String { "sample \(index)" }

  func sample(_ index: Int) throws(Refusal) -> Sample {
    var tensors: [String: Tensor] = [:]
    for (input, array) in inputs {
      do {
        tensors[input.name] = try row(index, of: array).converted(to: input.type.dtype)
      } catch { throw error.at("sample \(index) of \(Refusal.quoted(input.name))").inFile(file) }
    }
    return Sample(inputs: tensors, label: labels?[index])
  }

  func fingerprint(_ index: Int, into hash: inout Fingerprint) throws(Refusal) {
    hash.add(labels?[index] ?? -1)
    for (input, array) in inputs {
      hash.add(input.name)
      hash.add(array.type.description)
      hash.add(try row(index, of: array).bytes)
    }
  }

  private func row(_ index: Int, of array: Tensor) throws(Refusal) -> Tensor {
    let size = array.bytes.count / count
    guard let bytes = array.bytes.slice((index * size)..<(index * size + size)),
      let row = Tensor(array.dtype, [1] + array.shape.dropFirst(), bytes: bytes)
    else { throw ArraySource.refusal(file, "has no sample \(index)", remedy: "") }
    return row
  }

  private static func check(
    _ array: Tensor,
    _ name: String,
    _ input: ModelInput,
    _ file: String
  ) throws(Refusal) {
    let fits =
      array.shape.count == input.type.rank && array.shape.count > 0
      && zip(array.shape.dropFirst(), input.sampleDims).allSatisfy { $1.value == nil || $1.value == $0 }
    guard fits else {
      throw refusal(
        file,
        "has \(Refusal.quoted(name)) of shape \(array.shape), which does not fit the input \(input.description)",
        remedy: "give samples of the input's shape with a leading sample axis"
      )
    }
    guard array.shape[0] > 0 else { throw refusal(file, "has no samples", remedy: "give at least one") }
    guard array.dtype.canConvert(to: input.type.dtype) else {
      throw refusal(
        file,
        "has \(Refusal.quoted(name)) of type \(array.dtype.name), the model takes \(input.type.dtype.name)",
        remedy: "convert it as the model's preprocessing asks, such as with .astype"
      )
    }
  }

  private static func labels(_ tensor: Tensor, _ count: Int, _ file: String) throws(Refusal) -> [Int] {
    guard tensor.shape == [count], tensor.dtype.isInteger, let values = tensor.intValues(),
      values.allSatisfy({ $0 >= 0 })
    else {
      throw refusal(
        file,
        "has labels of type \(tensor.type), expected \(count) class indices from 0",
        remedy: "save one whole number for every sample"
      )
    }
    return values
  }

  private static func refusal(_ file: String, _ problem: String, remedy: String) -> Refusal {
    Refusal(.invalid, file: file, at: "arrays", rule: "D9", problem, remedy: remedy)
  }
}

extension DType {
  /// Whether arrays of this type may stand for `other`: the same, another float width, or another integer width.
  fileprivate func canConvert(to other: DType) -> Bool {
    self == other || (isFloatingPoint && other.isFloatingPoint) || (isInteger && other.isInteger)
  }
}

extension Tensor {
  /// The same values in another float or integer type; floats are rounded to nearest, integers must fit.
  func converted(to other: DType) throws(Refusal) -> Tensor {
    switch other {
    case dtype: return self
    case .float32: return try .make(other, shape, floatValues() ?? [])
    case .float64: return try .make(other, shape, (floatValues() ?? []).map { Double($0) })
    case .float16: return try .make(other, shape, (floatValues() ?? []).map { Float16($0) })
    case .int8: return try integers(Int8.self, other)
    case .uint8: return try integers(UInt8.self, other)
    case .int16: return try integers(Int16.self, other)
    case .uint16: return try integers(UInt16.self, other)
    case .int32: return try integers(Int32.self, other)
    case .uint32: return try integers(UInt32.self, other)
    case .int64: return try integers(Int64.self, other)
    case .uint64: return try integers(UInt64.self, other)
    case .bool, .bfloat16:
      throw Refusal(
        .unsupported,
        at: "",
        rule: "D9",
        "is \(dtype.name), the model takes \(other.name)",
        remedy: "give a .safetensors file with arrays of that type"
      )
    }
  }

  private func integers<Element: FixedWidthInteger & BitwiseCopyable>(
    _ element: Element.Type,
    _ other: DType
  ) throws(Refusal) -> Tensor {
    let values = (intValues() ?? []).compactMap { Element(exactly: $0) }
    guard values.count == count else {
      throw Refusal(
        .invalid,
        at: "",
        rule: "D9",
        "has a value that does not fit \(other.name)",
        remedy: "check the values"
      )
    }
    return try .make(other, shape, values)
  }
}
