internal import BinaryIO
internal import GraphIR

/// A walk over a shape that several operands broadcast to.
struct Broadcast {
  private let shape: [Int]
  private let strides: [[Int]]

  /// - Parameters:
  ///   - shape: The common shape.
  ///   - operands: Shapes that broadcast to it.
  init(_ shape: [Int], _ operands: [[Int]]) {
    self.shape = shape
    strides = operands.map { Broadcast.strides(of: $0, in: shape) }
  }

  /// The element strides of an operand along the axes of `shape`: 0 where it is repeated.
  static func strides(of operand: [Int], in shape: [Int]) -> [Int] {
    var result = [Int](repeating: 0, count: shape.count)
    var stride = 1
    let leading = shape.count - operand.count
    for index in operand.indices.reversed() {
      result[leading + index] = operand[index] == 1 ? 0 : stride
      stride *= operand[index]
    }
    return result
  }

  /// Visits every position as (index in the common shape, index in each operand), in C order.
  func visit(_ body: (Int, [Int]) -> Void) {
    let count = shape.reduce(1, *)
    guard count > 0 else { return }
    var position = [Int](repeating: 0, count: shape.count)
    var offsets = [Int](repeating: 0, count: strides.count)
    for index in 0..<count {
      body(index, offsets)
      var axis = shape.count - 1
      while axis >= 0 {
        position[axis] += 1
        for operand in strides.indices { offsets[operand] += strides[operand][axis] }
        guard position[axis] == shape[axis] else { break }
        for operand in strides.indices { offsets[operand] -= strides[operand][axis] * shape[axis] }
        position[axis] = 0
        axis -= 1
      }
    }
  }

  /// Visits runs along the last axis as (index in the common shape, index in each operand, count).
  ///
  /// Within a run the common index steps by 1 and operand `i` by ``lastStrides``.
  func forEachRun(_ body: (Int, [Int], Int) -> Void) {
    guard let width = shape.last else { return body(0, strides.map { _ in 0 }, 1) }
    guard width > 0 else { return }
    let outer = Broadcast(shape: shape.dropLast(), strides: strides.map { $0.dropLast() })
    outer.visit { (index, offsets) in body(index * width, offsets, width) }
  }

  /// Distance of neighbouring elements of each operand along the last axis.
  var lastStrides: [Int] { strides.map { $0.last ?? 0 } }

  private init(shape: ArraySlice<Int>, strides: [ArraySlice<Int>]) {
    self.shape = Array(shape)
    self.strides = strides.map { Array($0) }
  }
}
