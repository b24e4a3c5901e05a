import BinaryIO
import GraphIR
import Quantization
import TestSupport
import Testing

@testable import Passes

@Suite("PassList")
struct PassListTests {
  @Test("every pass has a file of its own in one of the folders, and every file a pass")
  func files() {
    let folder = "\(packageFolder())/Sources/Passes"
    let groups = ["Canonicalize", "Fold", "Fuse", "Quantize", "Recover"]
    let files = groups.flatMap { entries("\(folder)/\($0)") }.filter { $0 != "IntegerRegions.swift" }
    let names = PassList.all.map { pass in
      pass.name.split(separator: "-").map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined() + ".swift"
    }
    #expect(names.sorted() == files.sorted())
    #expect(Set(PassList.all.map(\.name)).count == PassList.all.count)
  }

  @Test("requirements come before the passes that need them")
  func order() {
    let position = Dictionary(uniqueKeysWithValues: PassList.all.enumerated().map { ($1.name, $0) })
    for pass in PassList.all {
      for requirement in pass.requires {
        #expect((position[requirement] ?? .max) < (position[pass.name] ?? -1))
      }
      #expect(pass.summary.hasSuffix("."))
    }
  }

  @Test("pipelines consist of listed passes, and together use them all")
  func pipelines() {
    var used = Set(Pipelines.float.passes.map(\.name))
    for scheme in ConvertScheme.allCases {
      for activations in ActivationMode.allCases {
        let options = PassOptions(scheme: scheme, activations: activations)
        used.formUnion(Pipelines.quantize(options).passes.map(\.name))
      }
    }
    let recovering = PassOptions(correctsBias: true, rounding: .gptq)
    used.formUnion(Pipelines.recover(recovering).passes.map(\.name))
    var shaping = PassOptions()
    (shaping.smooths, shaping.splitsOutliers, shaping.splitsTokens) = (true, true, true)
    used.formUnion(Pipelines.shape(shaping).passes.map(\.name))
    used.formUnion(Pipelines.recoverBlocks.passes.map(\.name))
    #expect(used == Set(PassList.all.map(\.name)))
  }
}

@Suite("PassManager")
struct PassManagerTests {
  static let text = """
    graph @net {
      input %x: f32[2]
      const %one: f32[] = 1
      %a: f32[2] = mul(%x, %one)
      %y: f32[2] = relu(%a)
      output %y
    }
    """

  @Test("passes that changed the graph are recorded, printed and noted")
  func records() throws {
    var graph = try parse(Self.text)
    var context = PassContext()
    var options = PassManager.Options()
    options.printing = .after(["eliminate-identities"])
    var printed: [String] = []
    let manager = try PassManager(options: options) { printed.append("\($0): \($1)") }
    let records = try manager.run(Pipelines.float, on: &graph, &context)
    #expect(records.first?.pass == "eliminate-identities")
    #expect(records.first?.changes == 1)
    #expect((records.first?.runs ?? 0) > 1)
    #expect(printed.first?.hasPrefix("eliminate-identities: graph @net") == true)
    #expect(graph.metadata[MetadataKey.passes] == "eliminate-identities")
  }

  @Test("a disabled pass does not run")
  func disabled() throws {
    var graph = try parse(Self.text)
    var context = PassContext()
    var options = PassManager.Options()
    options.disabled = ["eliminate-identities"]
    try PassManager(options: options).run(Pipelines.float, on: &graph, &context)
    #expect(graph.value(named: "a") != nil)
  }

  @Test("unknown names, and disabling what another pass needs, are refused")
  func refused() throws {
    var options = PassManager.Options()
    options.disabled = ["fold-everything"]
    #expect(throws: Refusal.self) { try PassManager(options: options) }
    options.disabled = ["insert-quant-stubs"]
    var graph = try parse(Self.text)
    var context = PassContext()
    let refusal = #expect(throws: Refusal.self) {
      try PassManager(options: options).run(Pipelines.quantize(PassOptions()), on: &graph, &context)
    }
    #expect(refusal?.rule == "P3")
  }

  @Test("a pass that breaks the graph is named, and so is a group that never ends")
  func distrust() throws {
    let broken = Pass(name: "break", summary: "Break.") { (graph, _) in
      guard let y = graph.value(named: "y") else { return false }
      graph.setType(TensorType(.float32, known: [3]), of: y)
      return true
    }
    var graph = try parse(Self.text)
    var context = PassContext()
    let refusal = #expect(throws: Refusal.self) {
      try PassManager().run(Pipeline(stages: [.once(broken)]), on: &graph, &context)
    }
    #expect(refusal?.place.contains("after pass break") == true)

    let restless = Pass(name: "restless", summary: "Never rest.") { (_, _) in true }
    graph = try parse(Self.text)
    let endless = #expect(throws: Refusal.self) {
      try PassManager().run(Pipeline(stages: [.fixpoint([restless])]), on: &graph, &context)
    }
    #expect(endless?.rule == "P2")

    let throwing = Pass(name: "throw", summary: "Throw.") { (_, _) throws(Refusal) in
      throw Refusal(.invalid, at: "node", rule: "T1", "is bad", remedy: "")
    }
    let named = #expect(throws: Refusal.self) {
      try PassManager().run(Pipeline(stages: [.once(throwing)]), on: &graph, &context)
    }
    #expect(named?.place == "pass throw, node")
  }
}
