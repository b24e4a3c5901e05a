/// SqueezeNet 1.0 and 1.1 in torchvision's layout: fire modules, no fully connected layer.
enum SqueezeNet {
  static let all = [
    Architecture("squeezenet1_0") { net, image in
      var x = net.conv("features.0", image, 96, kernel: 7, stride: 2, padding: .symmetric(0), bias: true)
      x = net.relu("features.1", x)
      x = body(&net, x, [nil, 16, 16, 32, nil, 32, 48, 48, 64, nil, 64])
      classify(&net, x)
    },
    Architecture("squeezenet1_1") { net, image in
      var x = net.conv("features.0", image, 64, kernel: 3, stride: 2, padding: .symmetric(0), bias: true)
      x = net.relu("features.1", x)
      x = body(&net, x, [nil, 16, 16, nil, 32, 32, nil, 48, 48, 64, 64])
      classify(&net, x)
    },
  ]

  /// The layers from `features.2` on: the squeezed width of a fire module, or nil for a pool.
  private static func body(_ net: inout Network, _ image: Feature, _ widths: [Int?]) -> Feature {
    var x = image
    for (index, width) in widths.enumerated() {
      let name = "features.\(index + 2)"
      if let width {
        x = fire(&net, name, x, width)
      } else {
        x = net.maxPool(name, x, kernel: 3, stride: 2, ceilMode: true)
      }
    }
    return x
  }

  /// A 1×1 convolution to `width` channels, then 1×1 and 3×3 ones side by side, of four times the width each.
  private static func fire(_ net: inout Network, _ name: String, _ x: Feature, _ width: Int) -> Feature {
    var s = net.conv("\(name).squeeze", x, width, kernel: 1, bias: true)
    s = net.relu("\(name).squeeze_activation", s)
    let pointwise = net.conv("\(name).expand1x1", s, 4 * width, kernel: 1, bias: true)
    let left = net.relu("\(name).expand1x1_activation", pointwise)
    let spatial = net.conv("\(name).expand3x3", s, 4 * width, kernel: 3, bias: true)
    let right = net.relu("\(name).expand3x3_activation", spatial)
    return net.concat("\(name).concat", [left, right])
  }

  private static func classify(_ net: inout Network, _ x: Feature) {
    let classes = net.width("classifier.1", standard: 1000)
    var y = net.conv("classifier.1", x, classes, kernel: 1, bias: true)
    y = net.relu("classifier.2", y)
    y = net.globalAveragePool("classifier.3", y)
    _ = net.flatten("flatten", y)
  }
}
