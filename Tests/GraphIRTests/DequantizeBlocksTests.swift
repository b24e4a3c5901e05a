import GraphIR
import TestSupport
import Testing

@Suite("dequantize_blocks") struct DequantizeBlocksTests {
  private func check(
    _ attributes: String = "{bits = 4, block = 32, depth = 5}",
    q: String = "u8[2, 3] = [1, 2, 3, 4, 5, 6]",
    scale: String = "f16[2, 1] = [0.5, -2]",
    result: String = "f32[2, 5]"
  ) throws {
    var graph = try GraphParser.parse(
      """
      graph @g {
        const %q: \(q)
        const %s: \(scale)
        %y: \(result) = dequantize_blocks(%q, %s) \(attributes)
        output %y
      }
      """
    )
    try TypeInference.infer(&graph)
    try GraphValidator.validate(graph)
  }

  @Test("rows of numbers, or columns, with scales of either sign in f16 or f32")
  func accepted() throws {
    try check()
    try check(scale: "f32[2, 1] = [0.5, 1]")
    try check("{bits = 4, block = 32, depth = 5, transposed = 1}", result: "f32[5, 2]")
  }

  @Test(
    "attributes outside of their range, and extents that do not fit them, are refused",
    arguments: [
      ("{bits = 1, block = 32, depth = 5}", "bits is 1"), ("{bits = 9, block = 32, depth = 5}", "bits is 9"),
      ("{bits = 4, block = 33, depth = 5}", "block is 33"),
      ("{bits = 4, block = 0, depth = 5}", "block is 0"),
      ("{bits = 4, block = 32, depth = 0}", "depth is 0"),
      ("{bits = 4, block = 32, depth = -5}", "depth is -5"),
      ("{bits = 4, block = 32, depth = 7}", "does not take 3 bytes"),
      ("{bits = 8, block = 32, depth = 9223372036854775807}", "does not take 3 bytes"),
      ("{bits = 4, block = 32, depth = 5, size = 1}", "size"), ("{bits = 4, block = 32}", "depth"),
    ]
  )
  func attributes(attributes: String, problem: String) {
    let isKnown = !["size", "depth"].contains(problem)
    expectRefusal(rule: isKnown ? "T-dequantize_blocks" : "O27", containing: problem) {
      try check(attributes)
    }
  }

  @Test("other operands are refused")
  func operands() {
    expectRefusal(rule: "T-dequantize_blocks", containing: "must be a u8 matrix") {
      try check(q: "i8[2, 3] = [1, 2, 3, 4, 5, 6]")
    }
    expectRefusal(rule: "T-dequantize_blocks", containing: "must be an f16 or f32 matrix") {
      try check(scale: "f32[2] = [1, 1]")
    }
    expectRefusal(rule: "T-dequantize_blocks", containing: "has 1 blocks of 32") {
      try check(scale: "f16[2, 2] = [1, 1, 1, 1]")
    }
    expectRefusal(rule: "T-dequantize_blocks", containing: "differ in rows") {
      try check(scale: "f16[1, 1] = [1]")
    }
  }

  @Test("K8: scales that are 0 or not finite are refused", arguments: ["0", "nan", "inf"])
  func scales(scale: String) {
    expectRefusal(rule: "K8", containing: "of block 1") { try check(scale: "f16[2, 1] = [1, \(scale)]") }
  }

  @Test("K8: bits behind the last number are 0")
  func padding() {
    expectRefusal(rule: "K8", containing: "row 1 has bits") { try check(q: "u8[2, 3] = [1, 2, 3, 4, 5, 16]") }
  }
}
