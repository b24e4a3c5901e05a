import BinaryIO
import Datasets
import Foundation
import GraphIR
import QModelFormat
import TestSupport
import Testing

/// Layers in float, sensitivity, and budgets of accuracy.
@Suite struct TuningTests {
  /// Writes a network whose output is no vector of scores, so that no budget of 0 can be held, and samples for it.
  private func writeMap(samples: Int, in folder: String) throws {
    var random = SplitMix64(seed: 11)
    var graph = Graph(name: "map")
    var value = graph.addInput("x", TensorType(.float32, [.symbol("n"), 3, 32, 32]))
    for layer in 0..<6 {
      let weight = graph.addConstant("w\(layer)", try random.floats([16, layer == 0 ? 3 : 16, 3, 3]))
      let conv = Conv(strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1], activation: .relu)
      let node = try graph.addNode(.conv(conv), inputs: [value, weight], outputNames: ["a\(layer)"])
      value = graph[node].outputs[0]
    }
    graph.addOutput(value)
    try TypeInference.infer(&graph)
    try QModelWriter.write(graph, to: "\(folder)/map.qmodel", options: QModelWriterOptions())
    let inputs = try random.floats([samples, 3, 32, 32])
    try NPZFile.write([(name: "x", tensor: inputs)], to: "\(folder)/x.npz")
  }

  @Test("--keep-float keeps what it names, in static and dynamic int8, and inspect shows it")
  func keepFloat() throws {
    try withTemporaryFolder { folder in
      for mode in [Tool.calibration, ["--dynamic"] + Tool.preprocessing] {
        let flags = ["--int8", "--keep-float", "features.0.0.weight", "--keep-float", "logits"]
        try Tool.succeed([Tool.model, "a.qmodel"] + flags + mode, in: folder)
        let report = try Tool.succeed(["inspect", "a.qmodel", "--json"], in: folder).object()
        #expect(report["quantized_ops"] as? Int == 18)
        #expect(report["float_ops"] as? Int == 2)
        let kept = try #require(report["kept_float"] as? String)
        #expect(kept.hasSuffix("logits (f32)") && kept.contains("features.0"))
        let text = try Tool.succeed(["inspect", "a.qmodel"], in: folder).output
        #expect(text.contains("kept in float"))
        try Tool.succeed(
          ["verify", Tool.model, "a.qmodel", "--data", "\(Tool.digits)/test", "--max-drop", "1"],
          in: folder
        )
      }
    }
  }

  @Test("a name that matches nothing is refused with the nearest ones")
  func unknownName() throws {
    try withTemporaryFolder { folder in
      let outcome = try Tool.run([Tool.model, "a.qmodel", "--int8", "--keep-float", "logit"], in: folder)
      #expect(outcome.status == 1)
      #expect(
        outcome.errors.contains("matches no node, value or weight of the network [C5]; the nearest names are")
      )
      #expect(outcome.errors.contains("\"logits\""))
      #expect(entries(folder).isEmpty)
    }
  }

  @Test("--sensitivity prints a table and writes the documented keys")
  func sensitivity() throws {
    try withTemporaryFolder { folder in
      let outcome = try Tool.succeed(
        [Tool.model, "a.qmodel", "--int8", "--sensitivity", "s.json"] + Tool.calibration,
        in: folder
      )
      #expect(outcome.output.contains("Sensitivity of 20 layers, on 32 samples"))
      let parsed = try JSONSerialization.jsonObject(with: Data(try readFile("\(folder)/s.json")))
      let report = try #require(parsed as? [String: Any])
      #expect(report["format"] as? String == "qconvert-sensitivity-2")
      #expect(report["samples"] as? Int == 32)
      #expect(Set(report.keys) == ["format", "method", "scheme", "samples", "data", "layers"])
      let layers = try #require(report["layers"] as? [[String: Any]])
      #expect(layers.count == 20)
      let keys = [
        "rank", "name", "node", "op", "weight", "weights", "sqnr_db", "activations_sqnr_db",
        "weights_sqnr_db", "kl", "top1_agreement",
      ]
      #expect(layers.allSatisfy { Set($0.keys) == Set(keys) })
      let first = try #require(layers.first?["name"] as? String)
      try Tool.succeed(
        [Tool.model, "b.qmodel", "--int8", "--keep-float", first] + Tool.calibration,
        in: folder
      )
    }
  }

  @Test("a budget that is held is exit code 0, with the curve on standard output")
  func held() throws {
    try withTemporaryFolder { folder in
      let outcome = try Tool.succeed(
        [Tool.model, "a.qmodel", "--int8", "--max-drop", "0.5", "--judge", "\(Tool.digits)/test"]
          + Tool.calibration,
        in: folder
      )
      #expect(outcome.output.contains("Budget: at most 0.5 points of top-1 accuracy lost: "))
      #expect(outcome.output.contains("on 400 samples held out"))
      #expect(outcome.output.contains("one of them is 0.25 points"))
      #expect(outcome.output.contains("<- written"))
      let inspection = try Tool.succeed(["inspect", "a.qmodel"], in: folder).output
      #expect(inspection.contains("budget         at most 0.5 points of top-1 accuracy lost"))
    }
  }

  @Test("one that cannot be held is exit code 1, one clear line, and the best network in OUT")
  func missed() throws {
    try withTemporaryFolder { folder in
      try writeMap(samples: 8, in: folder)
      let outcome = try Tool.run(
        ["map.qmodel", "a.qmodel", "--int8", "--calibrate", "x.npz", "--max-drop", "0"],
        in: folder
      )
      #expect(outcome.status == 1)
      let last = try #require(outcome.errors.split(separator: "\n").last)
      #expect(
        last.hasPrefix("a.qmodel: at most 0 points of cosine lost: not reached with all layers in float")
      )
      #expect(outcome.output.contains("6 of 6 layers in float"))
      #expect(
        try Tool.succeed(["inspect", "a.qmodel", "--json"], in: folder).object()["float_ops"] as? Int == 6
      )
    }
  }

  @Test("Ctrl-C leaves the best network so far in OUT, and is exit code 1 with one clear line")
  func interrupt() throws {
    try withTemporaryFolder { folder in
      try writeMap(samples: 1_200, in: folder)
      let call = try Tool.start(
        ["map.qmodel", "a.qmodel", "--int8", "--calibrate", "x.npz", "--samples", "8", "--max-drop", "0"],
        in: folder
      )
      let deadline = Date(timeIntervalSinceNow: 60)
      while !entries(folder).contains("a.qmodel"), call.process.isRunning, Date() < deadline {
        usleep(2_000)
      }
      usleep(100_000)
      call.process.interrupt()
      let outcome = try call.wait()
      #expect(outcome.status == 1, "\(outcome.errors)")
      #expect(outcome.errors.contains("a.qmodel: at most 0 points of"))
      #expect(outcome.errors.contains("interrupted"))
      #expect(entries(folder).sorted() == ["a.qmodel", "map.qmodel", "x.npz"])
      try Tool.succeed(["inspect", "a.qmodel"], in: folder)
    }
  }
}
