package import GraphIR

/// What calibration has to look at.
package enum QuantizationTargets {
  /// The values of a graph, prepared by ``Pipelines/float``, whose ranges static quantization needs, in order.
  package static func activationValues(_ graph: Graph) -> [ValueID] { IntegerRegions(graph).observed }
}
