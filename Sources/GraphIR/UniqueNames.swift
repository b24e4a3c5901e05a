/// Names of which none is given twice.
package struct UniqueNames {
  private var taken: Set<String>
  /// Where to go on for a name that was asked for before.
  private var nextSuffix: [String: Int] = [:]

  /// - Parameter taken: Names that are given already.
  package init(_ taken: some Sequence<String> = []) { self.taken = Set(taken) }

  /// Gives `base`, or `base` with the least number behind it that makes it new.
  package mutating func take(_ base: String) -> String {
    if taken.insert(base).inserted { return base }
    var suffix = nextSuffix[base] ?? 1
    while !taken.insert("\(base)_\(suffix)").inserted { suffix += 1 }
    nextSuffix[base] = suffix + 1
    return "\(base)_\(suffix)"
  }
}
