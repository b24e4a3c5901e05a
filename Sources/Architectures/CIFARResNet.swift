/// ResNet for CIFAR, 20 to 110 layers: a 3×3 stem and three stages of basic blocks at 32, 16 and 8 pixels.
///
/// Where the shape changes, the shortcut is what the checkpoint holds: a projection named `downsample` or
/// `shortcut`, or, without tensors, every second pixel with zero channels on both sides. The classifier is named
/// `linear` or `fc`.
enum CIFARResNet {
  static let all = [20, 32, 44, 56, 110].map { layers in
    Architecture("cifar_resnet\(layers)", extent: 32, preprocessing: preprocessing) { net, image in
      describe(&net, image, depth: (layers - 2) / 6)
    }
  }

  private static let preprocessing = "scale=1 mean=123.675,116.28,103.53 std=58.395,57.12,57.375 channels=rgb"

  private static func describe(_ net: inout Network, _ image: Feature, depth: Int) {
    let width = net.width("conv1", standard: 16)
    var x = net.conv("conv1", image, width, kernel: 3)
    x = net.relu("relu", net.batchNorm("bn1", x))
    for stage in 0..<3 {
      for index in 0..<depth {
        let stride = stage > 0 && index == 0 ? 2 : 1
        x = block(&net, "layer\(stage + 1).\(index)", x, width << stage, stride)
      }
    }
    x = net.flatten("flatten", net.globalAveragePool("avgpool", x))
    let head = net.present(["linear", "fc"])
    _ = net.classifier(head, x, standard: 10)
    // Checkpoints with the other layout were trained with differing statistics.
    if head == "fc" { net.preprocessing = nil }
  }

  private static func block(
    _ net: inout Network,
    _ name: String,
    _ x: Feature,
    _ width: Int,
    _ stride: Int
  ) -> Feature {
    var y = net.conv("\(name).conv1", x, width, kernel: 3, stride: stride)
    y = net.relu("\(name).relu1", net.batchNorm("\(name).bn1", y))
    y = net.conv("\(name).conv2", y, width, kernel: 3)
    y = net.batchNorm("\(name).bn2", y)
    let shortcut = stride == 1 ? x : shortcut(&net, name, x, width, stride)
    return net.relu("\(name).relu2", net.sum("\(name).add", y, shortcut))
  }

  private static func shortcut(
    _ net: inout Network,
    _ name: String,
    _ x: Feature,
    _ width: Int,
    _ stride: Int
  ) -> Feature {
    for projection in ["downsample", "shortcut"] where net.has("\(name).\(projection).0.weight") {
      let y = net.conv("\(name).\(projection).0", x, width, kernel: 1, stride: stride)
      return net.batchNorm("\(name).\(projection).1", y)
    }
    let y = net.subsample("\(name).shortcut.subsample", x, stride: stride)
    return net.padChannels("\(name).shortcut.pad", y, (width - x.channels) / 2)
  }
}
