internal import BinaryIO

extension ShapeArithmetic {
  /// Integer arithmetic on two elements; division truncates towards zero, `mod` has the divisor's sign.
  static func arithmetic(_ kind: Binary.Kind, _ a: Dim, _ b: Dim) -> Dim {
    if let a = a.value, let b = b.value { return arithmetic(kind, a, b).map(Dim.known) ?? .unknown }
    switch kind {
    case .add: return a == 0 ? b : b == 0 ? a : .unknown
    case .sub: return b == 0 ? a : a == b && a != .unknown ? 0 : .unknown
    case .mul: return a == 1 ? b : b == 1 ? a : a == 0 || b == 0 ? 0 : .unknown
    case .div: return b == 1 ? a : .unknown
    case .min, .max: return a == b ? a : .unknown
    case .pow: return b == 1 ? a : .unknown
    case .mod: return .unknown
    }
  }

  private static func arithmetic(_ kind: Binary.Kind, _ a: Int, _ b: Int) -> Int? {
    switch kind {
    case .add: return Checked.sum(a, b)
    case .sub:
      let (difference, overflow) = a.subtractingReportingOverflow(b)
      return overflow ? nil : difference
    case .mul: return Checked.product(a, b)
    case .div:
      let (quotient, overflow) = a.dividedReportingOverflow(by: b)
      return overflow ? nil : quotient
    case .mod:
      let (remainder, overflow) = a.remainderReportingOverflow(dividingBy: b)
      guard !overflow else { return nil }
      return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder
    case .min: return Swift.min(a, b)
    case .max: return Swift.max(a, b)
    case .pow: return power(a, b)
    }
  }

  private static func power(_ base: Int, _ exponent: Int) -> Int? {
    guard (0...64).contains(exponent) else { return nil }
    var result = 1
    for _ in 0..<exponent {
      guard let next = Checked.product(result, base) else { return nil }
      result = next
    }
    return result
  }

  /// A predicate of two elements as 0 or 1; a symbol equals itself and nothing else is known of it.
  static func compare(_ kind: Compare.Kind, _ a: Dim, _ b: Dim) -> Dim {
    guard let x = a.value, let y = b.value else {
      if kind == .equal, a == b, a != .unknown { return 1 }
      if kind == .equal, isNegative(a) || isNegative(b), a != .unknown, b != .unknown { return 0 }
      return .unknown
    }
    let holds: Bool =
      switch kind {
      case .equal: x == y
      case .less: x < y
      case .lessOrEqual: x <= y
      case .greater: x > y
      case .greaterOrEqual: x >= y
      case .and: x != 0 && y != 0
      case .or: x != 0 || y != 0
      case .xor: (x != 0) != (y != 0)
      }
    return holds ? 1 : 0
  }

  /// Whether an element is known to be negative, which no symbol is.
  private static func isNegative(_ element: Dim) -> Bool {
    guard let value = element.value else { return false }
    return value < 0
  }

  static func unary(_ kind: Unary.Kind, _ element: Dim) -> Dim {
    switch kind {
    case .abs:
      if case .symbol = element { return element }
      return element.value.flatMap { $0 == .min ? nil : .known(Swift.abs($0)) } ?? .unknown
    case .relu:
      if case .symbol = element { return element }
      return element.value.map { .known(Swift.max($0, 0)) } ?? .unknown
    case .neg: return element.value.flatMap { $0 == .min ? nil : .known(-$0) } ?? .unknown
    case .sign: return element.value.map { .known($0.signum()) } ?? .unknown
    case .not: return element.value.map { $0 == 0 ? 1 : 0 } ?? .unknown
    case .floor, .ceil, .round: return element
    case .sigmoid, .hardSwish, .silu, .tanh, .erf, .exp, .log, .sqrt, .reciprocal, .sin, .cos, .softplus,
      .mish:
      return .unknown
    }
  }
}
