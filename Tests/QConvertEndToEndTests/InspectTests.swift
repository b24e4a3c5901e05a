import TestSupport
import Testing

@Suite struct InspectTests {
  private static let keys = [
    "file_bytes", "stored_bytes", "payload_bytes", "resident_bytes", "fp32_bytes", "parameters",
    "peak_activation_bytes", "tensors", "ops",
  ]

  @Test(
    "every byte of a file is accounted for",
    arguments: ["digits.onnx", "digits.safetensors", "int8.qmodel", "small.qmodel", "int8.safetensors"]
  )
  func accounting(_ file: String) throws {
    try withTemporaryFolder { folder in
      for name in entries(Tool.digits) where name == file {
        try write(try readFile("\(Tool.digits)/\(name)"), to: "\(folder)/\(name)")
      }
      try Tool.succeed([Tool.model, "int8.qmodel", "--int8"] + Tool.calibration, in: folder)
      try Tool.succeed([Tool.model, "small.qmodel", "--int8", "--compress"], in: folder)
      try Tool.succeed(["int8.qmodel", "int8.safetensors"], in: folder)
      let report = try Tool.succeed(["inspect", file, "--json"], in: folder).object()
      for key in InspectTests.keys { #expect(report[key] != nil, "\(key)") }
      let parts = try #require(report["accounting"] as? [[String: Any]])
      let total = parts.compactMap { $0["bytes"] as? Int }.reduce(0, +)
      #expect(total == report["file_bytes"] as? Int)
      #expect(total == (try readFile("\(folder)/\(file)").count))
      let tensors = try #require(report["tensors"] as? [[String: Any]])
      let stored = tensors.compactMap { $0["stored_bytes"] as? Int }.reduce(0, +)
      #expect(stored == report["stored_bytes"] as? Int)
    }
  }

  @Test("the text is at most 100 columns wide and names the payload to the byte")
  func text() throws {
    try withTemporaryFolder { folder in
      try Tool.succeed([Tool.model, "a.qmodel", "--int8"] + Tool.calibration, in: folder)
      let text = try Tool.succeed(["inspect", "a.qmodel"], in: folder).output
      #expect(text.contains("weight payload"))
      #expect(text.contains("every checksum of the file was verified"))
      #expect(text.split(separator: "\n").filter { $0.count > 100 && !$0.contains("passes") } == [])
    }
  }
}
