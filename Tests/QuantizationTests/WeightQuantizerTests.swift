import BinaryIO
import GraphIR
import Quantization
import Testing

@Suite("WeightQuantizer")
struct WeightQuantizerTests {
  @Test("each output channel has its own scale, absmax/127")
  func perChannel() throws {
    let weight = try Tensor.floats([1, -2, 0.5, 0, 100, -50, 25, 127], [2, 4])
    let result = try WeightQuantizer.quantize(weight, axis: 0)
    #expect(result.scales.shape == [2])
    #expect(result.scales.elements(as: Float.self) == [2 as Float / 127, 1])
    #expect(result.values.elements(as: Int8.self) == [64, -127, 32, 0, 100, -50, 25, 127])
    #expect(result.raised == 0)
  }

  @Test("per tensor there is one scalar scale")
  func perTensor() throws {
    let weight = try Tensor.floats([1, -2, 127, 0.5], [2, 2])
    let result = try WeightQuantizer.quantize(weight, axis: nil)
    #expect(result.scales.shape.isEmpty)
    #expect(result.values.elements(as: Int8.self) == [1, -2, 127, 0])
  }

  @Test("any axis: the error stays within half a step", arguments: [0, 1, 2])
  func anyAxis(axis: Int) throws {
    var random = SplitMix(state: 7)
    let shape = [3, 5, 7]
    let values = (0..<105).map { _ in random.uniform() }
    let result = try WeightQuantizer.quantize(try Tensor.floats(values, shape), axis: axis)
    let scales = result.scales.elements(as: Float.self)
    #expect(scales.count == shape[axis])
    let inner = shape[(axis + 1)...].reduce(1, *)
    for (index, (q, w)) in zip(result.values.elements(as: Int8.self), values).enumerated() {
      let scale = scales[index / inner % shape[axis]]
      #expect(abs(Float(q) * scale - w) <= scale * 0.500001)
      #expect(q >= -127)
    }
  }

  @Test("halves round to even")
  func halves() throws {
    let weight = try Tensor.floats([0.5, 1.5, 2.5, -0.5, -1.5, 127], [6])
    let result = try WeightQuantizer.quantize(weight, axis: nil)
    #expect(result.values.elements(as: Int8.self) == [0, 2, 2, 0, -2, 127])
  }

  @Test("a channel of zeros takes the tensor's scale, a tensor of zeros scale 1")
  func zeros() throws {
    let mixed = try WeightQuantizer.quantize(try Tensor.floats([0, 0, 127, 1], [2, 2]), axis: 0)
    #expect(mixed.scales.elements(as: Float.self) == [1, 1])
    let zero = try WeightQuantizer.quantize(try Tensor.floats([0, 0], [2, 1]), axis: 0)
    #expect(zero.scales.elements(as: Float.self) == [1, 1])
  }

  @Test("a nearly dead channel gets a floor instead of a subnormal scale")
  func nearlyDead() throws {
    let weight = try Tensor.floats([.leastNonzeroMagnitude, -.leastNonzeroMagnitude, 1, 1], [2, 2])
    let result = try WeightQuantizer.quantize(weight, axis: 0)
    let scales = result.scales.elements(as: Float.self)
    #expect(scales[0] == 1 as Float / 127 * 0x1p-40)
    #expect(result.raised == 1)
    #expect(result.values.elements(as: Int8.self)[0] == 0)
  }

  @Test("the caller's floors hold, per tensor the largest")
  func floors() throws {
    let weight = try Tensor.floats([1, 1, 2, 2], [2, 2])
    let channels = try WeightQuantizer.quantize(weight, axis: 0, floors: [0.5, 0])
    #expect(channels.scales.elements(as: Float.self) == [0.5, 2 as Float / 127])
    #expect(channels.values.elements(as: Int8.self) == [2, 2, 127, 127])
    let tensor = try WeightQuantizer.quantize(weight, axis: nil, floors: [0.5, 0])
    #expect(tensor.scales.elements(as: Float.self) == [0.5])
  }

  @Test("NaN and infinity are refused", arguments: [Float.nan, .infinity, -.infinity])
  func nonFinite(value: Float) throws {
    let weight = try Tensor.floats([1, value, 2, 3], [2, 2])
    for axis in [0, 1, nil] {
      let refusal = #expect(throws: Refusal.self) { try WeightQuantizer.quantize(weight, axis: axis) }
      #expect(refusal?.rule == "O36")
    }
  }

  @Test("an axis that does not exist is refused")
  func badAxis() throws {
    let weight = try Tensor.floats([1], [1])
    let refusal = #expect(throws: Refusal.self) { try WeightQuantizer.quantize(weight, axis: 1) }
    #expect(refusal?.rule == "K3")
  }

  @Test("an empty weight quantizes to nothing")
  func empty() throws {
    let result = try WeightQuantizer.quantize(try Tensor.floats([], [0, 3]), axis: 0)
    #expect(result.values.count == 0)
    #expect(result.scales.count == 0)
  }
}

/// A small repeatable generator.
struct SplitMix {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// In -1...1.
  mutating func uniform() -> Float { Float(Int64(next() >> 40) - (1 << 23)) / Float(1 << 23) }
}

@Suite("WeightScales")
struct WeightScalesTests {
  private func error(_ weight: Tensor, _ quantized: QuantizedWeight) -> Double {
    let values = weight.elements(as: Float.self)
    let integers = quantized.values.elements(as: Int8.self)
    let scales = quantized.scales.elements(as: Float.self)
    let perScale = values.count / scales.count
    return values.indices.reduce(0) { sum, index in
      let error = Double(values[index]) - Double(integers[index]) * Double(scales[index / perScale])
      return sum + error * error
    }
  }

  @Test(
    "least squared error beats the largest magnitude where one weight sticks out",
    arguments: [nil, 0] as [Int?]
  )
  func outlier(axis: Int?) throws {
    var random = SplitMix(state: 12)
    var values = (0..<60_000).map { _ in random.uniform() * 0.3 }
    values[17] = 0.5
    let weight = try Tensor.floats(values, [2, 30_000])
    let plain = try WeightQuantizer.quantize(weight, axis: axis)
    let fitted = try WeightQuantizer.quantize(weight, axis: axis, choosing: .mse)
    #expect(error(weight, fitted) < error(weight, plain))
    #expect(fitted.scales.elements(as: Float.self)[0] < plain.scales.elements(as: Float.self)[0])
    let zeros = try Tensor.floats([Float](repeating: 0, count: 8), [2, 4])
    #expect(try WeightQuantizer.quantize(zeros, axis: axis, choosing: .mse).scales.count > 0)
  }
}
