internal import BinaryIO
internal import GraphIR
internal import Passes
internal import Quantization

/// Cuts the patches that a linear layer multiplies with its weights out of its input.
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

  /// Patches of one sample at positions spread evenly.
  ///
  /// - Parameters:
  ///   - tensor: The layer's input: `[N, C, D...]` of a convolution, `[..., K]` of a matrix product.
  ///   - stride: Elements from one patch to the next, at least `length`; the rest is 0.
  ///   - limit: The most patches.
  /// - Returns: Patches in order `[group, patch, stride]`, and how many per group.
  func patches(of tensor: Tensor, stride: Int, limit: Int) -> (values: [Float], count: Int) {
    guard case .conv(let conv) = op else { return rows(of: tensor, stride, limit) }
    let image = Array(tensor.shape[2...])
    let rank = image.count
    let extents = (0..<rank).map { axis in
      let reach = conv.dilations[axis] * (kernel[axis] - 1) + 1
      return max(0, (image[axis] + conv.pads[axis] + conv.pads[axis + rank] - reach) / conv.strides[axis] + 1)
    }
    let total = extents.reduce(tensor.shape[0], *)
    let count = min(limit, total)
    var result = [Float](repeating: 0, count: groups * count * stride)
    let taps = kernel.reduce(1, *)
    let channels = length / max(taps, 1)
    let area = image.reduce(1, *)
    unsafe tensor.withElements(as: Float.self) { (data) in
      for patch in 0..<count {
        // Positions are spread over the whole image, offset so that columns vary.
        var position = (patch * total + total / 2) / max(count, 1)
        var origin = [Int](repeating: 0, count: rank)
        for axis in (0..<rank).reversed() {
          origin[axis] = position % extents[axis] * conv.strides[axis] - conv.pads[axis]
          position /= extents[axis]
        }
        for tap in 0..<taps {
          guard let offset = pixel(tap, origin, image, conv.dilations) else { continue }
          for group in 0..<groups {
            let target = (group * count + patch) * stride + tap
            let source = (position * groups + group) * channels * area + offset
            for channel in 0..<channels {
              unsafe result[target + channel * taps] = data[source + channel * area]
            }
          }
        }
      }
    }
    return (result, count)
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

  private func rows(of tensor: Tensor, _ stride: Int, _ limit: Int) -> (values: [Float], count: Int) {
    let total = tensor.count / max(length, 1)
    let count = min(limit, total)
    var result = [Float](repeating: 0, count: count * stride)
    unsafe tensor.withElements(as: Float.self) { (data) in
      for patch in 0..<count {
        let source = (patch * total + total / 2) / max(count, 1) * length
        for index in 0..<length { unsafe result[patch * stride + index] = data[source + index] }
      }
    }
    return (result, count)
  }
}
