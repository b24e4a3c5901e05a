/// The loops of a pooling over up to three spatial axes, without its arithmetic.
struct PoolLoop {
  private let planes: Int
  private let input: [Int]
  private let output: [Int]
  private let kernel: [Int]
  private let strides: [Int]
  private let begins: [Int]
  private let ends: [Int]
  private let dilations: [Int]

  /// - Parameters:
  ///   - input: `[N, C, D...]`
  ///   - output: `[N, C, D'...]`
  ///   - kernel: As the operator's.
  ///   - strides: As the operator's.
  ///   - pads: As the operator's.
  ///   - dilations: As the operator's.
  init(input: [Int], output: [Int], kernel: [Int], strides: [Int], pads: [Int], dilations: [Int]) {
    let axes = kernel.count
    func filled(_ list: some Sequence<Int>, _ filler: Int) -> [Int] {
      Array(repeating: filler, count: 3 - axes) + Array(list)
    }
    planes = input[0] * input[1]
    self.input = filled(input.dropFirst(2), 1)
    self.output = filled(output.dropFirst(2), 1)
    self.kernel = filled(kernel, 1)
    self.strides = filled(strides, 1)
    begins = filled(pads.prefix(axes), 0)
    ends = filled(pads.suffix(axes), 0)
    self.dilations = filled(dilations, 1)
  }

  /// One window.
  struct Window {
    /// Index of its result.
    let target: Int
    /// Taps inside the padded input.
    let padded: Int
    fileprivate let plane: Int
    fileprivate let coordinates: [[Int]]

    /// Taps inside the input.
    var count: Int { coordinates[0].count * coordinates[1].count * coordinates[2].count }
  }

  /// Visits every window in order of its result.
  func forEachWindow(_ body: (Window) -> Void) {
    let inside = (0..<3).map { axis in (0..<output[axis]).map { taps(axis, $0, pads: false) } }
    let padded = (0..<3).map { axis in (0..<output[axis]).map { taps(axis, $0, pads: true).count } }
    var target = 0
    for plane in 0..<planes {
      for d in 0..<output[0] {
        for h in 0..<output[1] {
          for w in 0..<output[2] {
            body(
              Window(
                target: target,
                padded: padded[0][d] * padded[1][h] * padded[2][w],
                plane: plane,
                coordinates: [inside[0][d], inside[1][h], inside[2][w]]
              )
            )
            target += 1
          }
        }
      }
    }
  }

  /// Visits the input indices of a window's taps inside the input, in order.
  func forEachTap(of window: Window, _ body: (Int) -> Void) {
    let base = window.plane * input[0] * input[1] * input[2]
    for d in window.coordinates[0] {
      for h in window.coordinates[1] {
        let line = base + (d * input[1] + h) * input[2]
        for w in window.coordinates[2] { body(line + w) }
      }
    }
  }

  /// Whether some window has no tap inside the input.
  var hasEmptyWindow: Bool {
    (0..<3).contains { axis in (0..<output[axis]).contains { taps(axis, $0, pads: false).isEmpty } }
  }

  /// The coordinates of the taps of one axis that lie inside the input, or inside the padded input.
  private func taps(_ axis: Int, _ position: Int, pads: Bool) -> [Int] {
    let low = pads ? -begins[axis] : 0
    let high = pads ? input[axis] + ends[axis] : input[axis]
    return (0..<kernel[axis]).compactMap { tap in
      let coordinate = position * strides[axis] - begins[axis] + tap * dilations[axis]
      return coordinate >= low && coordinate < high ? coordinate : nil
    }
  }
}
