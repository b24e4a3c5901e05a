/// VGG with 11 to 19 layers, with and without batch normalisation, in torchvision's layout.
///
/// At 224 × 224 pixels the adaptive pool before the classifier sees 7 × 7 and does nothing.
enum VGG {
  static let all = [
    (11, [1, 1, 2, 2, 2]), (13, [2, 2, 2, 2, 2]), (16, [2, 2, 3, 3, 3]), (19, [2, 2, 4, 4, 4]),
  ]
  .flatMap { layers, depths in
    [false, true].map { normalises in
      Architecture("vgg\(layers)\(normalises ? "_bn" : "")") { net, image in
        describe(&net, image, depths, normalises: normalises)
      }
    }
  }

  private static let widths = [64, 128, 256, 512, 512]

  private static func describe(_ net: inout Network, _ image: Feature, _ depths: [Int], normalises: Bool) {
    var x = image
    var index = 0
    func next() -> String {
      defer { index += 1 }
      return "features.\(index)"
    }
    for (depth, width) in zip(depths, widths) {
      for _ in 0..<depth {
        x = net.conv(next(), x, width, kernel: 3, bias: true)
        if normalises { x = net.batchNorm(next(), x) }
        x = net.relu(next(), x)
      }
      x = net.maxPool(next(), x, kernel: 2, stride: 2)
    }
    x = net.flatten("flatten", x)
    x = net.relu("classifier.1", net.linear("classifier.0", x, 4096))
    x = net.relu("classifier.4", net.linear("classifier.3", x, 4096))
    _ = net.classifier("classifier.6", x)
  }
}
