package import BinaryIO
package import GraphIR

/// A network made ready for one set of input shapes: its typed graph and the steps that compute it.
package struct Program: Sendable {
  /// The graph with the types of this specialisation.
  package var graph: Graph
  package var steps: [Step]
  /// For values that exist only as integers: how to show them as floats.
  package var standIns: [ValueID: StandIn]

  /// A float value without storage, told by the quantized value that carries it.
  package struct StandIn: Sendable {
    package var quantized: ValueID
    package var stub: Stub
  }

  package init(graph: Graph, steps: [Step], standIns: [ValueID: StandIn]) {
    self.graph = graph
    self.steps = steps
    self.standIns = standIns
  }
}

/// Receives the value of a tensor while a network runs.
package typealias Observer = (ValueID, Tensor) throws(Refusal) -> Void

/// Runs a ``Program``; one call at a time.
package protocol Executor: AnyObject {
  /// - Parameters:
  ///   - inputs: One per input of the graph, in its order, with the types of the program.
  ///   - observed: Values to hand to `observe`, constants excluded.
  ///   - observe: Called once per observed value, in order of execution.
  /// - Returns: One tensor per output of the graph, in its order.
  /// - Throws: A refusal when an operand breaks a rule at run time or memory runs out, or what `observe` throws.
  func run(
    _ inputs: [Tensor],
    observing observed: Set<ValueID>,
    _ observe: Observer
  ) throws(Refusal) -> [Tensor]
}
