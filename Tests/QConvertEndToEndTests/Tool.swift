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

  /// A call that runs.
  struct Call {
    let process: Process
    fileprivate let files: (output: String, errors: String)

    func wait() throws -> Outcome {
      process.waitUntilExit()
      defer {
        for file in [files.output, files.errors] { try? FileManager.default.removeItem(atPath: file) }
      }
      return Outcome(
        status: process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus,
        output: String(decoding: try readFile(files.output), as: UTF8.self),
        errors: String(decoding: try readFile(files.errors), as: UTF8.self)
      )
    }
  }

  /// Starts `qconvert` in `folder`.
  ///
  /// - Parameter environment: Variables besides those of the test.
  static func start(
    _ arguments: [String],
    in folder: String,
    environment: [String: String] = [:]
  ) throws -> Call {
    let process = Process()
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    let name = "\(folder)/.\(UUID().uuidString)"
    let (output, errors) = (name + ".out", name + ".err")
    try write([], to: output)
    try write([], to: errors)
    process.standardOutput = FileHandle(forWritingAtPath: output)
    process.standardError = FileHandle(forWritingAtPath: errors)
    // The program inherits the signals that this thread blocks, and those of a pool block all.
    var (none, own) = (sigset_t(), sigset_t())
    unsafe sigemptyset(&none)
    unsafe pthread_sigmask(SIG_SETMASK, &none, &own)
    defer { unsafe pthread_sigmask(SIG_SETMASK, &own, nil) }
    try process.run()
    return Call(process: process, files: (output, errors))
  }

  /// Runs `qconvert` in `folder` and waits for it.
  static func run(
    _ arguments: [String],
    in folder: String,
    environment: [String: String] = [:]
  ) throws -> Outcome {
    try start(arguments, in: folder, environment: environment).wait()
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
