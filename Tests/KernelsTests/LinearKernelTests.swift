import TestSupport
import Testing

@testable import Kernels

/// Convolutions of random shapes against plain loops, on every instruction set and with one and three threads.
@Suite("linear kernels")
struct LinearKernelTests {
  static func randomShape(_ numbers: inout SplitMix64) -> LinearShape {
    var shape = LinearShape()
    shape.batch = numbers.pick([1, 1, 2])
    shape.kernelHeight = numbers.pick([1, 1, 3, 5, 2])
    shape.kernelWidth = numbers.pick([shape.kernelHeight, 1, 3])
    shape.strideY = numbers.pick([1, 1, 2, 3])
    shape.strideX = numbers.pick([1, 2])
    shape.dilationY = numbers.pick([1, 1, 2])
    shape.dilationX = numbers.pick([1, 1, 2])
    shape.padTop = Int.random(in: 0..<shape.kernelHeight, using: &numbers)
    shape.padLeft = Int.random(in: 0..<shape.kernelWidth, using: &numbers)
    shape.outputHeight = numbers.pick([1, 5, 7, 13])
    shape.outputWidth = numbers.pick([1, 4, 7, 11])
    func input(_ output: Int, _ stride: Int, _ kernel: Int, _ dilation: Int, _ pad: Int) -> Int {
      max(1, (output - 1) * stride + (kernel - 1) * dilation + 1 - pad - pad / 2)
    }
    shape.inputHeight = input(
      shape.outputHeight,
      shape.strideY,
      shape.kernelHeight,
      shape.dilationY,
      shape.padTop
    )
    shape.inputWidth = input(
      shape.outputWidth,
      shape.strideX,
      shape.kernelWidth,
      shape.dilationX,
      shape.padLeft
    )
    switch numbers.next() % 4 {
    case 0:
      shape.groups = numbers.pick([2, 7, 33, 70])
    case 1:
      shape.groups = numbers.pick([2, 3])
      shape.inputChannels = numbers.pick([1, 3, 8])
      shape.outputChannels = numbers.pick([2, 5, 17])
    default:
      shape.inputChannels = numbers.pick([1, 3, 4, 16, 19, 64, 76, 130])
      shape.outputChannels = numbers.pick([1, 8, 24, 65, 100])
    }
    return shape
  }

  /// Visits the products of one output element: input index or nil in the padding, weight index.
  static func forEachTap(
    _ s: LinearShape,
    _ pixel: Int,
    _ channel: Int,
    _ body: (_ input: Int?, _ weight: Int) -> Void
  ) {
    let ox = pixel % s.outputWidth
    let oy = pixel / s.outputWidth % s.outputHeight
    let image = pixel / s.outputWidth / s.outputHeight
    let group = channel / s.outputChannels
    for ky in 0..<s.kernelHeight {
      for kx in 0..<s.kernelWidth {
        let y = oy * s.strideY + ky * s.dilationY - s.padTop
        let x = ox * s.strideX + kx * s.dilationX - s.padLeft
        let inside = y >= 0 && y < s.inputHeight && x >= 0 && x < s.inputWidth
        for k in 0..<s.inputChannels {
          let input = ((image * s.inputHeight + y) * s.inputWidth + x) * s.groups * s.inputChannels
          let weight = (channel * s.inputChannels + k) * s.taps + ky * s.kernelWidth + kx
          body(inside ? input + group * s.inputChannels + k : nil, weight)
        }
      }
    }
  }

  static func buffer<Element: BitwiseCopyable>(_ elements: [Element]) throws -> Buffer {
    let memory = try #require(Memory(count: elements.count * MemoryLayout<Element>.stride))
    memory.buffer.write(elements)
    return memory.buffer
  }

  static let contexts = InstructionSet.allCases.filter(\.isAvailable).flatMap { set in
    [(set, 1), (set, 3)]
  }

  @Test("float convolutions agree with sums in f64 and do not depend on threads")
  func float() throws {
    var numbers = SplitMix64(seed: 11)
    for round in 0..<60 {
      let shape = LinearKernelTests.randomShape(&numbers)
      let channels = shape.groups * shape.outputChannels
      let x = numbers.floats(shape.inputElements)
      let w = numbers.floats(channels * shape.inputChannels * shape.taps)
      let bias = numbers.floats(channels)
      let expected = (0..<shape.outputElements).map { index in
        var sum = Double(bias[index % channels])
        LinearKernelTests.forEachTap(shape, index / channels, index % channels) { input, weight in
          if let input { sum += Double(x[input]) * Double(w[weight]) }
        }
        return max(0, sum)
      }
      var first: [InstructionSet: [Float]] = [:]
      for (set, threads) in LinearKernelTests.contexts {
        let got = try run(shape, x, w, .float32, .float(bias: bias, .relu), set, threads, of: Float.self)
        #expect(
          zip(got, expected).allSatisfy { abs(Double($0) - $1) < 1e-4 },
          "round \(round) \(set) \(shape)"
        )
        #expect(first[set] == nil || first[set] == got, "round \(round) \(set): threads change the result")
        first[set] = got
      }
    }
  }

  @Test("integer convolutions are those of plain loops, bit for bit")
  func integer() throws {
    var numbers = SplitMix64(seed: 12)
    for round in 0..<60 {
      let shape = LinearKernelTests.randomShape(&numbers)
      let channels = shape.groups * shape.outputChannels
      let x = numbers.bytes(shape.inputElements)
      let w = numbers.signedBytes(channels * shape.inputChannels * shape.taps)
      let bias = (0..<channels).map { _ in Int32.random(in: -9999...9999, using: &numbers) }
      let scales = numbers.floats(channels, in: 1e-4...1e-2)
      let zero = numbers.pick([UInt8(0), 128, 255, 7])
      let clamp = ByteClamp(zeroPoint: 9, lowest: 9, highest: 240)
      let sums = (0..<shape.outputElements).map { index in
        var sum = bias[index % channels]
        LinearKernelTests.forEachTap(shape, index / channels, index % channels) { input, weight in
          if let input { sum += (Int32(x[input]) - Int32(zero)) * Int32(w[weight]) }
        }
        return sum
      }
      let bytes = sums.enumerated().map { index, sum in
        let real = (Float(sum) * scales[index % channels]).rounded(.toNearestOrEven)
        return UInt8(min(max(Double(real) + 9, 9), 240))
      }
      let reals = sums.enumerated().map { index, sum in
        let product = Float(sum) * scales[index % channels]
        return product < 0 ? 0.25 * product : product
      }
      for (set, threads) in LinearKernelTests.contexts {
        let requantized = LinearOutput.requantized(
          bias: bias,
          inputZeroPoint: zero,
          multipliers: scales,
          clamp
        )
        let gotBytes = try run(shape, x, w, .int8, requantized, set, threads, of: UInt8.self)
        #expect(gotBytes == bytes, "round \(round) \(set) \(threads) \(shape)")
        let real = LinearOutput.real(
          bias: bias,
          inputZeroPoint: zero,
          scales: scales,
          realBias: nil,
          .leakyRelu(alpha: 0.25),
          quantized: nil
        )
        let gotReals = try run(shape, x, w, .int8, real, set, threads, of: Float.self)
        #expect(gotReals == reals, "round \(round) \(set) \(threads) \(shape)")
        let staged = LinearOutput.real(
          bias: bias,
          inputZeroPoint: zero,
          scales: scales,
          realBias: nil,
          .leakyRelu(alpha: 0.25),
          quantized: (scale: 0.5, zeroPoint: 100)
        )
        let gotStaged = try run(shape, x, w, .int8, staged, set, threads, of: UInt8.self)
        let stagedBytes = reals.map { UInt8(min(max(($0 / 0.5).rounded(.toNearestOrEven) + 100, 0), 255)) }
        #expect(gotStaged == stagedBytes, "round \(round) \(set) \(threads) \(shape)")
      }
    }
  }

  @Test("dynamic parameters give what constant ones give")
  func dynamic() throws {
    var numbers = SplitMix64(seed: 13)
    for _ in 0..<10 {
      let shape = LinearKernelTests.randomShape(&numbers)
      let channels = shape.groups * shape.outputChannels
      let x = numbers.bytes(shape.inputElements)
      let w = numbers.signedBytes(channels * shape.inputChannels * shape.taps)
      let scales = numbers.floats(channels, in: 1e-3...1e-2)
      let bias = numbers.floats(channels)
      let zero = numbers.pick([UInt8(0), 128, 255])
      let combined = scales.map { Float(Double(0.3 as Float) * Double($0)) }
      for (set, threads) in LinearKernelTests.contexts {
        let fixed = LinearOutput.real(
          bias: [Int32](repeating: 0, count: channels),
          inputZeroPoint: zero,
          scales: combined,
          realBias: bias,
          .relu,
          quantized: nil
        )
        let expected = try run(shape, x, w, .int8, fixed, set, threads, of: Float.self)
        let got = try run(
          shape,
          x,
          w,
          .int8,
          .dynamic(weightScales: scales, bias: bias, .relu),
          set,
          threads,
          parameters: (0.3, zero),
          of: Float.self
        )
        #expect(got == expected)
      }
    }
  }

  @Test("half-precision weights are widened exactly")
  func halfWeights() throws {
    var numbers = SplitMix64(seed: 14)
    var shape = LinearShape()
    shape.inputChannels = 5
    shape.outputChannels = 3
    let halves = numbers.floats(15).map { Float16($0) }
    let x = numbers.floats(5)
    let output = LinearOutput.float(bias: nil, .identity)
    let wide = try run(shape, x, halves.map { Float($0) }, .float32, output, .best, 1, of: Float.self)
    let narrow = try run(shape, x, halves, .float16, output, .best, 1, of: Float.self)
    #expect(wide == narrow)
  }

  func run<X: BitwiseCopyable, W: BitwiseCopyable, Y: BitwiseCopyable>(
    _ shape: LinearShape,
    _ x: [X],
    _ w: [W],
    _ element: WeightSource.Element,
    _ output: LinearOutput,
    _ set: InstructionSet,
    _ threads: Int,
    tile: Int = 0,
    parameters: (scale: Float, zeroPoint: UInt8)? = nil,
    of type: Y.Type
  ) throws -> [Y] {
    let context = try #require(KernelContext(threads: threads, instructionSet: set))
    let made = unsafe w.withUnsafeBytes { bytes in
      let source = unsafe WeightSource(
        bytes,
        element,
        outputs: shape.groups * shape.outputChannels,
        inputs: shape.inputChannels,
        taps: shape.taps
      )
      let weights = source.flatMap { PackedWeights(shape, $0, set, tile: tile) }
      return weights.flatMap { LinearKernel(shape, $0, output) }
    }
    let kernel = try #require(made)
    #expect(context.reserve(kernel.scratchBytes))
    let result = try #require(Memory(count: shape.outputElements * MemoryLayout<Y>.stride))
    kernel.run(try LinearKernelTests.buffer(x), result.buffer, parameters: parameters, in: context)
    return result.buffer.read(shape.outputElements, as: Y.self)
  }
}
