/// Sums over patches, the vectors that a linear operator multiplies with its weights.
///
/// Patches come in pairs: what the quantized operator reads, and what the float one read in its place. With products,
/// their covariances can be told; memory is then 16 bytes per pair of elements and group.
package struct PatchMoments: Sendable {
  /// Channel groups of the operator; each has patches of its own.
  package let groups: Int
  /// Elements of a patch: input channels per group times kernel area.
  package let length: Int
  /// Patches seen.
  package private(set) var count = 0
  /// `length`, rounded up to whole vectors.
  package let stride: Int

  private var sums: [Double]
  private var floatSums: [Double]
  /// `Σ y_i · y_j` with `j >= i`, per group.
  private var products: [Double]
  /// `Σ (x_i − y_i) · y_j`, per group.
  private var crossProducts: [Double]

  /// - Parameters:
  ///   - groups: Channel groups.
  ///   - length: Elements of a patch.
  ///   - hasProducts: Whether covariances are asked for.
  ///   - hasCrossProducts: Whether ``crossCovariance(_:)`` is, too.
  package init(groups: Int, length: Int, hasProducts: Bool, hasCrossProducts: Bool) {
    self.groups = groups
    self.length = length
    stride = (length + PatchMoments.lanes - 1) / PatchMoments.lanes * PatchMoments.lanes
    sums = [Double](repeating: 0, count: groups * length)
    floatSums = sums
    products = [Double](repeating: 0, count: hasProducts ? groups * stride * stride : 0)
    crossProducts = [Double](repeating: 0, count: hasCrossProducts ? groups * stride * stride : 0)
  }

  package var hasProducts: Bool { !products.isEmpty }
  package var hasCrossProducts: Bool { !crossProducts.isEmpty }

  /// Adds patches, in order `[group, patch, stride]`, elements from `length` on being 0.
  ///
  /// - Parameters:
  ///   - quantized: What the quantized operator reads.
  ///   - float: What the float one read.
  ///   - patches: How many per group.
  package mutating func add(quantized: [Float], float: [Float], patches: Int) {
    precondition(quantized.count == groups * patches * stride && float.count == quantized.count)
    count += patches
    for group in 0..<groups {
      let start = group * patches * stride
      for patch in 0..<patches {
        for index in 0..<length {
          sums[group * length + index] += Double(quantized[start + patch * stride + index])
          floatSums[group * length + index] += Double(float[start + patch * stride + index])
        }
      }
    }
    guard hasProducts else { return }
    accumulate(quantized, quantized, patches, isSymmetric: true, into: &products)
    guard hasCrossProducts else { return }
    var difference = float
    for index in difference.indices { difference[index] -= quantized[index] }
    accumulate(difference, quantized, patches, isSymmetric: false, into: &crossProducts)
  }

  /// Mean of what the quantized operator reads in a group.
  package func mean(_ group: Int) -> [Double] {
    sums[(group * length)..<((group + 1) * length)].map { $0 / Double(max(count, 1)) }
  }

  /// Mean of what the float operator read in a group.
  package func floatMean(_ group: Int) -> [Double] {
    floatSums[(group * length)..<((group + 1) * length)].map { $0 / Double(max(count, 1)) }
  }

  /// `E[y yᵀ]`, less the means' product where `isCentred`; rows of `length`.
  package func covariance(_ group: Int, isCentred: Bool) -> [Double] {
    let mean = isCentred ? mean(group) : [Double](repeating: 0, count: length)
    var result = [Double](repeating: 0, count: length * length)
    let base = group * stride * stride
    for row in 0..<length {
      for column in row..<length {
        let value = products[base + row * stride + column] / Double(max(count, 1)) - mean[row] * mean[column]
        result[row * length + column] = value
        result[column * length + row] = value
      }
    }
    return result
  }

  /// `E[(x − y) yᵀ]`, less the means' product where `isCentred`; rows of `length`.
  package func crossCovariance(_ group: Int, isCentred: Bool) -> [Double] {
    let mean = isCentred ? mean(group) : [Double](repeating: 0, count: length)
    let floatMean = isCentred ? floatMean(group) : mean
    var result = [Double](repeating: 0, count: length * length)
    let base = group * stride * stride
    for row in 0..<length {
      for column in 0..<length {
        result[row * length + column] =
          crossProducts[base + row * stride + column] / Double(max(count, 1))
          - (floatMean[row] - mean[row]) * mean[column]
      }
    }
    return result
  }

  private static let lanes = 8
  /// Patches summed in single precision before they join the sums in double.
  private static let blockLength = 64

  /// Adds `Σ left_i · right_j` of every group, block by block.
  private func accumulate(
    _ left: [Float],
    _ right: [Float],
    _ patches: Int,
    isSymmetric: Bool,
    into target: inout [Double]
  ) {
    unsafe left.withUnsafeBufferPointer { (left) in
      unsafe right.withUnsafeBufferPointer { (right) in
        unsafe target.withUnsafeMutableBufferPointer { (target) in
          for group in 0..<groups {
            for first in Swift.stride(from: 0, to: patches, by: PatchMoments.blockLength) {
              let rows = min(PatchMoments.blockLength, patches - first)
              let start = (group * patches + first) * stride
              unsafe addBlock(
                UnsafeBufferPointer(rebasing: left[start..<(start + rows * stride)]),
                UnsafeBufferPointer(rebasing: right[start..<(start + rows * stride)]),
                rows,
                isSymmetric,
                UnsafeMutableBufferPointer(
                  rebasing: target[(group * stride * stride)..<((group + 1) * stride * stride)]
                )
              )
            }
          }
        }
      }
    }
  }

  /// Four rows by eight columns at a time.
  private func addBlock(
    _ left: UnsafeBufferPointer<Float>,
    _ right: UnsafeBufferPointer<Float>,
    _ rows: Int,
    _ isSymmetric: Bool,
    _ target: UnsafeMutableBufferPointer<Double>
  ) {
    let raw = UnsafeRawBufferPointer(right)
    for i in Swift.stride(from: 0, to: stride, by: 4) {
      let first = isSymmetric ? i / PatchMoments.lanes * PatchMoments.lanes : 0
      for j in Swift.stride(from: first, to: stride, by: PatchMoments.lanes) {
        var a = SIMD8<Float>.zero
        var b = SIMD8<Float>.zero
        var c = SIMD8<Float>.zero
        var d = SIMD8<Float>.zero
        for row in 0..<rows {
          let base = row &* stride
          let x = unsafe raw.loadUnaligned(fromByteOffset: (base &+ j) &* 4, as: SIMD8<Float>.self)
          unsafe a += x * left[base &+ i]
          unsafe b += x * left[base &+ i &+ 1]
          unsafe c += x * left[base &+ i &+ 2]
          unsafe d += x * left[base &+ i &+ 3]
        }
        for lane in 0..<PatchMoments.lanes {
          unsafe target[i * stride + j + lane] += Double(a[lane])
          unsafe target[(i + 1) * stride + j + lane] += Double(b[lane])
          unsafe target[(i + 2) * stride + j + lane] += Double(c[lane])
          unsafe target[(i + 3) * stride + j + lane] += Double(d[lane])
        }
      }
    }
  }
}
