import Glibc
import GraphIR
import Runtime
import TestSupport
import Testing

@Suite("Integer arithmetic") struct ArithmeticTests {
  @Test(
    "Quantization rounds ties to even and saturates",
    arguments: [
      (0.5, 0, 0), (1.5, 0, 2), (2.5, 0, 2), (3.5, 0, 4), (-0.5, 10, 10), (-1.5, 10, 8), (-2.5, 10, 8),
      (254.5, 0, 254), (255.5, 0, 255), (-1, 0, 0), (1e30, 7, 255), (-1e30, 7, 0), (.infinity, 7, 255),
      (-.infinity, 7, 0), (.nan, 7, 7), (.nan, 0, 0), (0.49999997, 0, 0), (-0.0, 3, 3),
    ] as [(Float, UInt8, UInt8)]
  )
  func ties(x: Float, zeroPoint: UInt8, expected: UInt8) {
    #expect(IntegerArithmetic.quantize(x, Affine(scale: 1, zeroPoint: zeroPoint)) == expected)
  }

  @Test("Quantization divides by the scale, it does not multiply by a reciprocal")
  func division() {
    let scale: Float = 0.1
    for step in 0...2550 {
      let x = Float(step) * 0.01
      let exact = (x / scale).rounded(.toNearestOrEven)
      #expect(IntegerArithmetic.quantize(x, Affine(scale: scale, zeroPoint: 0)) == UInt8(min(exact, 255)))
    }
  }

  @Test("A quotient that overflows saturates")
  func overflow() {
    let tiny = Affine(scale: 0x1p-126, zeroPoint: 9)
    #expect(IntegerArithmetic.quantize(3e38, tiny) == 255)
    #expect(IntegerArithmetic.quantize(-3e38, tiny) == 0)
  }

  @Test("Signed 8 and 16 bit types have their own limits")
  func signedLimits() throws {
    let x = try Tensor.floats([-200, -128.5, -0.5, 127.5, .nan, 40_000, -40_000])
    let stub = Stub(dtype: .int8, scales: [1], zeroPoints: [0], axis: nil)
    #expect(try Reference.quantize(x, stub).elements(as: Int8.self) == [-128, -128, 0, 127, 0, 127, -128])
    let wide = Stub(dtype: .int16, scales: [1], zeroPoints: [0], axis: nil)
    #expect(
      try Reference.quantize(x, wide).elements(as: Int16.self) == [-200, -128, 0, 128, 0, 32_767, -32_768]
    )
  }

  @Test("Quantization per channel uses the scale of the axis")
  func perChannel() throws {
    let x = try Tensor.floats([1, 2, 3, 4, 5, 6], [2, 3])
    let stub = Stub(dtype: .int8, scales: [1, 0.5, 2], zeroPoints: [0, 1, -1], axis: 1)
    let q = try Reference.quantize(x, stub)
    #expect(q.elements(as: Int8.self) == [1, 5, 1, 4, 11, 2])
    #expect(try Reference.dequantize(q, stub).elements(as: Float.self) == [1, 2, 4, 4, 5, 6])
  }

  @Test("The bias scale is the f64 product rounded once")
  func biasScale() throws {
    let (a, b): (Float, Float) = (0.1, 0.3)
    let q = try Tensor.make(.int32, [2], [Int32(1), 16_777_217])
    let result = try Reference.evaluate(
      op: .dequantizeBias(DequantizeBias()),
      inputs: [q, Tensor.floats([a], []), Tensor.floats([b, 2], [2])]
    )
    #expect(
      result[0].elements(as: Float.self) == [
        Float(Double(a) * Double(b)), Float(16_777_217 as Int32) * Float(Double(a) * 2),
      ]
    )
  }

  @Test(
    "Dynamic parameters",
    arguments: [
      ([], 1, 0), ([0, 0], 1, 0), ([1, 2], 2 / 255, 0), ([-2, -1], 2 / 255, 255), ([-1, 1], 2 / 255, 127),
      ([-1, 3], 4 / 255, 64), ([.nan, 255], 1, 0), ([.infinity, -.infinity, 51], 0.2, 0), ([0x1p-130], 1, 0),
      ([.nan], 1, 0), ([-3e38, 3e38], Float.greatestFiniteMagnitude / 255, 225),
    ] as [([Float], Float, UInt8)]
  )
  func dynamic(values: [Float], scale: Float, zeroPoint: UInt8) {
    let affine = IntegerArithmetic.dynamicParameters(values)
    #expect(affine == Affine(scale: scale, zeroPoint: zeroPoint))
  }

  @Test("Dynamic quantization covers NaN and infinity without a trap")
  func dynamicSpecials() throws {
    let x = try Tensor.floats([-1, .nan, .infinity, 3, -.infinity, 0])
    let results = try Reference.evaluate(op: .dynamicQuantize(DynamicQuantize()), inputs: [x])
    #expect(results[0].elements(as: UInt8.self) == [0, 64, 255, 255, 0, 64])
    #expect(results[1].shape == [] && results[2].elements(as: UInt8.self) == [64])
  }

  @Test("The limits of a fused clamp equal clamping before quantization, for every accumulator")
  func clampIsExact() throws {
    var random = SplitMix64(seed: 7)
    for _ in 0..<50 {
      let output = Affine(scale: random.float(0.01...0.2), zeroPoint: UInt8(random.int(0...255)))
      let (low, high) = (random.float(-4...1), random.float(1...8))
      for activation in [
        Activation.none, .relu, .clip(min: low, max: high), .clip(min: -.infinity, max: high),
      ] {
        let clamp = try #require(OutputClamp(activation, output: output))
        for _ in 0..<100 {
          let x = random.float(-20...20)
          let expected = IntegerArithmetic.quantize(Pointwise.apply(activation, x), output)
          #expect(clamp(x / output.scale) == expected)
        }
      }
    }
  }

  @Test("A clamp whose lower bound exceeds the upper one gives the upper one")
  func crossedClamp() throws {
    let output = Affine(scale: 1, zeroPoint: 0)
    let clamp = try #require(OutputClamp(.clip(min: 9, max: 3), output: output))
    #expect(clamp(0) == 3 && clamp(100) == 3)
    #expect(Pointwise.apply(.clip(min: 9, max: 3), 0) == 3)
  }

  @Test("Multipliers outside of the admissible range are nil")
  func admissible() {
    #expect(IntegerArithmetic.multiplier(1e-30, 1e-30, over: 1e20) == nil)
    #expect(IntegerArithmetic.multiplier(1e18, 1e18, over: 1e-10) == nil)
    #expect(IntegerArithmetic.multiplier(0.5, 0.25, over: 0.125) == 1)
  }

  @Test("The requantization table is the identity for equal parameters, and rounds to even otherwise")
  func requantizeTable() {
    let a = Affine(scale: 0.5, zeroPoint: 0)
    #expect(IntegerArithmetic.requantizeTable(from: a, to: a) == nil)
    let table = IntegerArithmetic.requantizeTable(from: a, to: Affine(scale: 1, zeroPoint: 0))
    #expect(table.map { Array($0[0..<8]) } == [0, 0, 1, 2, 2, 2, 3, 4])
  }
}

@Suite("Exact functions") struct ExactMathTests {
  private func expectNear(_ name: String, _ value: Double, _ reference: Double, at x: Double) {
    guard value != reference, !(value.isNaN && reference.isNaN) else { return }
    let error = (value - reference).magnitude / max(reference.magnitude, 1e-300)
    #expect(error < 0x1p-45, "\(name)(\(x)) = \(value), expected \(reference)")
  }

  @Test("They agree with the C library to 2^-45")
  func agreement() {
    var random = SplitMix64(seed: 3)
    for _ in 0..<20_000 {
      let x = Double(random.float(-30...30))
      expectNear("exp", ExactMath.exp(x), Glibc.exp(x), at: x)
      expectNear("sigmoid", ExactMath.sigmoid(x), 1 / (1 + Glibc.exp(-x)), at: x)
      expectNear("tanh", ExactMath.tanh(x), Glibc.tanh(x), at: x)
      let plus = max(x, 0) + Glibc.log1p(Glibc.exp(-x.magnitude))
      expectNear("mish", ExactMath.mish(x), x * Glibc.tanh(plus), at: x)
      expectNear("elu", ExactMath.elu(x, 0.5, 2), 2 * (x < 0 ? 0.5 * Glibc.expm1(x) : x), at: x)
      expectNear("softplus", ExactMath.softplus(x), max(x, 0) + Glibc.log1p(Glibc.exp(-x.magnitude)), at: x)
      let small = x / 5
      expectNear("erf", ExactMath.erf(small), Glibc.erf(small), at: small)
      let positive = Glibc.exp(x * 10)
      expectNear("log", ExactMath.log(positive), Glibc.log(positive), at: positive)
      let tiny = x * 1e-5
      expectNear("tanh", ExactMath.tanh(tiny), Glibc.tanh(tiny), at: tiny)
    }
    for x in stride(from: -745.0, through: 709.7, by: 0.37) where x > -700 {
      expectNear("exp", ExactMath.exp(x), Glibc.exp(x), at: x)
    }
  }

  @Test("Known bits do not change")
  func pinned() {
    #expect(ExactMath.exp(1).bitPattern == 0x4005_BF0A_8B14_576A)
    #expect(Pointwise.unary(.exp)(1).bitPattern == 0x402D_F854)
    #expect(Pointwise.unary(.sigmoid)(0.5).bitPattern == Float(0.62245935).bitPattern)
    #expect(Pointwise.unary(.tanh)(0.25) == 0.24491866)
    #expect(Pointwise.unary(.erf)(0.5) == 0.5204999)
    #expect(Pointwise.unary(.log)(10) == 2.3025851)
    #expect(Pointwise.gelu(isTanh: false)(1) == Float(0.8413447460685429))
    #expect(Pointwise.gelu(isTanh: true)(1) == 0.841192)
  }

  @Test("Limits and special values")
  func limits() {
    #expect(ExactMath.exp(.infinity) == .infinity && ExactMath.exp(-.infinity) == 0)
    #expect(ExactMath.exp(.nan).isNaN && ExactMath.exp(710) == .infinity && ExactMath.exp(-746) == 0)
    #expect(ExactMath.exp(-740) > 0 && ExactMath.exp(709.78) < .infinity)
    #expect(ExactMath.sigmoid(-.infinity) == 0 && ExactMath.sigmoid(.infinity) == 1)
    #expect(ExactMath.tanh(.infinity) == 1 && ExactMath.tanh(-.infinity) == -1 && ExactMath.tanh(.nan).isNaN)
    #expect(ExactMath.erf(7) == 1 && ExactMath.erf(-.infinity) == -1 && ExactMath.erf(0) == 0)
    #expect(
      ExactMath.log(0) == -.infinity && ExactMath.log(-1).isNaN && ExactMath.log(.infinity) == .infinity
    )
    #expect(ExactMath.log(.nan).isNaN && ExactMath.log(1) == 0)
    #expect(ExactMath.softplus(-800) == 0 && ExactMath.softplus(800) == 800)
    #expect(ExactMath.log(.leastNonzeroMagnitude) < -744)
  }

  @Test("NaN passes through every pointwise function")
  func nan() {
    for kind in Unary.Kind.allCases where kind != .not {
      #expect(Pointwise.unary(kind)(.nan).isNaN, "\(kind)")
    }
    let activations: [Activation] = [
      .none, .relu, .clip(min: 0, max: 6), .sigmoid, .hardSigmoid(alpha: 0.2, beta: 0.5), .hardSwish, .silu,
      .leakyRelu(alpha: 0.1),
    ]
    for activation in activations { #expect(Pointwise.apply(activation, .nan).isNaN, "\(activation)") }
  }
}
