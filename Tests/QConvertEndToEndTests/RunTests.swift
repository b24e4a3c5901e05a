import BinaryIO
import Datasets
import Foundation
import GraphIR
import TestSupport
import Testing

@Suite struct RunTests {
  @Test("arrays go in by name and come out by name", arguments: ["in.npz", "in.npy"])
  func arrays(_ input: String) throws {
    try withTemporaryFolder { folder in
      var random = SplitMix64(seed: 11)
      let pixels = try random.floats([2, 3, 32, 32])
      try NPZFile.write([("input", pixels)], to: "\(folder)/in.npz")
      let header = try NPYFile.header(for: pixels)
      let bytes = pixels.elements(as: Float.self).flatMap { value in
        (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) }
      }
      try write(header + bytes, to: "\(folder)/in.npy")
      try Tool.succeed(["run", Tool.model, "--inputs", input, "--outputs", "out.npz"], in: folder)
      let result = try #require(try read("\(folder)/out.npz").first)
      #expect(result.name == "logits")
      #expect(result.tensor.shape == [2, 10])
      try Tool.succeed(
        ["run", Tool.model, "--inputs", input, "--outputs", "slow.npz", "--reference"],
        in: folder
      )
      let slow = try #require(try read("\(folder)/slow.npz").first).tensor.elements(as: Float.self)
      let fast = result.tensor.elements(as: Float.self)
      #expect(zip(slow, fast).allSatisfy { abs($0 - $1) < 1e-3 })
    }
  }

  @Test("an int8 model gives the same bytes for any number of threads")
  func threads() throws {
    try withTemporaryFolder { folder in
      var random = SplitMix64(seed: 12)
      try NPZFile.write([("input", try random.floats([3, 3, 32, 32]))], to: "\(folder)/in.npz")
      try Tool.succeed([Tool.model, "a.qmodel", "--int8"] + Tool.calibration, in: folder)
      var results: [[Float]] = []
      for threads in ["1", "2", "5"] {
        try Tool.succeed(
          ["run", "a.qmodel", "--inputs", "in.npz", "--outputs", "out.npz", "--threads", threads],
          in: folder
        )
        results.append(try #require(try read("\(folder)/out.npz").first).tensor.elements(as: Float.self))
      }
      #expect(results[0] == results[1] && results[0] == results[2])
    }
  }

  @Test("an int8 model gives the reference's bytes on every instruction set that the machine has")
  func instructionSets() throws {
    try withTemporaryFolder { folder in
      var random = SplitMix64(seed: 13)
      try NPZFile.write([("input", try random.floats([3, 3, 32, 32]))], to: "\(folder)/in.npz")
      try Tool.succeed([Tool.model, "a.qmodel", "--int8"] + Tool.calibration, in: folder)
      let run = ["run", "a.qmodel", "--inputs", "in.npz", "--outputs"]
      try Tool.succeed(run + ["reference.npz", "--reference"], in: folder)
      let expected = try #require(try read("\(folder)/reference.npz").first).tensor.elements(as: Float.self)
      var served: [String] = []
      for set in ["portable", "avx2", "avxvnni", "avx512vnni", "amx", "neon"] {
        let outcome = try Tool.run(run + ["\(set).npz"], in: folder, environment: ["QCONVERT_ISA": set])
        guard outcome.status == 0 else {
          #expect(outcome.status == 1 || outcome.status == 64, "\(set): \(outcome.status)")
          #expect(outcome.errors.contains("[R7]"), "\(set): \(outcome.errors)")
          continue
        }
        served.append(set)
        let got = try #require(try read("\(folder)/\(set).npz").first).tensor.elements(as: Float.self)
        #expect(got == expected, "\(set)")
      }
      #expect(served.contains("portable"))
    }
  }

  @Test("QCONVERT_ISA chooses the kernels, and a set that does not exist is refused")
  func environment() throws {
    try withTemporaryFolder { folder in
      let bench = ["bench", Tool.model, "--runs", "1", "--profile", "--json"]
      let outcome = try Tool.run(bench, in: folder, environment: ["QCONVERT_ISA": "portable"])
      let results = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [[String: Any]]
      let steps = try #require(results?.first?["profile"] as? [[String: Any]])
      #expect(!steps.isEmpty && steps.allSatisfy { $0["isa"] as? String == "portable" })
      let refused = try Tool.run(bench, in: folder, environment: ["QCONVERT_ISA": "abacus"])
      #expect(refused.status == 1 && refused.errors.contains("[R7]"))
    }
  }

  private func read(_ path: String) throws -> [(name: String, tensor: Tensor)] {
    try NPZFile.read(path, in: .heap, where: { _ in true }).arrays.map { ($0.name, $0.tensor) }
  }
}
