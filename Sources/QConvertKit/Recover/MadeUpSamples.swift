internal import BinaryIO
internal import Datasets
internal import GraphIR

/// Samples for `smooth-activations` and `split-outlier-columns` where nobody gave any.
///
/// Which channels of a transformer are loud hardly depends on what it reads: the factors of normalisations, the weights and the
/// positions decide it. White noise in place of images and random rows of the tables in place of words show it, too.
enum MadeUpSamples {
  private static let count = 16

  /// Noise for a network as it was read.
  ///
  /// - Throws: A refusal for inputs that cannot be made up (D10).
  static func dataset(for graph: Graph) throws(Refusal) -> Dataset {
    let preprocessing = try graph.metadata[MetadataKey.preprocessing].map(Preprocessing.parse)
    let noise = SyntheticNoise.parameters(for: graph)
    return try Dataset.noise(
      for: ModelInput.inputs(of: graph),
      size: preprocessing?.crop,
      mean: noise.mean,
      deviation: noise.deviation,
      count: count
    )
  }
}
