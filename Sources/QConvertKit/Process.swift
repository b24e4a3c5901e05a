internal import BinaryIO
internal import Glibc

/// What this process does to the machine.
enum Process {
  /// Largest resident set so far, in bytes.
  static var peakResidentBytes: Int {
    var usage = rusage()
    guard unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return 0 }
    return usage.ru_maxrss * 1024
  }

  /// What the first processor calls itself.
  static let cpuName: String = {
    guard let file = unsafe fopen("/proc/cpuinfo", "r") else { return "unknown processor" }
    defer { unsafe fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 14)
    let count = unsafe fread(&bytes, 1, bytes.count, file)
    let lines = String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n")
    guard let line = lines.first(where: { $0.hasPrefix("model name") }),
      let name = line.split(separator: ":", maxSplits: 1).last
    else { return "unknown processor" }
    return Refusal.printable(String(name.drop { $0 == " " }), limit: 100)
  }()
}

extension QConvert {
  /// Processors that may run threads, at least 1: what options mean by all.
  public static var processors: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

  /// For the start of a program: writes that fail are errors instead of signals, and an interrupt removes
  /// unfinished outputs.
  public static func prepareProcess() {
    ProcessSignals.ignoreWriteSignals()
    ProcessSignals.removeTemporariesOnExit()
  }
}
