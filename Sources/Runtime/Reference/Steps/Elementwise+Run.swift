internal import BinaryIO
internal import GraphIR

extension IntegerAdd {
  func run(_ a: Tensor, _ b: Tensor) throws(Refusal) -> Tensor {
    try Reference.combine(a, b) { (a, b) in
      let first = Float(Int32(a) - Int32(zeroPointA)) * multiplierA
      let second = Float(Int32(b) - Int32(zeroPointB)) * multiplierB
      return clamp(first + second)
    }
  }
}

extension IntegerMul {
  func run(_ a: Tensor, _ b: Tensor) throws(Refusal) -> Tensor {
    try Reference.combine(a, b) { (a, b) in
      clamp(Float((Int32(a) - Int32(zeroPointA)) * (Int32(b) - Int32(zeroPointB))) * multiplier)
    }
  }
}

extension IntegerConcat {
  func run(_ operands: [Tensor]) throws(Refusal) -> Tensor {
    var moved: [Tensor] = []
    for (operand, table) in zip(operands, tables) { moved.append(try operand.looked(up: table)) }
    let types = try Concat(axis: axis).inferTypes(operands.map { OperandInfo(type: $0.type) })
    return try Concat.join(moved, axis: axis, dtype: .uint8, shape: types[0].knownDims ?? [])
  }
}

extension PassThrough {
  func run(_ inputs: [Tensor?]) throws(Refusal) -> [Tensor] {
    var results: [Tensor]
    if case .pad(let pad) = op, pad.mode == .constant, let x = inputs[0] {
      let shape = try Reference.shape(of: pad, [x.shape], .uint8)
      results = [try pad.evaluate(x, shape: shape, filler: Tensor.make(.uint8, [1], [padByte]))]
    } else {
      results = try Reference.evaluate(op: op, inputs: inputs)
    }
    for index in tables.indices { results[index] = try results[index].looked(up: tables[index]) }
    return results
  }
}

extension Tensor {
  /// A u8 tensor with a table applied to every byte; itself without one.
  func looked(up table: [UInt8]?) throws(Refusal) -> Tensor {
    guard let table else { return self }
    return try unsafe Tensor.build(.uint8, shape, as: UInt8.self) { (y) throws(Refusal) in
      unsafe withElements(as: UInt8.self) { x in
        for index in 0..<x.count { unsafe y[index] = table[Int(x[index])] }
      }
    }
  }
}

extension Reference {
  /// Two u8 tensors that broadcast, combined byte by byte.
  static func combine(
    _ a: Tensor,
    _ b: Tensor,
    _ f: (UInt8, UInt8) -> UInt8
  ) throws(Refusal) -> Tensor {
    let shape = try shape(of: Binary(.add), [a.shape, b.shape], .uint8)
    let walk = Broadcast(shape, [a.shape, b.shape])
    let steps = walk.lastStrides
    return try unsafe Tensor.build(.uint8, shape, as: UInt8.self) { (y) throws(Refusal) in
      unsafe a.withElements(as: UInt8.self) { a in
        unsafe b.withElements(as: UInt8.self) { b in
          walk.forEachRun { (start, offsets, count) in
            for index in 0..<count {
              unsafe y[start + index] = f(a[offsets[0] + index * steps[0]], b[offsets[1] + index * steps[1]])
            }
          }
        }
      }
    }
  }

  /// The shape of an operator's first result for operands of these shapes.
  static func shape(
    of op: any OpPayload,
    _ operands: [[Int]],
    _ dtype: DType = .float32
  ) throws(Refusal) -> [Int] {
    let types = try op.inferTypes(operands.map { OperandInfo(type: TensorType(dtype, known: $0)) })
    return try Evaluation(inputs: [], types: types).shape()
  }
}
