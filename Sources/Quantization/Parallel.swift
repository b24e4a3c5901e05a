internal import Glibc

/// Work on several threads whose results do not depend on their number.
package enum Parallel {
  /// Results of `body` for 0, 1 and so on, in this order, computed by several threads.
  ///
  /// - Parameters:
  ///   - count: How many results.
  ///   - threads: Threads, the caller's among them.
  ///   - body: Must give the same for an index whichever thread runs it.
  package static func map<Result: Sendable>(
    _ count: Int,
    threads: Int,
    _ body: @escaping @Sendable (Int) -> Result
  ) -> [Result] {
    let workers = min(threads, count)
    guard workers > 1 else { return (0..<count).map(body) }
    let jobs = (0..<workers).map { first in
      Job { stride(from: first, to: count, by: workers).map(body) }
    }
    let started = jobs.dropFirst().map { ($0, $0.start()) }
    jobs[0].run()
    for case (let job, let thread) in started {
      if let thread { pthread_join(thread, nil) } else { job.run() }
    }
    return (0..<count).map { jobs[$0 % workers].results[$0 / workers] }
  }

  /// What one thread does.
  ///
  /// Only that thread touches it until it is joined.
  private final class Job<Result>: @unchecked Sendable {
    private let body: () -> [Result]
    private(set) var results: [Result] = []

    init(_ body: @escaping () -> [Result]) { self.body = body }

    func run() { results = body() }

    /// Nil where the system has no threads left.
    func start() -> pthread_t? {
      var thread = pthread_t()
      let work = unsafe Unmanaged.passRetained(Work { self.run() })
      let status = unsafe pthread_create(
        &thread,
        nil,
        { (argument) in
          if let argument = unsafe argument {
            unsafe Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body()
          }
          return nil
        },
        work.toOpaque()
      )
      guard status == 0 else {
        unsafe work.release()
        return nil
      }
      return thread
    }
  }

  /// A closure with an identity, to hand over to C.
  private final class Work {
    let body: () -> Void

    init(_ body: @escaping () -> Void) { self.body = body }
  }
}
