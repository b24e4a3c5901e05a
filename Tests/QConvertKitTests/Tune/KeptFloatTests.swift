import BinaryIO
import GraphIR
import TestSupport
import Testing

@testable import QConvertKit

@Suite struct KeptFloatTests {
  private func network() throws -> Graph {
    var network = try graph(
      """
      graph @net {
        input %x: f32[1, 4]
        const %head.0.weight: f32[4, 4] = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
        const %head.1.weight: f32[4, 4] = [2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2]
        %"/head/0/out": f32[1, 4] = gemm(%x, %head.0.weight)
        %r: f32[1, 4] = relu(%"/head/0/out")
        %logits: f32[1, 4] = gemm(%r, %head.1.weight)
        output %logits
      }
      """
    )
    network.name = "net"
    return network
  }

  private func kept(_ patterns: String...) throws -> [String] {
    let graph = try network()
    let nodes = try KeptFloat.nodes(matching: patterns, in: graph)
    return graph.order.filter { nodes[$0] != nil }.map { graph[graph[$0].outputs[0]].name }
  }

  @Test("names of results and weights match, whole or by pattern, also across slashes")
  func matching() throws {
    #expect(try kept() == [])
    #expect(try kept("logits") == ["logits"])
    #expect(try kept("head.0.*") == ["/head/0/out"])
    #expect(try kept("*head*") == ["/head/0/out", "logits"])
    #expect(try kept("/head/*") == ["/head/0/out"])
    #expect(try kept("head.[1].weigh?", "r") == ["r", "logits"])
  }

  @Test("a pattern that matches nothing is refused with the nearest names")
  func unknown() throws {
    expectRefusal(rule: "C5", containing: "\"logits\"") { _ = try kept("logit5") }
    expectRefusal(rule: "C5", containing: "\"head.0.weight\", \"head.1.weight\"") {
      _ = try kept("*", "heads.*.weight")
    }
  }

  @Test("metadata name what is kept, in order, with the format of the weights")
  func text() throws {
    let graph = try network()
    let nodes = try KeptFloat.nodes(matching: ["*head*"], in: graph)
    #expect(KeptFloat.text(nodes, in: graph) == "/head/0/out (f32), logits (f32)")
    #expect(KeptFloat.text([:], in: graph) == nil)
  }
}
