import FoundationEssentials
import QConvertKit

/// Values as JSON files with sorted keys.
enum JSONFile {
  /// Writes beside the target and renames, so that the file is whole or absent.
  static func write(_ value: some Encodable, to path: String) throws {
    let data = try Output.encoder([]).encode(value)
    do { try data.write(to: URL(fileURLWithPath: path), options: .atomic) } catch {
      throw CalibrationStatistics.unwritable(path)
    }
  }
}
