package import BinaryIO
package import GraphIR
package import Quantization

/// Computes the results of an operator on constants.
package typealias ConstantEvaluator = @Sendable (Op, [Tensor?]) throws(Refusal) -> [Tensor]

/// What passes share: options, a place for new tensors, calibration, and remarks.
package struct PassContext {
  package var options: PassOptions
  /// Where new tensors live.
  package let allocator: StorageAllocator
  /// Evaluates operators on constants; nil: only what needs no arithmetic is folded.
  package let evaluate: ConstantEvaluator?
  /// What calibration found; set between the float and the quantizing pipeline.
  package var ranges: ActivationRanges?
  /// Nodes that compute in float, and how their weights are stored.
  ///
  /// Nodes that share a weight are kept together.
  package var kept: [NodeID: FloatFormat] = [:]
  /// What BatchNorm told of the outputs of linear nodes before their activations.
  package var normalized: [NodeID: ChannelStatistics] = [:]
  /// What recovery passes know of the layers they may edit.
  package var evidence: [NodeID: LayerEvidence] = [:]
  /// What `round-blocks` knows of the layers it may edit.
  package var blockEvidence: [NodeID: BlockEvidence] = [:]
  /// Rows that linear layers read on calibration data, by the value they read.
  package var activations: [ValueID: ActivationSample] = [:]
  /// Chooses ranges where a pass tries quantization out.
  package var observer: any Observer = MinMaxObserver()
  /// Threads that passes may use; their results do not depend on it.
  package var threads = 1
  /// All remarks so far, each once, in order.
  package private(set) var remarks: [Remark] = []
  /// Names of the values that were `clip(0, 6)` before `swap-relu6` took the 6 away.
  package var swappedRelu6: Set<String> = []

  /// The pass that is running, for remarks.
  var pass = ""
  private var seen: Set<Remark> = []

  package init(
    options: PassOptions = PassOptions(),
    allocator: StorageAllocator = .heap,
    ranges: ActivationRanges? = nil,
    evaluate: ConstantEvaluator? = nil
  ) {
    self.options = options
    self.allocator = allocator
    self.ranges = ranges
    self.evaluate = evaluate
  }

  /// Whether int8 conversion stores the weight of a node in 8 bits.
  func storesBytes(_ node: NodeID) -> Bool {
    switch kept[node] {
    case nil, .int8: true
    case .float32, .float16: false
    }
  }

  mutating func remark(_ kind: Remark.Kind, at place: String, _ text: String) {
    let remark = Remark(kind: kind, pass: pass, place: place, text: text)
    if seen.insert(remark).inserted { remarks.append(remark) }
  }

  /// Notes why a rewrite does not apply to a node.
  mutating func missed(_ graph: Graph, _ node: NodeID, _ reason: String) {
    remark(.missed, at: graph.label(of: node), reason)
  }
}
