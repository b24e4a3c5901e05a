internal import Glibc

/// Maps numbers above 0 to a range of pixels, linear from 0 or logarithmic.
struct PlotScale {
  let isLogarithmic: Bool
  /// Ascending; all within the scale.
  let ticks: [Double]
  private let lower: Double
  private let upper: Double
  private let pixels: (first: Double, last: Double)

  /// The scale of measured values: from 0, or logarithmic where they span more than a factor of 30.
  ///
  /// - Parameters:
  ///   - values: At least one, all above 0.
  ///   - pixels: Where the ends of the scale are.
  init(values: [Double], pixels: (first: Double, last: Double)) {
    let (least, most) = (values.min() ?? 1, values.max() ?? 1)
    self.pixels = pixels
    isLogarithmic = most > 30 * least
    if isLogarithmic {
      let all = (-9...9).flatMap { decade in [1, 2, 5].map { $0 * pow(10, Double(decade)) } }
      let lower = all.last { $0 <= least } ?? least
      let upper = all.first { $0 >= most } ?? most
      ticks = all.filter { $0 >= lower && $0 <= upper }
      (self.lower, self.upper) = (lower, upper)
    } else {
      let step = PlotScale.step(most / 5)
      let count = (most / step).rounded(.up)
      (lower, upper) = (0, step * count)
      ticks = (0...Int(count)).map { step * Double($0) }
    }
  }

  /// The scale of chosen values, such as batch sizes: a tick at each, logarithmic.
  init(chosen values: Set<Int>, pixels: (first: Double, last: Double)) {
    ticks = values.sorted().map(Double.init)
    let (least, most) = (ticks.first ?? 1, ticks.last ?? 1)
    self.pixels = pixels
    isLogarithmic = true
    (lower, upper) = least < most ? (least, most) : (least / 2, most * 2)
  }

  /// The smallest number of the form 1, 2 or 5 times a power of ten that is at least `value`.
  private static func step(_ value: Double) -> Double {
    let decade = pow(10, floor(log10(value)))
    return [1, 2, 5].map { $0 * decade }.first { $0 >= value * 0.999 } ?? 10 * decade
  }

  subscript(_ value: Double) -> Double {
    let share =
      isLogarithmic ? log(value / lower) / log(upper / lower) : (value - lower) / (upper - lower)
    return pixels.first + share * (pixels.last - pixels.first)
  }
}
