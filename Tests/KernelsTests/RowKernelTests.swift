import TestSupport
import Testing

@testable import Kernels

/// Stages of rows together against the same stages one by one.
@Suite("row kernel")
struct RowKernelTests {
  /// Which stages a chain has, as bits: addition, normalisation, function, quantization.
  static let chains = 1..<16

  @Test("stages in one pass give the bytes of stages one by one", arguments: chains)
  func stages(chain: Int) throws {
    var numbers = SplitMix64(seed: 41)
    for (rows, columns) in [(1, 1), (3, 17), (40, 64), (37, 771)] {
      let x = numbers.floats(rows * columns, in: -4...4)
      let addend = numbers.floats(rows * columns, in: -4...4)
      let scale = numbers.floats(columns)
      let bias = numbers.floats(columns)
      for (set, threads) in LinearKernelTests.contexts {
        let context = try #require(KernelContext(threads: threads, instructionSet: set))
        var joint = try Joint(rows, columns, x)
        if chain & 1 != 0 { joint.add(try LinearKernelTests.buffer(addend)) }
        if chain & 2 != 0 {
          joint.normalise(try LinearKernelTests.buffer(scale), try LinearKernelTests.buffer(bias))
        }
        if chain & 4 != 0 { joint.kernel.function = .gelu(isTanh: false) }
        try joint.runAtOnce(quantizes: chain & 8 != 0, context)
        try joint.runOneByOne(quantizes: chain & 8 != 0, context)
        #expect(joint.results[0] == joint.results[1], "\(set) \(threads) threads, \(rows)x\(columns)")
        #expect(!joint.results[0].isEmpty)
      }
    }
  }

  /// One chain and the bytes that it gave.
  private struct Joint {
    var kernel: RowKernel
    var operands: RowKernel.Operands
    var results: [[UInt8]] = []

    init(_ rows: Int, _ columns: Int, _ x: [Float]) throws {
      kernel = RowKernel(rows: rows, columns: columns)
      operands = RowKernel.Operands(x: try LinearKernelTests.buffer(x))
    }

    mutating func add(_ addend: Buffer) { operands.addend = addend }

    mutating func normalise(_ scale: Buffer, _ bias: Buffer) {
      kernel.epsilon = 1e-5
      operands.scale = scale
      operands.bias = bias
    }

    private var count: Int { kernel.rows * kernel.columns }

    private func floats() throws -> Buffer { try #require(Memory(count: count * 4)).buffer }

    private func quantized() throws -> RowKernel.Quantized {
      RowKernel.Quantized(
        elements: try #require(Memory(count: count)).buffer,
        scales: try #require(Memory(count: kernel.rows * 4)).buffer,
        zeroPoints: try #require(Memory(count: kernel.rows)).buffer
      )
    }

    private func run(_ kernel: RowKernel, _ operands: RowKernel.Operands, _ context: KernelContext) throws {
      try #require(context.reserve(kernel.scratchBytes))
      kernel.run(operands, in: context)
    }

    private func bytes(_ buffers: [Buffer?]) -> [UInt8] {
      buffers.compactMap { $0 }.flatMap { $0.read($0.count, as: UInt8.self) }
    }

    mutating func runAtOnce(quantizes: Bool, _ context: KernelContext) throws {
      var all = operands
      if all.addend != nil { all.sum = try floats() }
      if all.scale != nil || kernel.function != nil { all.result = try floats() }
      if quantizes { all.quantized = try quantized() }
      try run(kernel, all, context)
      let q = all.quantized
      results.append(bytes([all.sum, all.result, q?.elements, q?.scales, q?.zeroPoints]))
      // Without space for the floats, the bytes stay the same.
      guard quantizes else { return }
      all.sum = nil
      all.result = nil
      all.quantized = try quantized()
      try run(kernel, all, context)
      let again = all.quantized
      #expect(bytes([q?.elements, q?.scales]) == bytes([again?.elements, again?.scales]))
    }

    mutating func runOneByOne(quantizes: Bool, _ context: KernelContext) throws {
      var x = operands.x
      var plain = kernel
      plain.function = nil
      var kept: [Buffer?] = []
      if let addend = operands.addend {
        var stage = RowKernel.Operands(x: x)
        stage.addend = addend
        stage.sum = try floats()
        try run(plain, stage, context)
        x = stage.sum ?? x
        kept.append(x)
      }
      if operands.scale != nil {
        var stage = RowKernel.Operands(x: x)
        (stage.scale, stage.bias) = (operands.scale, operands.bias)
        stage.result = try floats()
        try run(plain, stage, context)
        x = stage.result ?? x
        if kernel.function == nil { kept.append(x) }
      }
      if let function = kernel.function {
        let y = try floats()
        ElementwiseKernel.activate(function, count: count, x, y, in: context)
        x = y
        kept.append(x)
      }
      if quantizes {
        var stage = RowKernel.Operands(x: x)
        stage.quantized = try quantized()
        try run(plain, stage, context)
        kept += [stage.quantized?.elements, stage.quantized?.scales, stage.quantized?.zeroPoints]
      }
      results.append(bytes(kept))
    }
  }
}
