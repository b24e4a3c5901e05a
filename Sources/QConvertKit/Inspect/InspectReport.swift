/// What a model file holds and what it costs; encoded by `--json`.
///
/// Sizes are in bytes.
public struct InspectReport: Codable, Hashable, Sendable {
  /// A part of the file.
  public struct Part: Codable, Hashable, Sendable {
    public var name: String
    public var bytes: Int
  }

  /// All tensors of one element type.
  public struct TypeRow: Codable, Hashable, Sendable {
    public var dtype: String
    public var tensors: Int
    public var elements: Int
    /// In memory.
    public var bytes: Int
    /// In the file.
    public var storedBytes: Int

    enum CodingKeys: String, CodingKey {
      case dtype, tensors, elements, bytes
      case storedBytes = "stored_bytes"
    }
  }

  /// All nodes of one operator.
  public struct OperatorRow: Codable, Hashable, Sendable {
    public var count = 0
    /// Nodes that compute in integers.
    public var int8 = 0
    /// Nodes whose weights are stored as f16.
    public var fp16 = 0
    /// Nodes that compute in floats.
    public var float = 0
    /// Nodes that move or convert data, or that depend on constants only.
    public var other = 0
    /// Bytes of the weights, scales and biases of these nodes.
    public var weightBytes = 0
    /// Why nodes are not int8: how many for each reason.
    public var reasons: [String: Int] = [:]

    enum CodingKeys: String, CodingKey {
      case count, int8, fp16, float, other, reasons
      case weightBytes = "weight_bytes"
    }
  }

  /// A constant.
  public struct TensorRow: Codable, Hashable, Sendable {
    public var name: String
    public var dtype: String
    public var shape: [Int]
    /// `weight`, `bias`, `weight scale`, `activation scale`, `constant` or, without a network, `tensor`.
    public var role: String
    /// In memory.
    public var bytes: Int
    /// In the file.
    public var storedBytes: Int
    /// How it is stored: `raw`, `inline`, `zlib`, `zlib-planes`.
    public var codec: String

    enum CodingKeys: String, CodingKey {
      case name, dtype, shape, role, bytes, codec
      case storedBytes = "stored_bytes"
    }
  }

  public var file: String
  /// Such as `qmodel 1.0`, `onnx opset 17` or `safetensors`.
  public var format: String
  /// Size of the file, and of external data files it refers to.
  public var fileBytes: Int
  /// What the constants take in the file.
  public var storedBytes: Int
  /// Weights, biases and the scales of weights, uncompressed.
  public var payloadBytes: Int
  /// Scales and zero points of activations.
  public var activationQparamsBytes: Int
  /// What the constants take in memory after loading.
  public var residentBytes: Int
  /// What the weights and biases would take as 32-bit floats.
  public var fp32Bytes: Int
  /// Elements of weights and biases.
  public var parameters: Int
  /// The most that activations take at once at batch 1; nil when shapes are not known.
  public var peakActivationBytes: Int?
  /// The parts of the file; they sum to ``fileBytes``.
  public var accounting: [Part]
  public var dtypes: [TypeRow]
  /// By operator.
  public var ops: [String: OperatorRow]
  /// Largest first.
  public var tensors: [TensorRow]
  /// Types of inputs and outputs, by name, as in the text form.
  public var inputs: [String]
  public var outputs: [String]
  /// Linear operators that run in integers.
  public var quantizedOps: Int
  /// Linear operators that run in floats.
  public var floatOps: Int
  public var passes: [String]
  public var scheme: String?
  /// The family of networks that int8 was set up for, and why.
  public var preset: String?
  /// What was done before calibration so that quantization costs less.
  public var recovery: String?
  /// Operators that were kept in float, and how their weights are stored.
  public var keptFloat: String?
  /// What a conversion under a budget of accuracy found.
  public var budget: String?
  public var source: String?
  public var calibration: String?
  public var architecture: String?
  public var preprocessing: String?
  /// By name: the content identifier, CRC-32 of the file or its parts.
  public var checksums: [String: String]
  /// What the reader should know.
  public var notes: [String]

  enum CodingKeys: String, CodingKey {
    case file, format, parameters, accounting, dtypes, ops, tensors, inputs, outputs, passes, scheme, source
    case calibration, preset, recovery, budget, architecture, preprocessing, checksums, notes
    case keptFloat = "kept_float"
    case fileBytes = "file_bytes"
    case storedBytes = "stored_bytes"
    case payloadBytes = "payload_bytes"
    case activationQparamsBytes = "activation_qparams_bytes"
    case residentBytes = "resident_bytes"
    case fp32Bytes = "fp32_bytes"
    case peakActivationBytes = "peak_activation_bytes"
    case quantizedOps = "quantized_ops"
    case floatOps = "float_ops"
  }
}
