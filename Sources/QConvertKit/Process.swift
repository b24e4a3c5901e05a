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
