/// A whole network in a safetensors file: its constants as tensors, its graph as text in the metadata.
package enum SafetensorsGraph {
  /// Metadata key of the graph in the `.qir` text form.
  package static let textKey = "qconvert.graph"
  /// Metadata key of the version of this convention.
  package static let versionKey = "qconvert.graph_version"
  /// The version written.
  package static let version = "1"
}
