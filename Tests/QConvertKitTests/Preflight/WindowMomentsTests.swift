import TestSupport
import Testing

@testable import QConvertKit

@Suite struct WindowMomentsTests {
  private let geometry = WindowMoments.Geometry(
    channels: 2,
    kernel: [3, 2],
    strides: [2, 1],
    pads: [1, 0, 1, 1],
    dilations: [1, 2]
  )

  /// Mean and variance of a convolution of `image` with `weights` `[channel, tap]`, zero padding after the change of pixels.
  private func direct(
    _ image: [Float],
    _ height: Int,
    _ width: Int,
    _ weights: [Double],
    _ scale: Double,
    _ shift: Double
  ) -> (mean: Double, variance: Double) {
    var results: [Double] = []
    let rows = (height + 2 - 3) / 2 + 1
    let columns = width + 1 - 3 + 1
    for row in 0..<rows {
      for column in 0..<columns {
        var sum = 0.0
        for channel in 0..<2 {
          for tap in 0..<6 {
            let (y, x) = (row * 2 - 1 + tap / 2, column + tap % 2 * 2)
            guard (0..<height).contains(y), (0..<width).contains(x) else { continue }
            let pixel = Double(image[(channel * height + y) * width + x])
            sum += weights[channel * 6 + tap] * (scale * pixel + shift)
          }
        }
        results.append(sum)
      }
    }
    let mean = results.reduce(0, +) / Double(results.count)
    return (mean, results.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(results.count))
  }

  @Test("moments give the mean and variance of any response, padding and changes of pixels included")
  func response() {
    var random = SplitMix64(seed: 3)
    let (height, width) = (9, 7)
    let image = (0..<(2 * height * width)).map { _ in Float(random.next() % 1000) / 100 }
    let weights = (0..<12).map { _ in Double(random.next() % 1000) / 500 - 1 }
    var moments = WindowMoments(geometry)
    moments.add(image, height: height, width: width)
    #expect(moments.windows == 5 * 6)
    for (scale, shift) in [(1.0, 0.0), (0.5, -3.0), (-2.0, 10.0)] {
      var row = weights.map { $0 * scale }
      row += (0..<6).map { shift * (weights[$0] + weights[6 + $0]) }
      let found = moments.response(of: row)
      let wanted = direct(image, height, width, weights, scale, shift)
      #expect(abs(found.mean - wanted.mean) < 1e-9 && abs(found.variance - wanted.variance) < 1e-7)
    }
  }

  @Test("moments of parts merge into those of the whole")
  func merging() {
    var random = SplitMix64(seed: 4)
    let images = (0..<3).map { _ in (0..<128).map { _ in Float(random.next() % 100) } }
    var (whole, parts) = (WindowMoments(geometry), WindowMoments(geometry))
    for image in images {
      whole.add(image, height: 8, width: 8)
      var part = WindowMoments(geometry)
      part.add(image, height: 8, width: 8)
      parts.merge(part)
    }
    let row = (0..<18).map { Double($0) }
    #expect(whole.response(of: row) == parts.response(of: row))
  }

  @Test("images smaller than the kernel have no windows")
  func small() {
    var moments = WindowMoments(geometry)
    moments.add([1, 2], height: 1, width: 1)
    #expect(moments.windows == 0 && moments.response(of: [Double](repeating: 1, count: 18)).mean == 0)
  }
}
