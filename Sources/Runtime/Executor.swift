package import BinaryIO
package import GraphIR

/// Receives the value of a tensor while a network runs.
package typealias ValueObserver = (ValueID, Tensor) throws(Refusal) -> Void

/// Runs a ``Program``.
///
/// The session makes one call at a time, so that an executor may keep its working memory.
package protocol Executor: AnyObject, Sendable {
  /// - Parameters:
  ///   - inputs: One per input of the graph, in its order, with the types of the program.
  ///   - observed: Values to hand to `observe`, constants excluded.
  ///   - observe: Called once per observed value, in order of execution.
  /// - Returns: One tensor per output of the graph, in its order.
  /// - Throws: A refusal when an operand breaks a rule at run time or memory runs out, or what `observe` throws.
  func run(
    _ inputs: [Tensor],
    observing observed: Set<ValueID>,
    _ observe: ValueObserver
  ) throws(Refusal) -> [Tensor]

  /// What it holds between runs.
  var memory: MemoryUse { get }

  /// Times each step.
  ///
  /// - Parameters:
  ///   - inputs: As for `run`.
  ///   - runs: How often, at least once; the least time counts.
  /// - Throws: As `run`, or a refusal (R6) by an executor that does not time its steps.
  func profile(_ inputs: [Tensor], runs: Int) throws(Refusal) -> Profile
}
