/// What happens when samples do not look like what the network was trained on.
public enum PreflightMode: String, Sendable, CaseIterable {
  /// Findings are told.
  case warn
  /// Findings are told; a certain one is refused.
  case strict
  /// The samples are not looked at.
  case off
}
