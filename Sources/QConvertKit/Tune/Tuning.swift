internal import BinaryIO
internal import GraphIR

/// The last part of a conversion: quantized as asked, measured, or searched for under a budget, and written.
struct Tuning {
  /// The network that was written.
  let result: Rewriting.Result
  private(set) var sensitivity: SensitivityReport?
  private(set) var budget: BudgetReport?

  /// - Parameters:
  ///   - rewriting: Prepared.
  ///   - write: Writes a network to the output.
  init(
    _ rewriting: Rewriting,
    write: @escaping (Rewriting.Result) throws(Refusal) -> Void
  ) throws(Refusal) {
    if rewriting.options.maximumDrop != nil {
      var search = BudgetSearch(rewriting, write: write)
      result = try search.run()
      sensitivity = search.sensitivity
      budget = search.report
      return
    }
    result = try rewriting.quantized()
    if rewriting.options.measuresSensitivity {
      let samples = try rewriting.tuningSamples().finding
      sensitivity = try Sensitivity(rewriting: rewriting, samples: samples).measure().report
    }
    try write(result)
  }
}
