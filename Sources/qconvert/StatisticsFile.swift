import FoundationEssentials
import QConvertKit

/// Calibration statistics as JSON files.
enum StatisticsFile {
  /// - Throws: A refusal when the file cannot be read or holds no statistics.
  static func read(_ path: String) throws -> CalibrationStatistics {
    let data: Data
    do { data = try Data(contentsOf: URL(fileURLWithPath: path)) } catch {
      throw CalibrationStatistics.unreadable(path, "the file does not exist or may not be opened")
    }
    do { return try JSONDecoder().decode(CalibrationStatistics.self, from: data) } catch let error
      as DecodingError
    {
      throw CalibrationStatistics.unreadable(path, problem(error))
    }
  }

  /// Writes beside the target and renames, so that the file is whole or absent.
  static func write(_ statistics: CalibrationStatistics, to path: String) throws {
    try JSONFile.write(statistics, to: path)
  }

  private static func problem(_ error: DecodingError) -> String {
    switch error {
    case .dataCorrupted(let context): context.debugDescription
    case .keyNotFound(let key, _): "the key \(key.stringValue) is missing"
    case .typeMismatch(_, let context), .valueNotFound(_, let context): context.debugDescription
    @unknown default: "it is no statistics file"
    }
  }
}
