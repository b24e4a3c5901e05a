internal import BinaryIO
internal import GraphIR

extension BatchNorm {
  /// Per channel in f64: `x * k + (bias - mean * k)` with `k = scale / sqrt(var + epsilon)`, rounded to f32 once.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.real(0)
    let scale = try e.real(1).elements(as: Float.self)
    let bias = try e.real(2).elements(as: Float.self)
    let mean = try e.real(3).elements(as: Float.self)
    let variance = try e.real(4).elements(as: Float.self)
    let channels = x.shape[1]
    let plane = x.shape.dropFirst(2).reduce(1, *)
    let factors = (0..<channels).map {
      Double(scale[$0]) / (Double(variance[$0]) + Double(epsilon)).squareRoot()
    }
    let result = try unsafe Tensor.build(.float32, x.shape, as: Float.self) { (y) throws(Refusal) in
      unsafe x.withElements(as: Float.self) { x in
        for index in 0..<x.count {
          let c = index / plane % channels
          unsafe y[index] = Float(
            Double(x[index]) * factors[c] + (Double(bias[c]) - Double(mean[c]) * factors[c])
          )
        }
      }
    }
    return try result.narrowed(to: e.dtype)
  }
}

extension LayerNorm {
  /// Mean and variance in f64 over the normalised axes; `(x - mean) / sqrt(var + epsilon) * scale + bias` in f64, rounded
  /// to f32 once.
  func evaluate(_ e: Evaluation) throws(Refusal) -> Tensor {
    let x = try e.real(0)
    let first = axis < 0 ? axis + x.shape.count : axis
    let normalized = Array(x.shape[first...])
    let count = normalized.reduce(1, *)
    let scale = try spread(e.real(1), over: normalized)
    let bias = try e.optionalReal(2).map { (tensor) throws(Refusal) in spread(tensor, over: normalized) }
    let result = try unsafe Tensor.build(.float32, x.shape, as: Float.self) { (y) throws(Refusal) in
      unsafe x.withElements(as: Float.self) { x in
        for start in stride(from: 0, to: x.count, by: count) {
          var sum = 0.0
          for index in 0..<count { sum += Double(unsafe x[start + index]) }
          let mean = sum / Double(count)
          var squares = 0.0
          for index in 0..<count {
            let difference = Double(unsafe x[start + index]) - mean
            squares += difference * difference
          }
          let factor = 1 / (squares / Double(count) + Double(epsilon)).squareRoot()
          for index in 0..<count {
            let value = (Double(unsafe x[start + index]) - mean) * factor * Double(scale[index])
            unsafe y[start + index] = Float(value + Double(bias?[index] ?? 0))
          }
        }
      }
    }
    return try result.narrowed(to: e.dtype)
  }

  private func spread(_ tensor: Tensor, over shape: [Int]) -> [Float] {
    let elements = tensor.elements(as: Float.self)
    var result: [Float] = []
    Broadcast(shape, [tensor.shape]).visit { (_, offsets) in result.append(elements[offsets[0]]) }
    return result
  }
}
