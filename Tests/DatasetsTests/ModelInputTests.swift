import GraphIR
import TestSupport
import Testing

@testable import Datasets

@Suite struct ModelInputTests {
  @Test("integers pick rows of the smallest table they reach; made-up ones stay below")
  func rows() throws {
    var graph = try GraphParser.parse(
      """
      graph @g {
        input %ids: i64[b, t]
        input %mask: i64[b, t]
        const %large: f32[5, 1] = [1, 2, 3, 4, 5]
        const %small: f32[3, 1] = [1, 2, 3]
        %a: f32[b, t, 1] = gather(%large, %ids)
        %c: i32[b, t] = cast(%ids) {to = "i32"}
        %u: i32[b, t, 1] = unsqueeze(%c) {axes = [2]}
        %d: f32[b, t, 1, 1] = gather(%small, %u)
        %m: f32[b, t] = cast(%mask) {to = "f32"}
        output %a
        output %d
        output %m
      }
      """
    )
    try TypeInference.infer(&graph)
    let inputs = ModelInput.inputs(of: graph)
    #expect(inputs.map(\.rows) == [3, nil])
    let values = try Noise.tensor(.int64, [500], below: 3, seed: 7).intValues()
    #expect(Set(values ?? []) == [0, 1, 2])
    #expect(Set(try Noise.tensor(.int64, [500], seed: 7).intValues() ?? []) == Set(0..<16))
  }
}
