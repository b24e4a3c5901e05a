/// What a linear operator reads, as u8 integers: vectors that it multiplies with its weights.
package struct PatchTable: Sendable {
  /// Channel groups of the operator; each has patches of its own.
  package let groups: Int
  /// Elements of a patch: input channels per group times kernel area.
  package let length: Int
  /// The most patches per group.
  package let capacity: Int
  /// How the integers are meant.
  package let params: QuantParams
  /// Patches per group.
  package private(set) var count = 0
  /// `[group, element, patch]`, rows of ``capacity``.
  private var integers: [UInt8]

  package init(groups: Int, length: Int, capacity: Int, params: QuantParams) {
    self.groups = groups
    self.length = length
    self.capacity = capacity
    self.params = params
    integers = [UInt8](repeating: UInt8(clamping: params.zeroPoint), count: groups * length * capacity)
  }

  /// Adds patches.
  ///
  /// - Parameters:
  ///   - patches: How many per group; no more than there is room for.
  ///   - fill: Writes their integers to `[group, element, patch]`, rows of ``capacity``, from the given column on.
  package mutating func add(_ patches: Int, _ fill: (UnsafeMutableBufferPointer<UInt8>, Int) -> Void) {
    precondition(count + patches <= capacity)
    unsafe integers.withUnsafeMutableBufferPointer { unsafe fill($0, count) }
    count += patches
  }

  /// Patches in whole vectors.
  package var vectors: Int { count / PatchTable.lanes * PatchTable.lanes }

  /// `q − z` of a group's patches less a number per element: `[element, patch]`, rows of ``vectors``.
  func columns(_ group: Int, centre: [Float]) -> [Float] {
    var result = [Float](repeating: 0, count: length * vectors)
    let zero = Int32(params.zeroPoint)
    unsafe result.withUnsafeMutableBufferPointer { (result) in
      unsafe integers.withUnsafeBufferPointer { (integers) in
        for term in 0..<length {
          let source = (group * length + term) * capacity
          let target = term * vectors
          let centre = centre[term]
          for patch in 0..<vectors {
            unsafe result[target &+ patch] = Float(Int32(integers[source &+ patch]) &- zero) - centre
          }
        }
      }
    }
    return result
  }

  private static let lanes = 8
}
