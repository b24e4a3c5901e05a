import CKernels
import TestSupport
import Testing

@testable import Kernels

/// Convolutions by tiles against plain sums, on every instruction set and with one and three threads.
@Suite("convolutions by tiles")
struct WinogradTests {
  static func randomShape(_ numbers: inout SplitMix64) -> LinearShape {
    var shape = LinearShape()
    shape.batch = numbers.pick([1, 1, 2])
    (shape.kernelHeight, shape.kernelWidth) = (3, 3)
    shape.padTop = numbers.pick([0, 1, 1, 2])
    shape.padLeft = numbers.pick([0, 1, 1, 2])
    shape.outputHeight = numbers.pick([1, 4, 7, 13])
    shape.outputWidth = numbers.pick([1, 5, 8, 14])
    shape.inputHeight = max(1, shape.outputHeight + 2 - 2 * shape.padTop)
    shape.inputWidth = max(1, shape.outputWidth + 2 - 2 * shape.padLeft)
    shape.inputChannels = numbers.pick([1, 3, 16, 19, 64, 130])
    shape.outputChannels = numbers.pick([1, 8, 24, 65, 100])
    return shape
  }

  /// Errors are in units of the largest output; tile 0 is the direct sum.
  @Test(
    "float convolutions agree with sums in f64 and do not depend on threads",
    arguments: [(0, 2e-6), (2, 2e-6), (4, 5e-6)]
  )
  func float(tile: Int, tolerance: Double) throws {
    var numbers = SplitMix64(seed: 15)
    for round in 0..<30 {
      let shape = WinogradTests.randomShape(&numbers)
      let channels = shape.outputChannels
      let x = numbers.floats(shape.inputElements)
      let w = numbers.floats(channels * shape.inputChannels * shape.taps)
      let bias = numbers.floats(channels)
      let sums = (0..<shape.outputElements).map { index in
        var sum = Double(bias[index % channels])
        LinearKernelTests.forEachTap(shape, index / channels, index % channels) { input, weight in
          if let input { sum += Double(x[input]) * Double(w[weight]) }
        }
        return sum
      }
      let range = sums.map(abs).max() ?? 0
      for function in [PointwiseFunction.relu, .leakyRelu(alpha: 0.25)] {
        let slope = function == .relu ? 0 : 0.25
        var first: [InstructionSet: [Float]] = [:]
        for (set, threads) in LinearKernelTests.contexts {
          let output = LinearOutput.float(bias: bias, function)
          let got = try LinearKernelTests().run(
            shape,
            x,
            w,
            .float32,
            output,
            set,
            threads,
            tile: tile,
            of: Float.self
          )
          let worst = zip(got, sums).map { abs(Double($0) - ($1 < 0 ? slope * $1 : $1)) }.max() ?? 0
          #expect(worst <= tolerance * range, "round \(round) \(set) \(function): \(worst / range) \(shape)")
          #expect(first[set] == nil || first[set] == got, "round \(round) \(set): threads change the result")
          first[set] = got
        }
      }
    }
  }

  @Test("half-precision weights are widened exactly", arguments: [2, 4])
  func halfWeights(tile: Int) throws {
    var numbers = SplitMix64(seed: 16)
    var shape = LinearShape()
    (shape.kernelHeight, shape.kernelWidth) = (3, 3)
    (shape.inputHeight, shape.inputWidth) = (3, 3)
    (shape.inputChannels, shape.outputChannels) = (5, 3)
    let halves = numbers.floats(135).map { Float16($0) }
    let x = numbers.floats(45)
    let output = LinearOutput.float(bias: nil, .identity)
    let kernels = LinearKernelTests()
    let wide = try kernels.run(
      shape,
      x,
      halves.map { Float($0) },
      .float32,
      output,
      .best,
      1,
      tile: tile,
      of: Float.self
    )
    let narrow = try kernels.run(shape, x, halves, .float16, output, .best, 1, tile: tile, of: Float.self)
    #expect(wide == narrow)
  }

  @Test("large maps have tiles of 4x4, small ones of 2x2, few channels and one pixel none")
  func choice() {
    func tile(_ extent: Int, _ inputs: Int, _ outputs: Int) -> Int {
      var shape = LinearShape()
      (shape.kernelHeight, shape.kernelWidth) = (3, 3)
      (shape.outputHeight, shape.outputWidth) = (extent, extent)
      (shape.inputChannels, shape.outputChannels) = (inputs, outputs)
      return shape.fastestTile
    }
    #expect(tile(56, 64, 64) == 4)
    #expect(tile(28, 128, 128) == 4)
    #expect(tile(14, 256, 256) == 2)
    #expect(tile(7, 512, 512) == 2)
    #expect(tile(1, 512, 512) == 0)
    #expect(tile(224, 3, 64) == 0)
    #expect(tile(0, 64, 64) == 0)
  }

  @Test("only 3x3 of one group with stride and dilation 1 have tiles")
  func applicability() {
    var plain = LinearShape()
    (plain.kernelHeight, plain.kernelWidth) = (3, 3)
    (plain.outputHeight, plain.outputWidth) = (56, 56)
    (plain.inputChannels, plain.outputChannels) = (64, 64)
    #expect(plain.fastestTile == 4)
    let changes: [WritableKeyPath<LinearShape, Int>] = [
      \.strideX, \.strideY, \.dilationX, \.dilationY, \.groups, \.kernelHeight, \.kernelWidth,
    ]
    for change in changes {
      var other = plain
      other[keyPath: change] = 2
      #expect(other.fastestTile == 0)
    }
  }
}
