/// EfficientNet-Lite0 in timm's layout: inverted residuals with ReLU6 and without excitation.
///
/// Two networks share these names: timm's own pads symmetrically and has the epsilon 0.00001; the one converted
/// from TensorFlow (`tf_`) pads like TensorFlow's `SAME` and has 0.001.
enum EfficientNetLite {
  static let all = [
    Architecture("efficientnet_lite0") { net, image in
      describe(&net, image, Style(padding: nil, epsilon: 1e-5))
    },
    Architecture(
      "tf_efficientnet_lite0",
      preprocessing: "resize=256 crop=224 scale=1 mean=127,127,127 std=128,128,128 channels=rgb"
    ) { net, image in
      describe(&net, image, Style(padding: .same, epsilon: 0.001))
    },
  ]

  private struct Style {
    let padding: Padding?
    let epsilon: Float
  }

  /// Stages of inverted residuals, expanded six times.
  private static let stages: [(channels: Int, blocks: Int, kernel: Int, stride: Int)] = [
    (24, 2, 3, 2), (40, 2, 5, 2), (80, 3, 3, 2), (112, 3, 5, 1),
    (192, 4, 5, 2), (320, 1, 3, 1),
  ]

  private static func describe(_ net: inout Network, _ image: Feature, _ style: Style) {
    var x = net.conv("conv_stem", image, 32, kernel: 3, stride: 2, padding: style.padding)
    x = activate(&net, "bn1", x, style)
    x = net.depthwise("blocks.0.0.conv_dw", x, kernel: 3, padding: style.padding)
    x = activate(&net, "blocks.0.0.bn1", x, style)
    x = net.conv("blocks.0.0.conv_pw", x, 16, kernel: 1)
    x = net.batchNorm("blocks.0.0.bn2", x, epsilon: style.epsilon)
    for (index, stage) in stages.enumerated() {
      for position in 0..<stage.blocks {
        let name = "blocks.\(index + 1).\(position)"
        let stride = position == 0 ? stage.stride : 1
        x = block(&net, name, x, stage.channels, kernel: stage.kernel, stride: stride, style)
      }
    }
    x = net.conv("conv_head", x, 1280, kernel: 1)
    x = activate(&net, "bn2", x, style)
    x = net.flatten("flatten", net.globalAveragePool("global_pool", x))
    _ = net.classifier("classifier", x)
  }

  private static func block(
    _ net: inout Network,
    _ name: String,
    _ x: Feature,
    _ channels: Int,
    kernel: Int,
    stride: Int,
    _ style: Style
  ) -> Feature {
    var y = net.conv("\(name).conv_pw", x, 6 * x.channels, kernel: 1)
    y = activate(&net, "\(name).bn1", y, style)
    y = net.depthwise("\(name).conv_dw", y, kernel: kernel, stride: stride, padding: style.padding)
    y = activate(&net, "\(name).bn2", y, style)
    y = net.conv("\(name).conv_pwl", y, channels, kernel: 1)
    y = net.batchNorm("\(name).bn3", y, epsilon: style.epsilon)
    return stride == 1 && x.channels == channels ? net.sum("\(name).add", y, x) : y
  }

  private static func activate(_ net: inout Network, _ name: String, _ x: Feature, _ style: Style) -> Feature
  {
    net.relu6("\(name).act", net.batchNorm(name, x, epsilon: style.epsilon))
  }
}
