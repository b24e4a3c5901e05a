public import BinaryIO

extension Preprocessing: CustomStringConvertible {
  /// Reads the text form: a preset's name or nothing, then `name=value` parts, separated by blanks.
  ///
  /// Parts are `resize` and `crop` (`N` or `HxW`), `scale`, `mean`, `std` (`V` or `R,G,B`) and `channels` (`rgb`,
  /// `bgr`). A part after a preset replaces the preset's value. The scale is 1 unless it is given, so a mean without
  /// a scale is in units of the 0...255 pixel.
  ///
  /// - Throws: A refusal for an unknown, repeated or malformed part.
  public static func parse(_ text: String) throws(Refusal) -> Preprocessing {
    var result = Preprocessing()
    var seen = Set<Substring>()
    for (index, word) in text.split(separator: " ").enumerated() {
      guard let equals = word.firstIndex(of: "=") else {
        guard index == 0, let preset = presets.first(where: { $0.name == word }) else {
          let known = presets.map(\.name).joined(separator: ", ")
          throw refusal(String(word), "is neither NAME=VALUE nor, at the start, a preset (\(known))")
        }
        result = preset.value
        continue
      }
      let name = word[..<equals]
      guard seen.insert(name).inserted else { throw refusal(String(name), "is given twice") }
      try result.set(String(name), to: word[word.index(after: equals)...])
    }
    try result.validate()
    return result
  }

  /// The text form, as it is stored in a model; ``parse(_:)`` reads it back exactly.
  public var description: String {
    var parts: [String] = []
    switch resize {
    case .shorterSide(let side)?: parts.append("resize=\(side)")
    case .exact(let size)?: parts.append("resize=\(size)")
    case nil: break
    }
    if let crop { parts.append(crop.height == crop.width ? "crop=\(crop.height)" : "crop=\(crop)") }
    parts.append("scale=\(number(scale))")
    if !mean.isEmpty { parts.append("mean=\(mean.map(number).joined(separator: ","))") }
    if !std.isEmpty { parts.append("std=\(std.map(number).joined(separator: ","))") }
    parts.append("channels=\(channels.rawValue)")
    return parts.joined(separator: " ")
  }

  private mutating func set(_ name: String, to value: Substring) throws(Refusal) {
    switch name {
    case "resize":
      resize =
        value.contains("x") ? .exact(try Self.size(value, name)) : .shorterSide(try Self.extent(value, name))
    case "crop":
      if value.contains("x") {
        crop = try Self.size(value, name)
      } else {
        let side = try Self.extent(value, name)
        crop = Size(height: side, width: side)
      }
    case "scale":
      guard let parsed = Self.decimal(value) else {
        throw Self.refusal(name, "'\(Refusal.printable(String(value)))' is not a number")
      }
      scale = parsed
    case "mean": mean = try Self.numbers(value, name)
    case "std": std = try Self.numbers(value, name)
    case "channels":
      guard let order = Channels(rawValue: String(value)) else {
        throw Self.refusal(name, "is '\(Refusal.printable(String(value)))', must be rgb or bgr")
      }
      channels = order
    default: throw Self.refusal(name, "is not a part of preprocessing")
    }
  }

  private static func numbers(_ text: Substring, _ name: String) throws(Refusal) -> [Float] {
    let words = text.split(separator: ",", omittingEmptySubsequences: false)
    let values = words.compactMap(decimal)
    guard values.count == words.count else {
      throw refusal(name, "'\(Refusal.printable(String(text)))' is not a list of numbers")
    }
    return values
  }

  private static func decimal(_ text: Substring) -> Float? {
    guard text.utf8.allSatisfy({ "0123456789+-.eE".utf8.contains($0) }) else { return nil }
    return Float(text)
  }

  private static func extent(_ text: Substring, _ name: String) throws(Refusal) -> Int {
    guard let value = Int(text), (1...Image.maximumSide).contains(value) else {
      throw refusal(name, "'\(Refusal.printable(String(text)))' is not a whole number of pixels")
    }
    return value
  }

  private static func size(_ text: Substring, _ name: String) throws(Refusal) -> Size {
    let sides = text.split(separator: "x", omittingEmptySubsequences: false)
    guard sides.count == 2, let height = sides.first, let width = sides.last else {
      throw refusal(name, "'\(Refusal.printable(String(text)))' is not HEIGHTxWIDTH")
    }
    return Size(height: try extent(height, name), width: try extent(width, name))
  }
}

extension Preprocessing.Size: CustomStringConvertible {
  public var description: String { "\(height)x\(width)" }
}

/// The shortest text that reads back as `value`, without the `.0` of whole numbers.
private func number(_ value: Float) -> String {
  let text = value.description
  return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
}
