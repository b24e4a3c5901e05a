import BinaryIO
import GraphIR
import Runtime
import TestSupport
import Testing

/// Convolutions by their definition: every output element, every tap, in wide integers.
private struct NaiveConv {
  let op: Conv
  let x: Tensor
  let w: Tensor

  /// Accumulators without bias, with the output's shape.
  func accumulators(zeroPoint: Int) throws -> (values: [Int], shape: [Int]) {
    let (a, b) = (try #require(x.intValues()), try #require(w.intValues()))
    let shape = try #require(
      try op.inferTypes([
        OperandInfo(type: TensorType(.float32, known: x.shape)),
        OperandInfo(type: TensorType(.float32, known: w.shape)),
      ])[0].knownDims
    )
    let axes = w.shape.count - 2
    let kernel = Array(w.shape.dropFirst(2))
    let perGroup = w.shape[1]
    var values: [Int] = []
    for index in 0..<shape.reduce(1, *) {
      let y = coordinates(index, shape)
      let first = y[1] / (shape[1] / op.group) * perGroup
      var sum = 0
      for c in 0..<perGroup {
        for k in 0..<kernel.reduce(1, *) {
          let tap = coordinates(k, kernel)
          var place = [y[0], first + c]
          for axis in 0..<axes {
            let begin: Int = y[2 + axis] * op.strides[axis] - op.pads[axis]
            place.append(begin + tap[axis] * op.dilations[axis])
          }
          guard let source = flat(place, x.shape) else { continue }
          let weight = try #require(flat([y[1], c] + tap, w.shape))
          sum += (a[source] - zeroPoint) * b[weight]
        }
      }
      values.append(sum)
    }
    return (values, shape)
  }
}

/// Section 4.1, written once more.
private func requantized(
  _ acc: Int,
  _ input: Affine,
  _ weight: Float,
  _ output: Affine,
  _ limits: (UInt8, UInt8)
) -> UInt8 {
  let m = Float(Double(input.scale) * Double(weight) / Double(output.scale))
  let rounded = (Float(Int32(acc)) * m).rounded(.toNearestOrEven)
  let q = min(max(Double(rounded) + Double(output.zeroPoint), 0), 255)
  return min(max(UInt8(q), limits.0), limits.1)
}

@Suite("Linear steps") struct LinearStepTests {
  private func geometry(_ random: inout SplitMix64) -> (op: Conv, input: [Int], weight: [Int]) {
    let axes = random.int(1...3)
    let group = [1, 1, 2, 3][random.int(0...3)]
    let perGroup = group == 3 ? 1 : random.int(1...3)
    let outputs = group * random.int(1...2)
    let kernel = (0..<axes).map { _ in random.int(1...3) }
    let op = Conv(
      strides: (0..<axes).map { _ in random.int(1...3) },
      pads: (0..<2 * axes).map { _ in random.int(0...2) },
      dilations: (0..<axes).map { _ in random.int(1...2) },
      group: group
    )
    let extents = (0..<axes).map { _ in random.int(5...7) }
    return (op, [random.int(1...2), group * perGroup] + extents, [outputs, perGroup] + kernel)
  }

  @Test("Convolutions equal their definition, byte for byte", arguments: 0..<40)
  func conv(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    var (op, input, weightShape) = geometry(&random)
    let x = try random.bytes(input)
    let w = try random.weights(weightShape)
    let (from, to) = (random.affine(), random.affine())
    let scales = random.scales(weightShape[0])
    let bias = random.biases(weightShape[0])
    op.activation = [.none, .relu, .clip(min: -0.5, max: 2)][random.int(0...2)]
    var builder = QuantizedBuilder()
    let xf = try builder.activation(x, from)
    let (wf, ws) = try builder.weight(w, scales, axis: 0)
    let bf = try builder.bias(bias, input: from, weightScale: ws)
    try builder.quantizedOutput(try builder.node(.conv(op), [xf, wf, bf]), to)
    let depthwise = op.group > 1 && weightShape[1] == 1
    let result = try builder.run(expecting: [depthwise ? "integer depthwise conv" : "integer conv"])[0]

    let (sums, shape) = try NaiveConv(op: op, x: x, w: w).accumulators(zeroPoint: Int(from.zeroPoint))
    #expect(result.shape == shape)
    let limits: (UInt8, UInt8) =
      switch op.activation {
      case .relu: (to.zeroPoint, 255)
      case .clip(let low, let high):
        (IntegerArithmetic.quantize(low, to), IntegerArithmetic.quantize(high, to))
      default: (0, 255)
      }
    let channel = { (index: Int) in index / shape.dropFirst(2).reduce(1, *) % shape[1] }
    let expected = sums.enumerated().map { (index, sum) in
      let c = channel(index)
      return requantized(sum + Int(bias[c]), from, scales[c], to, limits)
    }
    #expect(bytes(result) == expected)
    try expectClose(result, try builder.runFloat()[0])
  }

  /// A lowered step may differ from the float operators between the stubs by one, where a rounding falls otherwise.
  private func expectClose(_ a: Tensor, _ b: Tensor) throws {
    for (p, q) in zip(bytes(a), bytes(b)) { #expect(abs(Int(p) - Int(q)) <= 1) }
  }

  @Test("Float convolutions of integers are exact", arguments: 0..<20)
  func floatConv(seed: UInt64) throws {
    var random = SplitMix64(seed: seed + 100)
    let (op, input, weightShape) = geometry(&random)
    let x = try random.ints(.int8, input, in: -9...9)
    let w = try random.ints(.int8, weightShape, in: -9...9)
    let (sums, shape) = try NaiveConv(op: op, x: x, w: w).accumulators(zeroPoint: 0)
    let operands = try [x, w].map { try Tensor.floats(try #require($0.floatValues()), $0.shape) }
    let result = try Reference.evaluate(op: .conv(op), inputs: operands)[0]
    #expect(result.shape == shape && result.elements(as: Float.self) == sums.map { Float($0) })
  }

  @Test("A float result and other activations follow the real tail", arguments: 0..<10)
  func realTail(seed: UInt64) throws {
    var random = SplitMix64(seed: seed + 200)
    let (x, w) = (try random.bytes([1, 3, 5, 5]), try random.weights([4, 3, 3, 3]))
    let (from, to) = (random.affine(), random.affine())
    let (scales, bias) = (random.scales(4), (0..<4).map { _ in random.float() })
    let op = Conv(strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1], activation: .hardSwish)
    let (sums, shape) = try NaiveConv(op: op, x: x, w: w).accumulators(zeroPoint: Int(from.zeroPoint))
    let expected = sums.indices.map { index -> Float in
      let c = index / 25 % 4
      let product = Float(Int32(sums[index])) * Float(Double(from.scale) * Double(scales[c]))
      return Pointwise.apply(.hardSwish, product + bias[c])
    }
    for isQuantized in [false, true] {
      var builder = QuantizedBuilder()
      let xf = try builder.activation(x, from)
      let (wf, _) = try builder.weight(w, scales, axis: 0)
      let b = builder.graph.addConstant("b", try .floats(bias))
      let y = try builder.node(.conv(op), [xf, wf, b])
      if isQuantized { try builder.quantizedOutput(y, to) } else { builder.graph.addOutput(y) }
      let result = try builder.run(expecting: ["integer conv"])[0]
      #expect(result.shape == shape)
      if isQuantized {
        #expect(bytes(result) == expected.map { IntegerArithmetic.quantize($0, to) })
      } else {
        #expect(result.elements(as: Float.self) == expected)
      }
    }
  }

  @Test("Dynamic convolutions scale by the range of their input", arguments: 0..<10)
  func dynamicConv(seed: UInt64) throws {
    var random = SplitMix64(seed: seed + 300)
    let x = try random.floats([2, 2, 4, 4], in: -3...5)
    let (w, scales) = (try random.weights([2, 1, 3, 3]), random.scales(2))
    let op = Conv(strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1], group: 2, activation: .relu)
    var builder = QuantizedBuilder()
    let xf = try builder.dynamicActivation(x)
    let (wf, _) = try builder.weight(w, scales, axis: 0)
    let b = builder.graph.addConstant("b", try .floats([0.5, -0.25]))
    builder.graph.addOutput(try builder.node(.conv(op), [xf, wf, b]))
    let result = try builder.run(expecting: ["dynamic quantize", "dynamic conv"])[0]

    let affine = IntegerArithmetic.dynamicParameters(x.elements(as: Float.self))
    let q = try Tensor.make(
      .uint8,
      x.shape,
      x.elements(as: Float.self).map { IntegerArithmetic.quantize($0, affine) }
    )
    let (sums, _) = try NaiveConv(op: op, x: q, w: w).accumulators(zeroPoint: Int(affine.zeroPoint))
    let bias: [Float] = [0.5, -0.25]
    let expected = sums.indices.map { index -> Float in
      let c = index / 16 % 2
      let scale = Float(Double(affine.scale) * Double(scales[c]))
      let product: Float = Float(Int32(sums[index])) * scale
      let r: Float = product + bias[c]
      return r < 0 ? 0 : r
    }
    #expect(result.elements(as: Float.self) == expected)
  }

  @Test("Transposed convolutions equal the scatter of their definition", arguments: 0..<15)
  func convTranspose(seed: UInt64) throws {
    var random = SplitMix64(seed: seed + 400)
    let op = ConvTranspose(
      strides: [random.int(1...2), random.int(1...2)],
      pads: [random.int(0...1), 0, random.int(0...1), 1],
      dilations: [1, random.int(1...2)],
      outputPadding: [0, 0]
    )
    let (x, w) = (try random.bytes([1, 2, 4, 3]), try random.weights([2, 3, 3, 2]))
    let (from, to, scales) = (random.affine(), random.affine(), random.scales(3))
    var builder = QuantizedBuilder()
    let xf = try builder.activation(x, from)
    let (wf, _) = try builder.weight(w, scales, axis: 1)
    try builder.quantizedOutput(try builder.node(.convTranspose(op), [xf, wf]), to)
    let result = try builder.run(expecting: ["integer conv_transpose"])[0]
    let (a, b) = (try #require(x.intValues()), try #require(w.intValues()))
    var sums = [Int](repeating: 0, count: result.count)
    for source in a.indices {
      let i = coordinates(source, x.shape)
      for weight in b.indices {
        let k = coordinates(weight, w.shape)
        guard k[0] == i[1] else { continue }
        var place = [i[0], k[1]]
        for axis in 0..<2 {
          let begin: Int = i[2 + axis] * op.strides[axis] - op.pads[axis]
          place.append(begin + k[2 + axis] * op.dilations[axis])
        }
        guard let target = flat(place, result.shape) else { continue }
        sums[target] += (a[source] - Int(from.zeroPoint)) * b[weight]
      }
    }
    let plane = result.shape.dropFirst(2).reduce(1, *)
    let expected = sums.indices.map { requantized(sums[$0], from, scales[$0 / plane % 3], to, (0, 255)) }
    #expect(bytes(result) == expected)
    try expectClose(result, try builder.runFloat()[0])
  }

  @Test(
    "Matrix products, both ways round, static and dynamic",
    arguments: [true, false],
    0..<5 as Range<UInt64>
  )
  func gemm(isTransposed: Bool, seed: UInt64) throws {
    var random = SplitMix64(seed: seed + 500)
    let x = try random.bytes([3, 7])
    let w = try random.weights(isTransposed ? [5, 7] : [7, 5])
    let (from, to, scales, bias) = (random.affine(), random.affine(), random.scales(5), random.biases(5))
    var builder = QuantizedBuilder()
    let xf = try builder.activation(x, from)
    let (wf, ws) = try builder.weight(w, scales, axis: isTransposed ? 0 : 1)
    let bf = try builder.bias(bias, input: from, weightScale: ws)
    try builder.quantizedOutput(try builder.node(.gemm(Gemm(transB: isTransposed)), [xf, wf, bf]), to)
    let result = try builder.run(expecting: ["integer gemm"])[0]
    let (a, b) = (try #require(x.intValues()), try #require(w.intValues()))
    var expected: [UInt8] = []
    for index in 0..<15 {
      let (row, column) = (index / 5, index % 5)
      var sum = Int(bias[column])
      for k in 0..<7 {
        let weight = isTransposed ? b[column * 7 + k] : b[k * 5 + column]
        sum += (a[row * 7 + k] - Int(from.zeroPoint)) * weight
      }
      expected.append(requantized(sum, from, scales[column], to, (0, 255)))
    }
    #expect(bytes(result) == expected)
    try expectClose(result, try builder.runFloat()[0])
  }

  @Test("A dynamic matrix product with leading axes")
  func dynamicMatMul() throws {
    var random = SplitMix64(seed: 600)
    let x = try random.floats([2, 3, 4], in: -1...1)
    let (w, scales) = (try random.weights([4, 5]), random.scales(5))
    var builder = QuantizedBuilder()
    let xf = try builder.dynamicActivation(x)
    let (wf, _) = try builder.weight(w, scales, axis: 1)
    builder.graph.addOutput(try builder.node(.matMul(MatMul()), [xf, wf]))
    let result = try builder.run(expecting: ["dynamic quantize", "dynamic gemm"])[0]
    #expect(result.shape == [2, 3, 5])
    let affine = IntegerArithmetic.dynamicParameters(x.elements(as: Float.self))
    let b = try #require(w.intValues())
    let values = x.elements(as: Float.self)
    for index in 0..<30 {
      var sum = 0
      for k in 0..<4 {
        let q = Int(IntegerArithmetic.quantize(values[index / 5 * 4 + k], affine)) - Int(affine.zeroPoint)
        sum += q * b[k * 5 + index % 5]
      }
      let expected = Float(Int32(sum)) * Float(Double(affine.scale) * Double(scales[index % 5]))
      #expect(result.elements(as: Float.self)[index] == expected)
    }
  }

  @Test("An accumulator at the limit of K5 is exact, one beyond stays float")
  func accumulatorLimit() throws {
    func program(taps: Int) throws -> Program {
      var builder = QuantizedBuilder()
      let x = try Tensor.make(.uint8, [1, taps], [UInt8](repeating: 255, count: taps))
      let xf = try builder.activation(x, Affine(scale: 1, zeroPoint: 0))
      let w = try Tensor.make(.int8, [1, taps], [Int8](repeating: 127, count: taps))
      let (wf, _) = try builder.weight(w, [1], axis: 0)
      builder.graph.addOutput(try builder.node(.gemm(Gemm(transB: true)), [xf, wf]))
      guard taps <= 66_311 else { return Lowering.lower(builder.graph) }
      let result = try builder.run(expecting: ["integer gemm"])[0]
      #expect(result.elements(as: Float.self) == [Float(taps * 255 * 127)])
      return Lowering.lower(builder.graph)
    }
    #expect(try program(taps: 66_311).steps.map(\.kind.name) == ["integer gemm"])
    let beyond = try program(taps: 66_312)
    #expect(beyond.steps.last?.reason?.contains("K5") == true)
  }
}
