internal import GraphIR

/// The loops of a convolution over up to three spatial axes, without its arithmetic.
///
/// Tensors are `[N, C, D, H, W]`; missing leading spatial axes have extent 1. An output row is the run of positions along the
/// last axis for one batch entry, channel and leading position.
struct ConvLoop {
  private let batch: Int
  private let groups: Int
  private let inputChannels: Int
  private let outputChannels: Int
  private let input: [Int]
  private let output: [Int]
  private let kernel: [Int]
  private let strides: [Int]
  private let pads: [Int]
  private let dilations: [Int]

  /// Positions of one output row, with the output channel it belongs to.
  struct Row {
    let channel: Int
    /// Index of its first element in the output.
    let start: Int
    let count: Int
    fileprivate let batch: Int
    fileprivate let depth: Int
    fileprivate let height: Int
  }

  /// The part of a row that one tap of the kernel reaches inside the input.
  struct Tap {
    /// Positions of the row.
    let positions: Range<Int>
    /// Index of the input element for the first of them.
    let source: Int
    /// Distance of the input elements of neighbouring positions.
    let step: Int
    /// Index of the weight.
    let weight: Int
  }

  /// - Parameters:
  ///   - geometry: Attributes that the type rule has checked.
  ///   - input: Shape of the input.
  ///   - output: Shape of the output.
  init(_ geometry: ConvGeometry, input: [Int], output: [Int]) {
    let missing = 3 - geometry.kernel.count
    func filled(_ list: some Sequence<Int>, _ filler: Int) -> [Int] {
      Array(repeating: filler, count: missing) + Array(list)
    }
    batch = input[0]
    groups = geometry.group
    inputChannels = input[1]
    outputChannels = output[1]
    self.input = filled(input.dropFirst(2), 1)
    self.output = filled(output.dropFirst(2), 1)
    kernel = filled(geometry.kernel, 1)
    strides = filled(geometry.strides, 1)
    pads = filled(geometry.pads.prefix(geometry.kernel.count), 0)
    dilations = filled(geometry.dilations, 1)
  }

  /// Visits every output row.
  func forEachRow(_ body: (Row) -> Void) {
    var start = 0
    for n in 0..<batch {
      for channel in 0..<outputChannels {
        for depth in 0..<output[0] {
          for height in 0..<output[1] {
            body(
              Row(channel: channel, start: start, count: output[2], batch: n, depth: depth, height: height)
            )
            start += output[2]
          }
        }
      }
    }
  }

  /// Visits the taps of a row in order of input channel and kernel position.
  func forEachTap(of row: Row, _ body: (Tap) -> Void) {
    let perGroup = inputChannels / groups
    let first = row.channel / (outputChannels / groups) * perGroup
    for c in 0..<perGroup {
      let plane = (row.batch * inputChannels + first + c) * input[0]
      for kd in 0..<kernel[0] {
        guard let depth = source(row.depth, kd, 0) else { continue }
        for kh in 0..<kernel[1] {
          guard let height = source(row.height, kh, 1) else { continue }
          let line = ((plane + depth) * input[1] + height) * input[2]
          let weight = (((row.channel * perGroup + c) * kernel[0] + kd) * kernel[1] + kh) * kernel[2]
          for kw in 0..<kernel[2] {
            let offset = kw * dilations[2] - pads[2]
            let positions = reached(offset, row.count)
            guard !positions.isEmpty else { continue }
            body(
              Tap(
                positions: positions,
                source: line + positions.lowerBound * strides[2] + offset,
                step: strides[2],
                weight: weight + kw
              )
            )
          }
        }
      }
    }
  }

  /// The input coordinate of a tap on `axis`, or nil in the padding.
  private func source(_ position: Int, _ tap: Int, _ axis: Int) -> Int? {
    let coordinate = position * strides[axis] + tap * dilations[axis] - pads[axis]
    return coordinate >= 0 && coordinate < input[axis] ? coordinate : nil
  }

  /// Positions `p` of a row with `0 <= p * stride + offset < width`.
  private func reached(_ offset: Int, _ count: Int) -> Range<Int> {
    let stride = strides[2]
    let first = offset >= 0 ? 0 : (-offset + stride - 1) / stride
    let room = input[2] - 1 - offset
    let last = room < 0 ? -1 : min(count - 1, room / stride)
    return first <= last ? first..<last + 1 : 0..<0
  }
}
