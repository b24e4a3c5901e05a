import TestSupport

extension SplitMix64 {
  mutating func floats(_ count: Int, in range: ClosedRange<Float> = -1...1) -> [Float] {
    (0..<count).map { _ in float(range) }
  }

  /// Bytes, every third one at an end of the range.
  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in
      switch next() % 6 {
      case 0: 0
      case 1: 255
      default: UInt8(int(0...255))
      }
    }
  }

  mutating func signedBytes(_ count: Int) -> [Int8] { bytes(count).map { Int8(bitPattern: $0 ^ 0x80) } }

  mutating func pick<Element>(_ choices: [Element]) -> Element { choices[int(0...choices.count - 1)] }
}
