/// The lines of the README between `<!-- name -->` and `<!-- /name -->`, without empty ones.
package func readmeSection(_ name: String) throws -> [String] {
  let text = String(decoding: try readFile("\(packageFolder())/README.md"), as: UTF8.self)
  let lines = text.split(separator: "\n").map(String.init)
  guard let start = lines.firstIndex(of: "<!-- \(name) -->"),
    let end = lines.firstIndex(of: "<!-- /\(name) -->"),
    start < end
  else { throw TestFailure("the README has no section \(name)") }
  return Array(lines[(start + 1)..<end])
}
