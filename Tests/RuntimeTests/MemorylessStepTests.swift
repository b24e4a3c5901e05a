import BinaryIO
import GraphIR
import Runtime
import TestSupport
import Testing

@Suite("Elementwise and pooling steps") struct MemorylessStepTests {
  private func output(_ real: Float, _ to: Affine) -> UInt8 {
    UInt8(min(max(Double(real.rounded(.toNearestOrEven)) + Double(to.zeroPoint), 0), 255))
  }

  private func expectClose(_ a: Tensor, _ b: Tensor) {
    for (p, q) in zip(bytes(a), bytes(b)) { #expect(abs(Int(p) - Int(q)) <= 1) }
  }

  @Test(
    "Sums, differences and products of broadcast operands",
    arguments: [Binary.Kind.add, .sub, .mul],
    0..<8 as Range<UInt64>
  )
  func binary(kind: Binary.Kind, seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let (a, b) = (try random.bytes([2, 3, 4]), try random.bytes(seed % 2 == 0 ? [2, 3, 4] : [3, 1]))
    let (fromA, fromB, to) = (random.affine(), random.affine(), random.affine())
    var builder = QuantizedBuilder()
    let operands = [try builder.activation(a, fromA), try builder.activation(b, fromB)]
    try builder.quantizedOutput(try builder.node(.binary(Binary(kind)), operands), to)
    let result = try builder.run(expecting: [kind == .mul ? "integer mul" : "integer add"])[0]
    let (x, y) = (try #require(a.intValues()), try #require(b.intValues()))
    let expected = x.indices.map { index -> UInt8 in
      let p = x[index] - Int(fromA.zeroPoint)
      let q = y[seed % 2 == 0 ? index : index / 4 % 3] - Int(fromB.zeroPoint)
      if kind == .mul {
        let m = Float(Double(fromA.scale) * Double(fromB.scale) / Double(to.scale))
        return output(Float(p * q) * m, to)
      }
      let first: Float = Float(p) * Float(Double(fromA.scale) / Double(to.scale))
      let second: Float = Float(q) * Float(Double(fromB.scale) / Double(to.scale))
      return output(kind == .add ? first + second : first - second, to)
    }
    #expect(bytes(result) == expected)
    expectClose(result, try builder.runFloat()[0])
  }

  @Test("Average pools divide by the taps that count", arguments: [true, false], 0..<8 as Range<UInt64>)
  func averagePool(countsPadding: Bool, seed: UInt64) throws {
    var random = SplitMix64(seed: seed + 50)
    let op = AveragePool(
      kernel: [3, 2],
      strides: [2, random.int(1...2)],
      pads: [1, 0, 1, 1],
      dilations: [1, 1],
      ceilMode: random.bool(),
      countIncludePad: countsPadding
    )
    let x = try random.bytes([1, 2, 6, 5])
    let (from, to) = (random.affine(), random.affine())
    var builder = QuantizedBuilder()
    let pooled = try builder.node(.averagePool(op), [try builder.activation(x, from)])
    try builder.quantizedOutput(pooled, to)
    let result = try builder.run(expecting: ["integer average_pool"])[0]
    let values = try #require(x.intValues())
    let expected = (0..<result.count).map { index -> UInt8 in
      let y = coordinates(index, result.shape)
      var (sum, inside, padded) = (0, 0, 0)
      for kh in 0..<3 {
        for kw in 0..<2 {
          let (h, w) = (y[2] * op.strides[0] + kh - 1, y[3] * op.strides[1] + kw)
          if h < 7 && w < 6 { padded += 1 }
          guard let source = flat([y[0], y[1], h, w], x.shape) else { continue }
          inside += 1
          sum += values[source] - Int(from.zeroPoint)
        }
      }
      let n = countsPadding ? padded : inside
      return output(Float(sum) * Float(Double(from.scale) / (Double(to.scale) * Double(n))), to)
    }
    #expect(bytes(result) == expected)
    expectClose(result, try builder.runFloat()[0])
  }

  @Test("Global pools, with and without the spatial axes", arguments: 0..<6 as Range<UInt64>)
  func globalPool(seed: UInt64) throws {
    var random = SplitMix64(seed: seed + 70)
    let x = try random.bytes([2, 3, 5, 3])
    let (from, to) = (random.affine(), random.affine())
    let values = try #require(x.intValues())
    let planes = (0..<6).map { Array(values[$0 * 15..<($0 + 1) * 15]) }
    let mean = planes.map { plane -> UInt8 in
      let sum = plane.reduce(0) { $0 + $1 - Int(from.zeroPoint) }
      return output(Float(sum) * Float(Double(from.scale) / (Double(to.scale) * 15)), to)
    }
    let largest = planes.map { plane in
      IntegerArithmetic.quantize(IntegerArithmetic.dequantize(UInt8(plane.max() ?? 0), from), to)
    }
    let cases: [(Op, [UInt8], [Int])] = [
      (.globalPool(GlobalPool(.average)), mean, [2, 3, 1, 1]),
      (.reduce(Reduce(.mean, axes: [2, 3], keepDims: false)), mean, [2, 3]),
      (.globalPool(GlobalPool(.max)), largest, [2, 3, 1, 1]),
    ]
    for (op, expected, shape) in cases {
      var builder = QuantizedBuilder()
      try builder.quantizedOutput(try builder.node(op, [try builder.activation(x, from)]), to)
      let result = try builder.run(expecting: ["integer global pool"])[0]
      #expect(result.shape == shape && bytes(result) == expected)
      expectClose(result, try builder.runFloat()[0])
    }
  }

  @Test(
    "Steps that move bytes or look them up equal the float operators exactly",
    arguments: 0..<6 as Range<UInt64>
  )
  func exactSteps(seed: UInt64) throws {
    var random = SplitMix64(seed: seed + 90)
    let x = try random.bytes([1, 2, 4, 4])
    let (from, to) = (random.affine(), seed % 2 == 0 ? random.affine() : nil)
    let window = MaxPool(
      kernel: [3, 3],
      strides: [2, 2],
      pads: [1, 1, 1, 1],
      dilations: [1, 1],
      ceilMode: true
    )
    let ops: [(Op, String)] = [
      (.maxPool(window), "integer max_pool"),
      (.unary(Unary(.sigmoid)), "integer table"), (.unary(Unary(.hardSwish)), "integer table"),
      (.unary(Unary(.tanh)), "integer table"), (.gelu(Gelu()), "integer table"),
      (.clip(Clip(min: -1, max: 1)), "integer table"), (.unary(Unary(.log)), "integer table"),
      (.transpose(Transpose(perm: [0, 2, 3, 1])), "integer transpose"),
      (.reshape(Reshape(shape: [0, -1])), "integer reshape"),
      (.slice(Slice(starts: [3], ends: [-9], axes: [2], steps: [-2])), "integer slice"),
      (.pad(Pad(pads: [0, 0, 1, 1, 0, 0, 1, 1])), "integer pad"),
      (.pad(Pad(pads: [0, 0, 1, 1, 0, 0, 2, 1], mode: .reflect)), "integer pad"),
      (.resize(Resize(scales: [1, 1, 2, 2], coordinates: "asymmetric", nearest: "floor")), "integer resize"),
      (.expand(Expand(shape: [3, 1, 2, 4, 4])), "integer expand"),
    ]
    for (op, kind) in ops {
      var builder = QuantizedBuilder()
      try builder.quantizedOutput(try builder.node(op, [try builder.activation(x, from)]), to ?? from)
      let result = try builder.run(expecting: [kind])[0]
      let expected = try builder.runFloat()[0]
      #expect(result.shape == expected.shape && bytes(result) == bytes(expected), "\(op.name)")
    }
  }

  @Test("Concatenation equals the float operator exactly")
  func concat() throws {
    var random = SplitMix64(seed: 120)
    var builder = QuantizedBuilder()
    let to = random.affine()
    var operands: [ValueID?] = []
    for extent in [1, 3, 2] {
      operands.append(
        try builder.activation(try random.bytes([2, extent, 3]), extent == 3 ? to : random.affine())
      )
    }
    try builder.quantizedOutput(try builder.node(.concat(Concat(axis: 1)), operands), to)
    let result = try builder.run(expecting: ["integer concat"])[0]
    #expect(bytes(result) == bytes(try builder.runFloat()[0]) && result.shape == [2, 6, 3])
  }
}
