internal import BinaryIO
internal import GraphIR

/// Copies elements of any type from place to place.
enum Mover {
  /// Marks a position that takes the filler.
  static let filled = Int.min

  /// The tensor whose element at `[i, j, ...]` is element `offsets[0][i] + offsets[1][j] + ...` of `source`.
  ///
  /// - Parameters:
  ///   - source: Any element type.
  ///   - shape: The result's extents.
  ///   - offsets: One list per axis, as long as the extent; ``filled`` anywhere in the sum selects the filler.
  ///   - filler: One element.
  static func pick(
    _ source: Tensor,
    shape: [Int],
    offsets: [[Int]],
    filler: Tensor? = nil
  ) throws(Refusal) -> Tensor {
    switch source.dtype.size {
    case 1: try pick(source, shape, offsets, filler, as: UInt8.self)
    case 2: try pick(source, shape, offsets, filler, as: UInt16.self)
    case 4: try pick(source, shape, offsets, filler, as: UInt32.self)
    default: try pick(source, shape, offsets, filler, as: UInt64.self)
    }
  }

  private static func pick<Element: FixedWidthInteger & BitwiseCopyable>(
    _ source: Tensor,
    _ shape: [Int],
    _ offsets: [[Int]],
    _ filler: Tensor?,
    as element: Element.Type
  ) throws(Refusal) -> Tensor {
    let fill = filler?.elements(as: Element.self).first ?? 0
    let last = offsets.last ?? [0]
    let outer = Array(shape.dropLast())
    let isRun = last.indices.allSatisfy { last[$0] == last[0] + $0 } && last.first != filled
    return try unsafe Tensor.build(source.dtype, shape, as: Element.self) { (target) throws(Refusal) in
      unsafe source.withElements(as: Element.self) { source in
        forEachBase(outer, offsets) { (start, base) in
          guard base != filled else {
            for index in last.indices { unsafe target[start + index] = fill }
            return
          }
          if isRun {
            let first = base + last[0]
            for index in last.indices { unsafe target[start + index] = source[first + index] }
            return
          }
          for (index, offset) in last.enumerated() {
            unsafe target[start + index] = offset == filled ? fill : source[base + offset]
          }
        }
      }
    }
  }

  /// Visits the rows of a result as (index of the first element, sum of the outer offsets or ``filled``).
  private static func forEachBase(_ outer: [Int], _ offsets: [[Int]], _ body: (Int, Int) -> Void) {
    let width = offsets.last?.count ?? 1
    let rows = outer.reduce(1, *)
    guard rows > 0, width > 0 else { return }
    var position = [Int](repeating: 0, count: outer.count)
    for row in 0..<rows {
      var base = 0
      for axis in outer.indices {
        let offset = offsets[axis][position[axis]]
        guard offset != filled else {
          base = filled
          break
        }
        base += offset
      }
      body(row * width, base)
      var axis = outer.count - 1
      while axis >= 0 {
        position[axis] += 1
        guard position[axis] == outer[axis] else { break }
        position[axis] = 0
        axis -= 1
      }
    }
  }

  /// Element strides of a tensor in C order.
  static func strides(_ shape: [Int]) -> [Int] {
    var result = [Int](repeating: 1, count: shape.count)
    for axis in stride(from: shape.count - 2, through: 0, by: -1) {
      result[axis] = result[axis + 1] * max(shape[axis + 1], 1)
    }
    return result
  }

  /// The offsets that keep every element in its place.
  static func identity(_ shape: [Int]) -> [[Int]] { permuted(shape, Array(shape.indices)) }

  /// The offsets of a transpose.
  static func permuted(_ shape: [Int], _ perm: [Int]) -> [[Int]] {
    let strides = strides(shape)
    return perm.map { axis in (0..<shape[axis]).map { $0 * strides[axis] } }
  }

  /// The offsets of a selection: along `axis` the given coordinates, elsewhere all.
  static func select(_ shape: [Int], axis: Int, _ coordinates: [Int]) -> [[Int]] {
    var result = identity(shape)
    let stride = strides(shape)[axis]
    result[axis] = coordinates.map { $0 == filled ? filled : $0 * stride }
    return result
  }
}
