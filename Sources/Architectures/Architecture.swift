import BinaryIO
import GraphIR

/// A network that is known by name: how to build it from the tensors of a checkpoint.
struct Architecture: Sendable {
  let name: String
  /// The usual preprocessing of images, in the text form of the graph's metadata; nil: it takes none.
  let preprocessing: String?
  /// Adds the layers to a network; the last layer is the output unless it names others.
  private let describe: @Sendable (inout Network) -> Void

  /// A network for images of one size, `extent` × `extent` pixels.
  init(
    _ name: String,
    extent: Int = 224,
    preprocessing: String = Architecture.imageNet,
    describe: @escaping @Sendable (inout Network, Feature) -> Void
  ) {
    self.init(name, preprocessing: preprocessing) { net in
      let size = ImageSize(height: extent, width: extent)
      if let wanted = net.checkpoint.inputSize, wanted != size {
        net.refuse(
          "\(name) takes images of \(extent)x\(extent) pixels, not \(wanted.height)x\(wanted.width)",
          remedy: "leave out --input-size, or export the network at that size to ONNX"
        )
      }
      let image = net.imageInput(size)
      describe(&net, image)
    }
  }

  /// A network that declares its own inputs.
  init(_ name: String, preprocessing: String?, describe: @escaping @Sendable (inout Network) -> Void) {
    self.name = name
    self.preprocessing = preprocessing
    self.describe = describe
  }

  /// Shorter side 256, centre 224, the statistics of ImageNet.
  static let imageNet =
    "resize=256 crop=224 scale=255 mean=0.485,0.456,0.406 std=0.229,0.224,0.225 channels=rgb"

  /// The network that the description makes of `checkpoint`, complete or not.
  func network(for checkpoint: Checkpoint) -> Network {
    var network = Network(checkpoint, preprocessing: preprocessing)
    describe(&network)
    return network
  }
}

/// How well a checkpoint fits an architecture.
struct Match {
  let architecture: Architecture
  let network: Network
  /// Demanded, but not in the checkpoint.
  private(set) var missing: [String] = []
  /// In the checkpoint with another shape or no floating-point type; sentences.
  private(set) var misshapen: [String] = []
  /// In the checkpoint, but not demanded.
  private(set) var extra: [String] = []
  /// Demanded and in the checkpoint under that name.
  private(set) var shared = 0

  init(_ architecture: Architecture, _ checkpoint: Checkpoint) {
    self.architecture = architecture
    network = architecture.network(for: checkpoint)
    let demands = network.demands
    var demanded: Set<String> = []
    for demand in demands where demanded.insert(demand.name).inserted {
      guard let tensor = checkpoint[demand.name] else {
        missing.append(Refusal.quoted(demand.name))
        continue
      }
      shared += 1
      if tensor.shape != demand.shape {
        misshapen.append("\(Refusal.quoted(demand.name)) is \(tensor.shape), not \(demand.shape)")
      } else if !tensor.dtype.isFloatingPoint {
        misshapen.append("\(Refusal.quoted(demand.name)) is \(tensor.dtype.name), not floating-point")
      }
    }
    demanded.formUnion(network.ignored)
    for (name, _) in checkpoint.entries
    where !demanded.contains(name) && !name.hasSuffix(".num_batches_tracked") {
      extra.append(Refusal.quoted(name))
    }
  }

  /// 0 for a checkpoint that fits.
  var problems: Int { missing.count + misshapen.count + extra.count }

  /// What does not fit, at most eight names of each kind.
  var report: String {
    func part(_ count: Int, _ verb: String, _ items: [String]) -> String? {
      guard count > 0 else { return nil }
      let rest = count > 8 ? " and \(count - 8) more" : ""
      return "\(count) \(verb): \(items.prefix(8).joined(separator: ", "))\(rest)"
    }
    return [
      part(missing.count, "missing", missing), part(misshapen.count, "misshapen", misshapen),
      part(extra.count, "extra", extra),
    ]
    .compactMap { $0 }.joined(separator: "; ")
  }
}
