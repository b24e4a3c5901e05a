/// MobileNetV3 in torchvision's layout: inverted residuals with squeeze-and-excitation.
///
/// Its batch normalisation has the epsilon 0.001.
enum MobileNetV3 {
  static let all = [
    Architecture("mobilenet_v3_small") { net, image in
      describe(&net, image, small, tail: 1024)
    },
    Architecture("mobilenet_v3_large") { net, image in
      describe(&net, image, large, tail: 1280)
    },
  ]

  private struct Block {
    let kernel: Int
    let expanded: Int
    let channels: Int
    let excites: Bool
    let hardSwish: Bool
    let stride: Int

    init(_ kernel: Int, _ expanded: Int, _ channels: Int, se: Bool, hs: Bool, _ stride: Int) {
      self.kernel = kernel
      self.expanded = expanded
      self.channels = channels
      excites = se
      hardSwish = hs
      self.stride = stride
    }
  }

  private static let small = [
    Block(3, 16, 16, se: true, hs: false, 2),
    Block(3, 72, 24, se: false, hs: false, 2),
    Block(3, 88, 24, se: false, hs: false, 1),
    Block(5, 96, 40, se: true, hs: true, 2),
    Block(5, 240, 40, se: true, hs: true, 1),
    Block(5, 240, 40, se: true, hs: true, 1),
    Block(5, 120, 48, se: true, hs: true, 1),
    Block(5, 144, 48, se: true, hs: true, 1),
    Block(5, 288, 96, se: true, hs: true, 2),
    Block(5, 576, 96, se: true, hs: true, 1),
    Block(5, 576, 96, se: true, hs: true, 1),
  ]

  private static let large = [
    Block(3, 16, 16, se: false, hs: false, 1),
    Block(3, 64, 24, se: false, hs: false, 2),
    Block(3, 72, 24, se: false, hs: false, 1),
    Block(5, 72, 40, se: true, hs: false, 2),
    Block(5, 120, 40, se: true, hs: false, 1),
    Block(5, 120, 40, se: true, hs: false, 1),
    Block(3, 240, 80, se: false, hs: true, 2),
    Block(3, 200, 80, se: false, hs: true, 1),
    Block(3, 184, 80, se: false, hs: true, 1),
    Block(3, 184, 80, se: false, hs: true, 1),
    Block(3, 480, 112, se: true, hs: true, 1),
    Block(3, 672, 112, se: true, hs: true, 1),
    Block(5, 672, 160, se: true, hs: true, 2),
    Block(5, 960, 160, se: true, hs: true, 1),
    Block(5, 960, 160, se: true, hs: true, 1),
  ]

  private static let epsilon: Float = 0.001

  private static func describe(_ net: inout Network, _ image: Feature, _ blocks: [Block], tail: Int) {
    var x = unit(&net, "features.0", image, 16, kernel: 3, stride: 2, hardSwish: true)
    for (index, block) in blocks.enumerated() { x = residual(&net, "features.\(index + 1)", x, block) }
    x = unit(&net, "features.\(blocks.count + 1)", x, 6 * x.channels, kernel: 1, hardSwish: true)
    x = net.flatten("flatten", net.globalAveragePool("avgpool", x))
    x = net.linear("classifier.0", x, net.width("classifier.0", standard: tail))
    x = net.hardSwish("classifier.1", x)
    _ = net.classifier("classifier.3", x)
  }

  /// Convolution, normalisation and, unless nil, an activation.
  private static func unit(
    _ net: inout Network,
    _ name: String,
    _ x: Feature,
    _ channels: Int,
    kernel: Int,
    stride: Int = 1,
    groups: Int = 1,
    hardSwish: Bool?
  ) -> Feature {
    var y = net.conv("\(name).0", x, channels, kernel: kernel, stride: stride, groups: groups)
    y = net.batchNorm("\(name).1", y, epsilon: epsilon)
    guard let hardSwish else { return y }
    return hardSwish ? net.hardSwish("\(name).2", y) : net.relu("\(name).2", y)
  }

  private static func residual(_ net: inout Network, _ name: String, _ x: Feature, _ block: Block) -> Feature
  {
    var y = x
    var index = 0
    func next() -> String {
      defer { index += 1 }
      return "\(name).block.\(index)"
    }
    if block.expanded != x.channels {
      y = unit(&net, next(), y, block.expanded, kernel: 1, hardSwish: block.hardSwish)
    }
    y = unit(
      &net,
      next(),
      y,
      block.expanded,
      kernel: block.kernel,
      stride: block.stride,
      groups: block.expanded,
      hardSwish: block.hardSwish
    )
    if block.excites { y = excite(&net, next(), y) }
    y = unit(&net, next(), y, block.channels, kernel: 1, hardSwish: nil)
    return block.stride == 1 && x.channels == y.channels ? net.sum("\(name).add", y, x) : y
  }

  /// Squeeze-and-excitation: every channel scaled by a function of all channels' means.
  private static func excite(_ net: inout Network, _ name: String, _ x: Feature) -> Feature {
    var s = net.globalAveragePool("\(name).avgpool", x)
    s = net.conv("\(name).fc1", s, squeezed(x.channels), kernel: 1, bias: true)
    s = net.relu("\(name).activation", s)
    s = net.conv("\(name).fc2", s, x.channels, kernel: 1, bias: true)
    s = net.hardSigmoid("\(name).scale_activation", s)
    return net.product("\(name).mul", s, x)
  }

  /// A quarter of the channels, rounded to a multiple of 8, at least 8, not below nine tenths of the quarter.
  private static func squeezed(_ channels: Int) -> Int {
    let quarter = channels / 4
    let rounded = max(8, (quarter + 4) / 8 * 8)
    return rounded * 10 < quarter * 9 ? rounded + 8 : rounded
  }
}
