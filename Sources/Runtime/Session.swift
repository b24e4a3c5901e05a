public import BinaryIO
public import GraphIR
internal import Synchronization

/// A network ready to run.
///
/// Symbolic dimensions are bound by the inputs of each run; the network is specialised once per combination of
/// input shapes. Concurrent calls of `run` wait for each other.
public final class Session: Sendable {
  /// The network as given.
  public let graph: Graph
  public let options: SessionOptions
  private let specialisations: Mutex<SpecialisationCache>

  /// - Parameters:
  ///   - graph: A network that passed the validator.
  ///   - options: How it runs.
  /// - Throws: A refusal when the network cannot run with any inputs.
  public init(_ graph: Graph, options: SessionOptions = SessionOptions()) throws(Refusal) {
    self.graph = graph
    self.options = options
    specialisations = Mutex(SpecialisationCache())
  }

  /// Runs the network.
  ///
  /// - Parameter inputs: One tensor per input of the graph, by name.
  /// - Returns: One tensor per output of the graph, by name.
  /// - Throws: A refusal when an input is missing, unknown or of another type (R1-R4), or the network breaks a rule
  ///   with these inputs.
  public func run(_ inputs: [String: Tensor]) throws(Refusal) -> [String: Tensor] {
    try run(inputs, observing: []) { (_, _) throws(Refusal) in }
  }

  /// Runs the network and shows values on the way, for calibration and comparison.
  ///
  /// - Parameters:
  ///   - inputs: One tensor per input of the graph, by name.
  ///   - observed: Values of ``graph``. A float value that exists only as integers is shown dequantized.
  ///   - observe: Called once per observed value, in order of execution.
  /// - Returns: One tensor per output of the graph, by name.
  /// - Throws: As ``run(_:)``, what `observe` throws, or a refusal when a value is inside an integer step (R5).
  public func run(
    _ inputs: [String: Tensor],
    observing observed: [ValueID],
    _ observe: (ValueID, Tensor) throws(Refusal) -> Void
  ) throws(Refusal) -> [String: Tensor] {
    let operands = try InputBinding.operands(of: graph, from: inputs)
    let outputs = try specialisations.withLock { (cache) throws(Refusal) -> [Tensor] in
      let specialisation = try cache.specialisation(
        for: operands,
        of: graph,
        options,
        isObservable: !observed.isEmpty
      )
      return try specialisation.run(operands, observing: observed, observe)
    }
    var result: [String: Tensor] = [:]
    for (id, tensor) in zip(graph.outputs, outputs) { result[graph[id].name] = tensor }
    return result
  }

  /// Times each step of the network.
  ///
  /// - Parameters:
  ///   - inputs: As for ``run(_:)``.
  ///   - runs: How often, at least once.
  /// - Throws: As ``run(_:)``, or a refusal when the network does not run by a plan (R6).
  package func profile(_ inputs: [String: Tensor], runs: Int) throws(Refusal) -> Profile {
    let operands = try InputBinding.operands(of: graph, from: inputs)
    return try specialisations.withLock { (cache) throws(Refusal) -> Profile in
      try cache.specialisation(for: operands, of: graph, options).profile(operands, runs: runs)
    }
  }

  /// What the network holds once it has run with such inputs.
  ///
  /// - Throws: As ``run(_:)``.
  package func memory(_ inputs: [String: Tensor]) throws(Refusal) -> MemoryUse {
    let operands = try InputBinding.operands(of: graph, from: inputs)
    return try specialisations.withLock { (cache) throws(Refusal) -> MemoryUse in
      try cache.specialisation(for: operands, of: graph, options).memory
    }
  }

  /// The steps that the network consists of with these input types, for reports.
  ///
  /// - Parameter inputTypes: Types that replace the graph's own, by input name.
  /// - Throws: A refusal when the types do not fit the network.
  package func program(inputTypes: [String: TensorType] = [:]) throws(Refusal) -> Program {
    try Program(graph, inputTypes: inputTypes)
  }
}
