/// MobileNetV2 in torchvision's layout, of any width.
///
/// Inverted residual blocks: 1×1 expansion (none in the first block), depthwise 3×3, 1×1 projection without
/// activation; the activation is ReLU6. Widths are those of the checkpoint.
enum MobileNetV2 {
  static let all = [
    Architecture("mobilenet_v2") { net, image in describe(&net, image, standard, expansion: 6) },
    Architecture(
      "digits_net",
      extent: 32,
      preprocessing: "resize=32 scale=255 mean=0.3 std=0.35 channels=rgb"
    ) {
      net,
      image in
      describe(&net, image, digits, expansion: 4)
    },
  ]

  private typealias Stages = [(channels: Int, blocks: Int, stride: Int)]

  /// Channels, blocks and stride of the first block of each stage.
  private static let standard: Stages = [
    (16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2),
    (320, 1, 1),
  ]

  /// The stages of the network of `samples/digits`.
  private static let digits: Stages = [(16, 1, 1), (24, 2, 2), (32, 2, 2), (48, 1, 1)]

  private static func describe(_ net: inout Network, _ image: Feature, _ stages: Stages, expansion: Int) {
    let stem = net.width("features.0.0", standard: 32)
    var x = net.conv("features.0.0", image, stem, kernel: 3, stride: 2)
    x = net.relu6("features.0.2", net.batchNorm("features.0.1", x))
    var index = 1
    for stage in stages {
      for position in 0..<stage.blocks {
        let stride = position == 0 ? stage.stride : 1
        x = block(&net, "features.\(index)", x, stage.channels, stride, expansion)
        index += 1
      }
    }
    let last = "features.\(index)"
    x = net.conv("\(last).0", x, net.width("\(last).0", standard: 1280), kernel: 1)
    x = net.relu6("\(last).2", net.batchNorm("\(last).1", x))
    x = net.flatten("flatten", net.globalAveragePool("avgpool", x))
    _ = net.classifier(net.present(["classifier.1", "classifier", "classifier.0"]), x)
  }

  private static func block(
    _ net: inout Network,
    _ name: String,
    _ x: Feature,
    _ standard: Int,
    _ stride: Int,
    _ expansion: Int
  ) -> Feature {
    let expands = name != "features.1"
    let depthwise = expands ? "\(name).conv.1" : "\(name).conv.0"
    let project = expands ? "\(name).conv.2" : "\(name).conv.1"
    let norm = expands ? "\(name).conv.3" : "\(name).conv.2"
    var y = x
    if expands {
      y = net.conv("\(name).conv.0.0", y, expansion * x.channels, kernel: 1)
      y = net.relu6("\(name).conv.0.2", net.batchNorm("\(name).conv.0.1", y))
    }
    y = net.depthwise("\(depthwise).0", y, kernel: 3, stride: stride)
    y = net.relu6("\(depthwise).2", net.batchNorm("\(depthwise).1", y))
    y = net.conv(project, y, net.width(project, standard: standard), kernel: 1)
    y = net.batchNorm(norm, y)
    return stride == 1 && x.channels == y.channels ? net.sum("\(name).add", x, y) : y
  }
}
