import Foundation
import TestSupport

/// What one call of the command line did.
struct Outcome {
  let status: Int32
  let output: String
  let errors: String

  /// Standard output as the JSON object it is.
  func object() throws -> [String: Any] {
    let parsed = try JSONSerialization.jsonObject(with: Data(output.utf8))
    guard let object = parsed as? [String: Any] else { throw TestFailure("no JSON object: \(output)") }
    return object
  }
}

/// The built command line, which lies beside the test bundle.
enum Tool {
  static let digits = "\(packageFolder())/samples/digits"
  static let model = "\(digits)/digits.onnx"
  static let preprocessing = ["--resize", "32", "--scale", "255", "--mean", "0.3", "--std", "0.35"]
  static let calibration = ["--calibrate", "\(digits)/calibration"] + preprocessing

  private static let path: String = {
    let bundle = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    return bundle.deletingLastPathComponent().appendingPathComponent("qconvert").path
  }()

  /// Runs `qconvert` in `folder` and waits for it.
  static func run(_ arguments: [String], in folder: String) throws -> Outcome {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    let name = "\(folder)/.\(UUID().uuidString)"
    let (output, errors) = (name + ".out", name + ".err")
    try write([], to: output)
    try write([], to: errors)
    defer {
      for file in [output, errors] { try? FileManager.default.removeItem(atPath: file) }
    }
    process.standardOutput = FileHandle(forWritingAtPath: output)
    process.standardError = FileHandle(forWritingAtPath: errors)
    try process.run()
    process.waitUntilExit()
    return Outcome(
      status: process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus,
      output: String(decoding: try readFile(output), as: UTF8.self),
      errors: String(decoding: try readFile(errors), as: UTF8.self)
    )
  }

  /// Runs `qconvert`, which must succeed.
  @discardableResult
  static func succeed(_ arguments: [String], in folder: String) throws -> Outcome {
    let outcome = try run(arguments, in: folder)
    guard outcome.status == 0 else {
      throw TestFailure("qconvert \(arguments.joined(separator: " ")): \(outcome.status): \(outcome.errors)")
    }
    return outcome
  }
}
