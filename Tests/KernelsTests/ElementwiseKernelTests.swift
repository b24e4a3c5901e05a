import Foundation
import TestSupport
import Testing

@testable import Kernels

/// Pointwise kernels against the formulas of `schemas/arithmetic.md`, on every instruction set.
@Suite("elementwise kernels")
struct ElementwiseKernelTests {
  static let sizes = [1, 15, 16, 17, 63, 64, 65, 1009, 70000]
  static let extremes: [Float] = [
    0, -0.0, .infinity, -.infinity, .nan, 3.4e38, -3.4e38, .leastNonzeroMagnitude, 0.5, -0.5, 1.5, 2.5,
  ]

  private func forEachContext(_ body: (KernelContext) throws -> Void) throws {
    for (set, threads) in LinearKernelTests.contexts {
      try body(try #require(KernelContext(threads: threads, instructionSet: set)))
    }
  }

  private func memory(_ count: Int) throws -> Buffer { try #require(Memory(count: count)).buffer }

  static func quantized(_ x: Float, _ scale: Float, _ zero: UInt8) -> UInt8 {
    let quotient = x / scale
    guard !quotient.isNaN else { return zero }
    return UInt8(min(max(Double(quotient.rounded(.toNearestOrEven)) + Double(zero), 0), 255))
  }

  @Test("quantization rounds to even, saturates, and takes NaN for 0")
  func quantize() throws {
    var numbers = SplitMix64(seed: 21)
    for size in ElementwiseKernelTests.sizes {
      let x = Array((ElementwiseKernelTests.extremes + numbers.floats(size, in: -200...200)).suffix(size))
      for (scale, zero) in [(Float(1), UInt8(0)), (0.37, 255), (0.5, 128), (1e-3, 7)] {
        let expected = x.map { ElementwiseKernelTests.quantized($0, scale, zero) }
        let back = expected.map { Float(Int($0) - Int(zero)) * scale }
        try forEachContext { context in
          let bytes = try memory(size)
          let floats = try memory(size * 4)
          let input = try LinearKernelTests.buffer(x)
          ElementwiseKernel.quantize(scale: scale, zeroPoint: zero, count: size, input, bytes, in: context)
          #expect(bytes.read(size, as: UInt8.self) == expected, "\(context.instructionSet) \(size)")
          ElementwiseKernel.dequantize(scale: scale, zeroPoint: zero, count: size, bytes, floats, in: context)
          #expect(floats.read(size, as: Float.self) == back, "\(context.instructionSet) \(size)")
        }
      }
    }
  }

  @Test("quotients next to a half round as a division rounds them, whatever the scale")
  func quantizeTies() throws {
    var numbers = SplitMix64(seed: 29)
    for _ in 0..<60 {
      let exponent = numbers.int(30...220) << 23
      let mantissa = numbers.pick([0, 1, 0x7F_FFFF, numbers.int(0...0x7F_FFFF)])
      let scale = Float(bitPattern: UInt32(exponent | mantissa))
      let zero = UInt8(numbers.int(0...255))
      let x = (0..<1000).map { _ -> Float in
        let product = (Float(numbers.int(-260...260)) + 0.5) * scale
        let neighbour = Int(product.bitPattern) + numbers.int(-3...3)
        return Float(bitPattern: UInt32(neighbour))
      }
      let expected = x.map { ElementwiseKernelTests.quantized($0, scale, zero) }
      try forEachContext { context in
        let bytes = try memory(x.count)
        let input = try LinearKernelTests.buffer(x)
        ElementwiseKernel.quantize(scale: scale, zeroPoint: zero, count: x.count, input, bytes, in: context)
        #expect(bytes.read(x.count, as: UInt8.self) == expected, "\(context.instructionSet) \(scale)")
      }
    }
  }

  @Test("tables give the entry of every byte, in place or not, and write nothing else")
  func tables() throws {
    var numbers = SplitMix64(seed: 30)
    for size in ElementwiseKernelTests.sizes + [31, 32, 33, 127, 129] {
      let entries = numbers.bytes(256)
      let x = size > 300 ? (0..<size).map { UInt8($0 % 256) } : numbers.bytes(size)
      let expected = x.map { entries[Int($0)] }
      try forEachContext { context in
        let input = try LinearKernelTests.buffer(x)
        let output = try memory(size + 64)
        ElementwiseKernel.table(entries, count: size, input, output, in: context)
        #expect(output.read(size + 64, as: UInt8.self) == expected + [UInt8](repeating: 0, count: 64))
        ElementwiseKernel.table(entries, count: size, input, input, in: context)
        #expect(input.read(size, as: UInt8.self) == expected, "\(context.instructionSet) \(size)")
      }
    }
  }

  @Test("dynamic quantization ignores what is not finite and includes 0")
  func dynamicQuantize() throws {
    var numbers = SplitMix64(seed: 22)
    for size in ElementwiseKernelTests.sizes {
      for range in [-1...3.0, 2...5.0, -7...(-6.5), 0...0] as [ClosedRange<Float>] {
        var x = numbers.floats(size, in: range)
        if size > 20 { x.replaceSubrange(3..<6, with: [.nan, .infinity, -.infinity]) }
        let finite = x.filter(\.isFinite)
        let lo = min(0, finite.min() ?? 0)
        let hi = max(0, finite.max() ?? 0)
        var scale = (hi - lo) / 255
        if scale < .leastNormalMagnitude { scale = 1 }
        let zero = UInt8(min(max((-lo / scale).rounded(.toNearestOrEven), 0), 255))
        let expected = x.map { ElementwiseKernelTests.quantized($0, scale, zero) }
        try forEachContext { context in
          let bytes = try memory(size)
          let got = ElementwiseKernel.dynamicQuantize(
            count: size,
            try LinearKernelTests.buffer(x),
            bytes,
            in: context
          )
          #expect(got.scale == scale && got.zeroPoint == zero, "\(context.instructionSet) \(size) \(range)")
          #expect(bytes.read(size, as: UInt8.self) == expected, "\(context.instructionSet) \(size) \(range)")
        }
      }
    }
  }

  @Test("sums and products of bytes round as written down")
  func byteBinary() throws {
    var numbers = SplitMix64(seed: 23)
    for size in ElementwiseKernelTests.sizes {
      let a = numbers.bytes(size)
      let b = numbers.bytes(size)
      let clamp = ByteClamp(zeroPoint: 11, lowest: 11, highest: 250)
      let sum = zip(a, b).map { a, b in
        let left = Float(Int(a) - 128) * (0.7 as Float)
        let right = Float(Int(b) - 3) * (0.31 as Float)
        return UInt8(min(max((left + right).rounded(.toNearestOrEven) + 11, 11), 250))
      }
      let product = zip(a, b).map { a, b in
        let real = Float((Int(a) - 128) * (Int(b) - 3)) * (0.004 as Float)
        return UInt8(min(max(real.rounded(.toNearestOrEven) + 11, 11), 250))
      }
      let add = ByteBinary(.add(multiplierA: 0.7, multiplierB: 0.31), zeroPointA: 128, zeroPointB: 3, clamp)
      let multiply = ByteBinary(.multiply(multiplier: 0.004), zeroPointA: 128, zeroPointB: 3, clamp)
      try forEachContext { context in
        let (left, right) = (try LinearKernelTests.buffer(a), try LinearKernelTests.buffer(b))
        let y = try memory(size)
        ElementwiseKernel.bytes(add, .equal(count: size), left, right, y, in: context)
        #expect(y.read(size, as: UInt8.self) == sum, "\(context.instructionSet) \(size)")
        ElementwiseKernel.bytes(add.swapped, .equal(count: size), right, left, y, in: context)
        #expect(y.read(size, as: UInt8.self) == sum, "\(context.instructionSet) \(size)")
        ElementwiseKernel.bytes(multiply, .equal(count: size), left, right, y, in: context)
        #expect(y.read(size, as: UInt8.self) == product, "\(context.instructionSet) \(size)")
      }
    }
  }

  @Test("operands per channel meet every pixel")
  func channels() throws {
    var numbers = SplitMix64(seed: 24)
    let (batch, pixels, channels) = (2, 300, 37)
    let a = numbers.floats(batch * pixels * channels)
    let b = numbers.floats(batch * channels)
    let expected = a.indices.map { a[$0] * b[$0 / channels / pixels * channels + $0 % channels] }
    try forEachContext { context in
      let y = try memory(a.count * 4)
      ElementwiseKernel.floats(
        .multiply,
        .channels(batch: batch, pixels: pixels, channels: channels),
        try LinearKernelTests.buffer(a),
        try LinearKernelTests.buffer(b),
        y,
        in: context
      )
      #expect(y.read(a.count, as: Float.self) == expected)
    }
  }

  @Test("activations are exact or within 4 ulp (1e-36 at least), and the same on every instruction set")
  func activations() throws {
    var numbers = SplitMix64(seed: 25)
    let x =
      ElementwiseKernelTests.extremes + numbers.floats(5000, in: -110...110)
      + numbers.floats(5000, in: -6...6)
    func sigmoid(_ x: Double) -> Double { 1 / (1 + exponential(-x)) }
    let functions: [(PointwiseFunction, ulps: Float, (Float) -> Float)] = [
      (.relu, 0, { $0 < 0 ? 0 : $0 }),
      (.clip(min: -1, max: 6), 0, { $0.isNaN ? $0 : min(max($0, -1), 6) }),
      (.leakyRelu(alpha: 0.1), 0, { $0 < 0 ? 0.1 * $0 : $0 }),
      (.hardSigmoid(alpha: 0.2, beta: 0.5), 0, { hardSigmoid($0, 0.2, 0.5) }),
      (.hardSwish, 0, { $0 * hardSigmoid($0, 1.0 / 6.0, 0.5) }),
      (.sigmoid, 4, { Float(sigmoid(Double($0))) }),
      (.silu, 4, { $0 == -.infinity ? .nan : Float(Double($0) * sigmoid(Double($0))) }),
    ]
    for (function, ulps, formula) in functions {
      var first: [UInt32]?
      try forEachContext { context in
        let y = try memory(x.count * 4)
        ElementwiseKernel.activate(function, count: x.count, try LinearKernelTests.buffer(x), y, in: context)
        let got = y.read(x.count, as: Float.self)
        for (x, got) in zip(x, got) {
          let expected = formula(x)
          let tolerance = ulps == 0 ? 0 : max(ulps * expected.ulp, 1e-36)
          #expect(
            got == expected || (got.isNaN && expected.isNaN) || abs(got - expected) <= tolerance,
            "\(function)(\(x)) is \(got), expected \(expected), on \(context.instructionSet)"
          )
        }
        let bits = got.map { $0.isNaN ? 0 : $0.bitPattern }
        #expect(first == nil || first == bits, "\(function) differs on \(context.instructionSet)")
        first = bits
      }
    }
  }

  @Test("elu and mish are within 4e-7 times their operand, and the same on every instruction set")
  func exponentialUnits() throws {
    let x = (-6000...6000).map { Float($0) / 500 } + [1e-30, -1e-30, 1e6, -1e6, -0.0]
    func softplus(_ x: Double) -> Double { max(x, 0) + logarithm(1 + exponential(-abs(x))) }
    let functions: [(PointwiseFunction, (Double) -> Double)] = [
      (.elu(alpha: 1.5, scale: 1.25), { 1.25 * ($0 < 0 ? 1.5 * Foundation.expm1($0) : $0) }),
      (.mish, { $0 * tangent(softplus($0)) }),
    ]
    for (function, formula) in functions {
      var first: [UInt32]?
      try forEachContext { context in
        let y = try memory(x.count * 4)
        ElementwiseKernel.activate(function, count: x.count, try LinearKernelTests.buffer(x), y, in: context)
        let got = y.read(x.count, as: Float.self)
        for (x, got) in zip(x, got) {
          let error = abs(Double(got) - formula(Double(x)))
          #expect(error <= 4e-7 * Double(abs(x)) + 1e-36, "\(function)(\(x)) is \(got), off by \(error)")
        }
        let bits = got.map(\.bitPattern)
        #expect(first == nil || first == bits, "\(function) differs on \(context.instructionSet)")
        first = bits
      }
    }
  }

  @Test("gelu is within 3e-7 times its operand, and the same on every instruction set")
  func gelu() throws {
    let x = (-6000...6000).map { Float($0) / 500 } + [1e-30, -1e-30, 1e6, -1e6]
    var first: [UInt32]?
    try forEachContext { context in
      let y = try memory(x.count * 4)
      let input = try LinearKernelTests.buffer(x)
      ElementwiseKernel.activate(.gelu(isTanh: false), count: x.count, input, y, in: context)
      let got = y.read(x.count, as: Float.self)
      for (x, y) in zip(x, got) {
        let expected = 0.5 * Double(x) * (1 + erf(Double(x) * 0.5.squareRoot()))
        #expect(abs(Double(y) - expected) <= 3e-7 * Double(abs(x)), "\(x) on \(context.instructionSet)")
      }
      let bits = got.map(\.bitPattern)
      #expect(first == nil || first == bits, "differs on \(context.instructionSet)")
      first = bits
    }
  }

  @Test("softmax sums to one and follows the exponential")
  func softmax() throws {
    var numbers = SplitMix64(seed: 26)
    for columns in [1, 10, 1000] {
      let x = numbers.floats(3 * columns, in: -20...20)
      try forEachContext { context in
        let y = try memory(x.count * 4)
        ElementwiseKernel.softmax(rows: 3, columns: columns, try LinearKernelTests.buffer(x), y, in: context)
        let got = y.read(x.count, as: Float.self)
        for row in 0..<3 {
          let values = x[row * columns..<(row + 1) * columns].map { Double($0) }
          let most = values.max() ?? 0
          let exponentials = values.map { exponential($0 - most) }
          let sum = exponentials.reduce(0, +)
          for column in 0..<columns {
            #expect(abs(Double(got[row * columns + column]) - exponentials[column] / sum) < 1e-6)
          }
        }
      }
    }
  }

  @Test("transposing goes there and back")
  func transpose() throws {
    var numbers = SplitMix64(seed: 27)
    for (channels, pixels) in [(1, 5), (3, 700), (33, 49), (64, 1)] {
      let x = numbers.floats(2 * channels * pixels)
      try forEachContext { context in
        let y = try memory(x.count * 4)
        let z = try memory(x.count * 4)
        ElementwiseKernel.transpose(
          elementSize: 4,
          batch: 2,
          channels: channels,
          pixels: pixels,
          try LinearKernelTests.buffer(x),
          y,
          in: context
        )
        let got = y.read(x.count, as: Float.self)
        #expect(
          got
            == x.indices.map { index in
              let channel = index % channels
              let pixel = index / channels % pixels
              return x[(index / channels / pixels * channels + channel) * pixels + pixel]
            }
        )
        ElementwiseKernel.transpose(
          elementSize: 4,
          batch: 2,
          channels: pixels,
          pixels: channels,
          y,
          z,
          in: context
        )
        #expect(z.read(x.count, as: Float.self) == x)
      }
    }
  }
}

private func hardSigmoid(_ x: Float, _ alpha: Float, _ beta: Float) -> Float {
  let product = alpha * x
  let sum = product + beta
  return sum < 0 ? 0 : sum > 1 ? 1 : sum
}

/// e^x by halving the argument and squaring the result; relative error below 1e-13.
private func logarithm(_ x: Double) -> Double { Foundation.log(x) }
private func tangent(_ x: Double) -> Double { Foundation.tanh(x) }

private func exponential(_ x: Double) -> Double {
  guard !x.isNaN else { return x }
  guard x < 710 else { return .infinity }
  guard x > -800 else { return 0 }
  let halvings = 12
  let small = x / Double(1 << halvings)
  var sum = 1.0
  for n in stride(from: 14, through: 1, by: -1) { sum = 1 + small / Double(n) * sum }
  for _ in 0..<halvings { sum *= sum }
  return sum
}
