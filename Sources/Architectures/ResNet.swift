/// ResNet for ImageNet, in torchvision's layout.
///
/// A stem of 7×7, four stages of residual blocks, a global pool and a fully connected layer. The stride of a
/// bottleneck block is on its 3×3 convolution.
enum ResNet {
  static let all = [
    resNet("resnet18", [2, 2, 2, 2], basic),
    resNet("resnet34", [3, 4, 6, 3], basic),
    resNet("resnet50", [3, 4, 6, 3], bottleneck),
    resNet("resnet101", [3, 4, 23, 3], bottleneck),
    resNet("resnet152", [3, 8, 36, 3], bottleneck),
  ]

  /// Adds one block of `width` channels (before expansion) to the network.
  private typealias Block = @Sendable (inout Network, String, Feature, _ width: Int, _ stride: Int) -> Feature

  private static func resNet(_ name: String, _ depths: [Int], _ block: @escaping Block) -> Architecture {
    Architecture(name) { net, image in
      var x = net.conv("conv1", image, 64, kernel: 7, stride: 2)
      x = net.relu("relu", net.batchNorm("bn1", x))
      x = net.maxPool("maxpool", x, kernel: 3, stride: 2, padding: 1)
      for (stage, depth) in depths.enumerated() {
        for index in 0..<depth {
          x = block(&net, "layer\(stage + 1).\(index)", x, 64 << stage, stage > 0 && index == 0 ? 2 : 1)
        }
      }
      x = net.flatten("flatten", net.globalAveragePool("avgpool", x))
      _ = net.classifier(net.present(["fc", "fc.0", "fc.1"]), x)
    }
  }

  @Sendable
  private static func basic(
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
    return join(&net, name, x, y, stride, activation: "relu2")
  }

  @Sendable
  private static func bottleneck(
    _ net: inout Network,
    _ name: String,
    _ x: Feature,
    _ width: Int,
    _ stride: Int
  ) -> Feature {
    var y = net.conv("\(name).conv1", x, width, kernel: 1)
    y = net.relu("\(name).relu1", net.batchNorm("\(name).bn1", y))
    y = net.conv("\(name).conv2", y, width, kernel: 3, stride: stride)
    y = net.relu("\(name).relu2", net.batchNorm("\(name).bn2", y))
    y = net.conv("\(name).conv3", y, 4 * width, kernel: 1)
    y = net.batchNorm("\(name).bn3", y)
    return join(&net, name, x, y, stride, activation: "relu3")
  }

  /// Adds the shortcut, projected where the shape changes.
  private static func join(
    _ net: inout Network,
    _ name: String,
    _ x: Feature,
    _ y: Feature,
    _ stride: Int,
    activation: String
  ) -> Feature {
    var shortcut = x
    if stride != 1 || x.channels != y.channels {
      shortcut = net.conv("\(name).downsample.0", x, y.channels, kernel: 1, stride: stride)
      shortcut = net.batchNorm("\(name).downsample.1", shortcut)
    }
    return net.relu("\(name).\(activation)", net.sum("\(name).add", y, shortcut))
  }
}
