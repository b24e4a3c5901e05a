import BinaryIO
import GraphIR

/// The attributes that convolutions and pools share, with `auto_pad` resolved.
struct WindowAttributes {
  /// ONNX's automatic paddings.
  enum AutoPad: String {
    case none = "NOTSET"
    case sameUpper = "SAME_UPPER"
    case sameLower = "SAME_LOWER"
    case valid = "VALID"
  }

  let kernel: [Int]
  let strides: [Int]
  let dilations: [Int]
  /// All begins, then all ends; nil when ``autoPad`` decides.
  let explicitPads: [Int]?
  let autoPad: AutoPad

  /// - Parameters:
  ///   - node: The node whose attributes are taken.
  ///   - kernel: The kernel's extents; nil takes them from `kernel_shape`.
  /// - Throws: A refusal when a list has the wrong length or a value is out of range.
  init(_ node: inout NodeImporter, kernel weight: [Int]? = nil) throws(Refusal) {
    let given = try node.attributes.ints("kernel_shape")
    guard let kernel = weight ?? given else {
      throw NodeAttributes.refusal("kernel_shape", "is missing")
    }
    guard given == nil || given == kernel else {
      throw NodeAttributes.refusal("kernel_shape", "is \(given ?? []), the weight's kernel is \(kernel)")
    }
    self.kernel = kernel
    let ones = Array(repeating: 1, count: kernel.count)
    strides = try node.attributes.ints("strides") ?? ones
    dilations = try node.attributes.ints("dilations") ?? ones
    explicitPads = try node.attributes.ints("pads")
    let name = try node.attributes.string("auto_pad") ?? AutoPad.none.rawValue
    guard let autoPad = AutoPad(rawValue: name) else {
      throw NodeAttributes.refusal("auto_pad", "is \(Refusal.quoted(name)), which does not exist")
    }
    self.autoPad = autoPad
    try check(strides, "strides", count: kernel.count, in: 1...65_535)
    try check(dilations, "dilations", count: kernel.count, in: 1...65_535)
    try check(kernel, "kernel_shape", count: kernel.count, in: 1...65_535)
    guard let explicitPads else { return }
    try check(explicitPads, "pads", count: 2 * kernel.count, in: 0...65_535)
    if autoPad != .none, explicitPads.contains(where: { $0 != 0 }) {
      throw NodeAttributes.refusal("pads", "is given together with auto_pad")
    }
  }

  private func check(_ list: [Int], _ name: String, count: Int, in range: ClosedRange<Int>) throws(Refusal) {
    guard list.count == count else {
      throw NodeAttributes.refusal(name, "has \(list.count) entries, must have \(count)")
    }
    if let wrong = list.first(where: { !range.contains($0) }) {
      throw NodeAttributes.refusal(
        name,
        "has the entry \(wrong), must be \(range.lowerBound) to \(range.upperBound)"
      )
    }
  }

  /// Taps and the gaps between them along an axis.
  func extent(_ axis: Int) -> Int { (kernel[axis] - 1) * dilations[axis] + 1 }

  /// The padding of a convolution or pool over `spatial` extents.
  ///
  /// For SAME the output has `ceil(input / stride)` entries.
  ///
  /// - Throws: A refusal when `auto_pad` needs an extent that is not known.
  func pads(over spatial: [Dim], _ node: NodeImporter) throws(Refusal) -> [Int] {
    switch autoPad {
    case .none: return explicitPads ?? Array(repeating: 0, count: 2 * kernel.count)
    case .valid: return Array(repeating: 0, count: 2 * kernel.count)
    case .sameUpper, .sameLower: break
    }
    var totals: [Int] = []
    for axis in kernel.indices {
      if strides[axis] == 1 {
        totals.append(extent(axis) - 1)
      } else if axis < spatial.count, let input = spatial[axis].value {
        let output = (input + strides[axis] - 1) / strides[axis]
        totals.append(Swift.max((output - 1) * strides[axis] + extent(axis) - input, 0))
      } else {
        throw node.unsupported(
          "auto_pad needs a known input size",
          remedy: "export the model with fixed spatial dimensions or explicit pads"
        )
      }
    }
    return split(totals, moreAtEnd: autoPad == .sameUpper)
  }

  /// Begins, then ends, of a total padding per axis.
  func split(_ totals: [Int], moreAtEnd: Bool) -> [Int] {
    let smaller = totals.map { $0 / 2 }
    let larger = totals.map { $0 - $0 / 2 }
    return moreAtEnd ? smaller + larger : larger + smaller
  }
}
