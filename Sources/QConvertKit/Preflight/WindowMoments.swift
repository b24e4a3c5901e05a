/// First and second moments of the windows that a convolution cuts out of images.
///
/// A window is a vector: the pixels `[channel, tap]`, 0 in the padding, then for each tap whether it lies in the image. With the
/// latter, the mean and variance of every linear response follow for any affine change of the pixels, padding included.
struct WindowMoments: Sendable {
  /// How windows are cut.
  struct Geometry: Hashable, Sendable {
    var channels: Int
    /// Height and width of the kernel.
    var kernel: [Int]
    var strides: [Int]
    /// Top, left, bottom, right.
    var pads: [Int]
    var dilations: [Int]

    var taps: Int { kernel[0] * kernel[1] }
    /// Elements of a window.
    var length: Int { (channels + 1) * taps }

    /// Rows and columns of windows in an image; nil for an image smaller than the kernel.
    func extent(height: Int, width: Int) -> (rows: Int, columns: Int)? {
      var counts: [Int] = []
      for (axis, side) in [height, width].enumerated() {
        let padded = side + pads[axis] + pads[axis + 2]
        let reach = dilations[axis] * (kernel[axis] - 1) + 1
        guard padded >= reach else { return nil }
        counts.append((padded - reach) / strides[axis] + 1)
      }
      return (counts[0], counts[1])
    }
  }

  /// Windows taken from one image.
  static let windowsPerImage = 256

  let geometry: Geometry
  private(set) var windows = 0
  private var sums: [Double]
  /// The upper triangle of the matrix of sums of products.
  private var products: [Double]

  init(_ geometry: Geometry) {
    self.geometry = geometry
    sums = [Double](repeating: 0, count: geometry.length)
    products = [Double](repeating: 0, count: geometry.length * geometry.length)
  }

  /// The moments of white noise with mean 0 and variance 1, away from the padding.
  static func whiteNoise(_ geometry: Geometry) -> WindowMoments {
    var result = WindowMoments(geometry)
    result.windows = 1
    let pixels = geometry.channels * geometry.taps
    for index in 0..<pixels { result.products[index * geometry.length + index] = 1 }
    for row in pixels..<geometry.length {
      result.sums[row] = 1
      for column in row..<geometry.length { result.products[row * geometry.length + column] = 1 }
    }
    return result
  }

  /// Adds windows of an image at positions spread evenly.
  ///
  /// - Parameters:
  ///   - image: `[channel, row, column]`.
  ///   - height: Rows.
  ///   - width: Columns.
  mutating func add(_ image: [Float], height: Int, width: Int) {
    guard image.count == geometry.channels * height * width,
      let extent = geometry.extent(height: height, width: width)
    else { return }
    let total = extent.rows * extent.columns
    let count = min(WindowMoments.windowsPerImage, total)
    var window = [Double](repeating: 0, count: geometry.length)
    for index in 0..<count {
      // Multiples of the golden ratio fill an interval evenly at any count.
      let place = (Double(index) + 0.5) * 0.618_033_988_749_894_9
      let position =
        count == total ? index : min(total - 1, Int((place - place.rounded(.down)) * Double(total)))
      cut(position / extent.columns, position % extent.columns, image, height, width, into: &window)
      accumulate(window)
    }
  }

  /// Adds the moments of other images.
  mutating func merge(_ other: WindowMoments) {
    windows += other.windows
    for index in sums.indices { sums[index] += other.sums[index] }
    for index in products.indices { products[index] += other.products[index] }
  }

  /// Mean and variance of `Σ weights · window`.
  func response(of weights: [Double]) -> (mean: Double, variance: Double) {
    let length = geometry.length
    let count = Double(max(windows, 1))
    var mean = 0.0
    var square = 0.0
    for row in 0..<length {
      mean += weights[row] * sums[row]
      var line = 0.5 * weights[row] * products[row * length + row]
      for column in (row + 1)..<max(length, row + 1) {
        line += weights[column] * products[row * length + column]
      }
      square += 2 * weights[row] * line
    }
    mean /= count
    return (mean, max(0, square / count - mean * mean))
  }

  private func cut(
    _ row: Int,
    _ column: Int,
    _ image: [Float],
    _ height: Int,
    _ width: Int,
    into window: inout [Double]
  ) {
    let taps = geometry.taps
    for tap in 0..<taps {
      let y = row * geometry.strides[0] - geometry.pads[0] + tap / geometry.kernel[1] * geometry.dilations[0]
      let x =
        column * geometry.strides[1] - geometry.pads[1] + tap % geometry.kernel[1] * geometry.dilations[1]
      let isInside = (0..<height).contains(y) && (0..<width).contains(x)
      for channel in 0..<geometry.channels {
        window[channel * taps + tap] = isInside ? Double(image[(channel * height + y) * width + x]) : 0
      }
      window[geometry.channels * taps + tap] = isInside ? 1 : 0
    }
  }

  private mutating func accumulate(_ window: [Double]) {
    windows += 1
    let length = geometry.length
    for row in 0..<length { sums[row] += window[row] }
    var matrix = products.mutableSpan
    let values = window.span
    for row in 0..<length {
      let factor = values[row]
      guard factor != 0 else { continue }
      let base = row * length
      for column in row..<length { matrix[base + column] += factor * values[column] }
    }
  }
}
