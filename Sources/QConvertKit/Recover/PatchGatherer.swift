internal import BinaryIO
internal import GraphIR
internal import Passes
internal import Quantization

/// Cuts the patches that a linear layer multiplies with its weights out of its input, at places spread evenly.
struct PatchGatherer {
  private let groups: Int
  private let length: Int
  private let op: Op
  private let kernel: [Int]

  /// Nil for operators that are neither convolutions nor matrix products.
  init?(_ layer: QuantizedLayer, op: Op, weightShape: [Int]) {
    groups = layer.groups
    length = layer.length
    self.op = op
    switch op {
    case .conv: kernel = Array(weightShape[2...])
    case .gemm, .matMul: kernel = []
    default: return nil
    }
  }

  /// Positions of the output's image along each axis, for an input of a shape; nil for a matrix product.
  private func extents(_ shape: [Int]) -> [Int]? {
    guard case .conv(let conv) = op else { return nil }
    let rank = shape.count - 2
    return (0..<rank).map { axis in
      let reach = conv.dilations[axis] * (kernel[axis] - 1) + 1
      return max(
        0,
        (shape[axis + 2] + conv.pads[axis] + conv.pads[axis + rank] - reach) / conv.strides[axis] + 1
      )
    }
  }

  /// Places that patches are taken from.
  private struct Places {
    let total: Int
    let count: Int

    subscript(patch: Int) -> Int { (patch * total + total / 2) / max(count, 1) }
  }

  private func places(_ shape: [Int], _ limit: Int) -> Places {
    let total = extents(shape)?.reduce(shape[0], *) ?? shape.dropLast().reduce(1, *)
    return Places(total: total, count: min(limit, total))
  }

  /// How many patches an input of a shape gives, `limit` at most.
  func count(of shape: [Int], limit: Int) -> Int { places(shape, limit).count }

  /// Writes patches to `[group, element, patch]`, rows of `capacity`, from column `first` on; padding is left as it is.
  ///
  /// - Parameters:
  ///   - tensor: The layer's input: `[N, C, D...]` of a convolution, `[..., K]` of a matrix product.
  ///   - limit: The most patches.
  func gather<Element: BitwiseCopyable>(
    _ tensor: Tensor,
    limit: Int,
    into target: UnsafeMutableBufferPointer<Element>,
    capacity: Int,
    from first: Int
  ) {
    let places = places(tensor.shape, limit)
    guard case .conv(let conv) = op, let extents = extents(tensor.shape) else {
      unsafe tensor.withElements(as: Element.self) { (data) in
        for patch in 0..<places.count {
          let source = places[patch] * length
          for index in 0..<length {
            unsafe target[index &* capacity &+ first &+ patch] = data[source &+ index]
          }
        }
      }
      return
    }
    let image = Array(tensor.shape[2...])
    let taps = kernel.reduce(1, *)
    let perGroup = length / max(taps, 1)
    let area = image.reduce(1, *)
    unsafe tensor.withElements(as: Element.self) { (data) in
      for patch in 0..<places.count {
        var position = places[patch]
        var origin = [Int](repeating: 0, count: image.count)
        for axis in image.indices.reversed() {
          origin[axis] = position % extents[axis] * conv.strides[axis] - conv.pads[axis]
          position /= extents[axis]
        }
        for tap in 0..<taps {
          guard let offset = pixel(tap, origin, image, conv.dilations) else { continue }
          var source = position * groups * perGroup * area + offset
          var row = tap * capacity + first + patch
          for _ in 0..<(groups * perGroup) {
            unsafe target[row] = data[source]
            source &+= area
            row &+= taps &* capacity
          }
        }
      }
    }
  }

  /// The place of a tap in the image; nil in the padding.
  private func pixel(_ tap: Int, _ origin: [Int], _ image: [Int], _ dilations: [Int]) -> Int? {
    var rest = tap
    var offset = 0
    var step = 1
    for axis in image.indices.reversed() {
      let place = origin[axis] + rest % kernel[axis] * dilations[axis]
      guard image.indices.contains(axis), (0..<image[axis]).contains(place) else { return nil }
      rest /= kernel[axis]
      offset += place * step
      step *= image[axis]
    }
    return offset
  }
}
