import BinaryIO
import GraphIR
import Quantization
import TestSupport
import Testing

@testable import Runtime

/// Weights in blocks: against plain loops, and the plan against the reference executor.
@Suite("Weights in blocks") struct BlockWeightTests {
  @Test("each number is its integer times its block's scale", arguments: 2...8)
  func formula(bits: Int) throws {
    var random = SplitMix64(seed: UInt64(bits))
    let (rows, depth, block) = (3, 37, 16)
    let rowBytes = (depth * bits + 7) / 8
    let integers = (0..<(rows * depth)).map { _ in Int(random.next() % (1 << UInt64(bits))) }
    var bytes = [UInt8](repeating: 0, count: rows * rowBytes)
    for (index, integer) in integers.enumerated() {
      for bit in 0..<bits where integer >> bit & 1 == 1 {
        let place = index / depth * rowBytes * 8 + index % depth * bits + bit
        bytes[place / 8] |= 1 << UInt8(place % 8)
      }
    }
    let scales = (0..<(rows * 3)).map { Float16($0 - 4) / 8 + 0.0625 }
    for isTransposed in [false, true] {
      let results = try Reference.evaluate(
        op: .dequantizeBlocks(
          DequantizeBlocks(bits: bits, block: block, depth: depth, isTransposed: isTransposed)
        ),
        inputs: [
          try .make(.uint8, [rows, rowBytes], bytes), try .make(.float16, [rows, 3], scales),
        ]
      )
      let result = try #require(results.first)
      #expect(result.shape == (isTransposed ? [depth, rows] : [rows, depth]))
      let values = result.elements(as: Float.self)
      for row in 0..<rows {
        for k in 0..<depth {
          let expected =
            Float(integers[row * depth + k] - (1 << (bits - 1))) * Float(scales[row * 3 + k / block])
          #expect(values[isTransposed ? k * rows + row : row * depth + k] == expected)
        }
      }
    }
  }

  @Test("matrix products: plan and reference agree with a loop", arguments: [2, 4, 8])
  func products(bits: Int) throws {
    var random = SplitMix64(seed: 5)
    func floats(_ count: Int) -> [Float] { (0..<count).map { _ in Float(random.next() % 2001) / 1000 - 1 } }
    let (rows, depth, columns) = (4, 70, 19)
    let weight = try Tensor.floats(floats(columns * depth), [columns, depth])
    let quantized = try BlockQuantizer(bits: bits, block: 32).quantize(weight, isTransposed: false)
    let packed = try #require(quantized)
    let x = floats(rows * depth)
    for isTransposed in [false, true] {
      var graph = Graph(name: "g")
      let input = graph.addInput("x", TensorType(.float32, known: [rows, depth]))
      let q = graph.addConstant("q", packed.values)
      let s = graph.addConstant("s", packed.scales)
      let op = DequantizeBlocks(bits: bits, block: 32, depth: depth, isTransposed: isTransposed)
      let w = graph.addNode(
        .dequantizeBlocks(op),
        inputs: [q, s],
        outputNames: ["w"],
        outputTypes: [TensorType(.float32, known: isTransposed ? [depth, columns] : [columns, depth])]
      )
      let product = graph.addNode(
        isTransposed ? .matMul(MatMul()) : .gemm(Gemm(transB: true)),
        inputs: [input, graph[w].outputs[0]],
        outputNames: ["y"],
        outputTypes: [TensorType(.float32, known: [rows, columns])]
      )
      graph.addOutput(graph[product].outputs[0])
      let wide = try #require(
        try Reference.evaluate(
          op: .dequantizeBlocks(DequantizeBlocks(bits: bits, block: 32, depth: depth)),
          inputs: [packed.values, packed.scales]
        ).first
      ).elements(as: Float.self)
      for executor in SessionOptions.ExecutorKind.allCases {
        let session = try Session(graph, options: SessionOptions(executor: executor))
        let outputs = try session.run(["x": try .floats(x, [rows, depth])])
        let y = try #require(outputs["y"]).elements(as: Float.self)
        for row in 0..<rows {
          for column in 0..<columns {
            let sum = (0..<depth).reduce(0.0) {
              $0 + Double(x[row * depth + $1]) * Double(wide[column * depth + $1])
            }
            #expect(abs(Double(y[row * columns + column]) - sum) < 2e-5, "\(executor) \(row) \(column)")
          }
        }
      }
    }
  }
}
