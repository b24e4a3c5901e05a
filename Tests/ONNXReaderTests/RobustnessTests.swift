import BinaryIO
import GraphIR
import TestSupport
import Testing

@testable import ONNXReader

/// Damaged files are refused or read, never trapped on.
struct RobustnessTests {
  /// A model with most kinds of messages: constants in two encodings, attributes of all types, metadata.
  private let model = ModelBytes(
    nodes: [
      node("Conv", ["x", "w", "b"], ["c"], [attribute("strides", [1, 1]), attribute("auto_pad", "VALID")]),
      node("Constant", [], ["low"], [attribute("value", tensor: floats("", [], [0]))]),
      node("Clip", ["c", "low"], ["r"]),
      node("LeakyRelu", ["r"], ["l"], [attribute("alpha", 0.5 as Float)]),
      node("Reshape", ["l", "shape"], ["y"]),
    ],
    initializers: [
      floats("w", [2, 1, 1, 1]), tensor("b", 1, [2]).packed(4, [1, 2] as [Float]), int64s("shape", [0, -1]),
    ],
    inputs: [value("x", 1, ["batch", "1", "4", "4"])],
    outputs: [value("y", 1, ["batch", "32"])],
    valueInfo: [value("c", 1, ["batch", "2", "4", "4"])],
    modelFields: ProtoBytes().message(14, ProtoBytes().text(1, "author").text(2, "test"))
  )

  @Test("Every truncation is refused, except the one before the metadata")
  func truncation() throws {
    let bytes = model.bytes
    let complete =
      bytes.count - ProtoBytes().message(14, ProtoBytes().text(1, "author").text(2, "test")).bytes.count
    for count in 0..<bytes.count {
      do {
        _ = try readModel(Array(bytes[..<count]))
        #expect(count == complete, "\(count) of \(bytes.count) bytes were accepted")
      } catch let refusal as Refusal {
        #expect(!refusal.rule.isEmpty && !refusal.description.contains("\n"))
      }
    }
    #expect(try readModel(bytes).order.count == 4)
  }

  #if DEBUG
    private let rounds = 2_500
  #else
    private let rounds = 10_000
  #endif

  @Test("Random damage never traps")
  func mutations() throws {
    let seed: UInt64 = 20_251
    var random = SplitMix64(seed: seed)
    let bytes = model.bytes
    for round in 0..<rounds {
      var damaged = bytes
      for _ in 0...random.int(0...3) {
        let position = random.int(0...(damaged.count - 1))
        switch random.int(0...4) {
        case 0: damaged[position] = UInt8(random.int(0...255))
        case 1: damaged[position] ^= 1 << UInt8(random.int(0...7))
        case 2: damaged.remove(at: position)
        case 3: damaged.insert(UInt8(random.int(0...255)), at: position)
        default:
          let end = min(position + random.int(1...40), damaged.count)
          damaged.insert(contentsOf: damaged[position..<end], at: random.int(0...damaged.count))
        }
      }
      do { _ = try readModel(damaged) } catch let refusal as Refusal {
        #expect(!refusal.description.contains("\n"), "seed \(seed), round \(round)")
      }
    }
  }

  @Test("Empty messages that would fill the memory are refused by the budget")
  func memoryBomb() {
    var limits = Limits()
    limits.objects = 10_000_000
    // A node of two bytes becomes a structure of over 100.
    let node: [UInt8] = [0x0A, 0x00]
    let nodes = Array(repeating: node, count: 450_000).flatMap { $0 }
    let bytes = ProtoBytes().int(1, 8).blob(7, nodes).bytes
    expectRefusal("L11") { try readModel(bytes, limits: limits) }
  }
}
