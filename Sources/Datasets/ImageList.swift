internal import BinaryIO

/// The images of a folder and their labels.
struct ImageList: Sendable {
  struct Item: Sendable {
    /// Relative to the folder.
    var file: String
    var label: Int?
  }

  let folder: String
  let items: [Item]
  /// Names of the class subfolders; nil for other layouts.
  let classes: [String]?

  private static let decodable = ["jpg", "jpeg", "png"]
  private static let otherImages = ["bmp", "gif", "tif", "tiff", "webp", "ppm", "jp2", "avif", "heic"]

  /// Lists `folder`: by its `labels.csv` if it has one, else class subfolders, else the images in it, without labels.
  init(_ folder: String) throws(Refusal) {
    self.folder = folder
    let labels = folder + "/labels.csv"
    guard !Folder.exists(labels) else {
      items = try LabelFile.read(labels, folder: folder)
      classes = nil
      return
    }
    let entries = try Folder.entries(of: folder)
    let images = try ImageList.images(in: entries, of: folder)
    let folders = entries.filter(\.isFolder).map(\.name)
    guard images.isEmpty || folders.isEmpty else {
      throw ImageList.refusal(
        folder,
        "holds images beside the folder \(Refusal.quoted(folders[0])), so that labels are unclear",
        "put every image into a class folder, or list them in labels.csv"
      )
    }
    guard images.isEmpty else {
      items = images.map { Item(file: $0, label: nil) }
      classes = nil
      return
    }
    var labelled: [Item] = []
    for (label, name) in folders.enumerated() {
      let path = folder + "/" + name
      for image in try ImageList.images(in: try Folder.entries(of: path), of: path) {
        labelled.append(Item(file: "\(name)/\(image)", label: label))
      }
    }
    guard !labelled.isEmpty else {
      throw ImageList.refusal(
        folder,
        "holds no JPEG or PNG images, neither directly nor in class folders",
        "give a folder of .jpg, .jpeg or .png files"
      )
    }
    items = labelled
    classes = folders
  }

  private static func images(in entries: [Folder.Entry], of folder: String) throws(Refusal) -> [String] {
    var result: [String] = []
    for entry in entries where !entry.isFolder {
      guard let suffix = entry.name.split(separator: ".").last?.lowercased() else { continue }
      guard !otherImages.contains(suffix) else {
        throw refusal(
          folder,
          "holds \(Refusal.quoted(entry.name))",
          "convert it to JPEG or PNG, or remove it"
        )
      }
      if decodable.contains(suffix) { result.append(entry.name) }
    }
    return result
  }

  private static func refusal(_ folder: String, _ problem: String, _ remedy: String) -> Refusal {
    Refusal(.invalid, file: folder, at: "folder", rule: "D7", problem, remedy: remedy)
  }
}

/// A `labels.csv`: lines `file,label` with the file relative to the folder and a class index from 0.
enum LabelFile {
  private static let largestBytes = 1 << 28

  static func read(_ path: String, folder: String) throws(Refusal) -> [ImageList.Item] {
    let bytes = try MappedFile.open(path, maximum: largestBytes)
    guard let text = bytes.withBytes({ span in span.text(0..<span.byteCount) }) else {
      throw refusal(path, "file", "is not UTF-8 text")
    }
    var items: [ImageList.Item] = []
    for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
      .enumerated()
    {
      guard !line.isEmpty, index > 0 || line != "file,label" else { continue }
      do throws(Refusal) {
        items.append(try item(line, path: path, folder: folder))
      } catch { throw error.at("line \(index + 1)") }
    }
    guard !items.isEmpty else { throw refusal(path, "file", "lists no images") }
    return items
  }

  private static func item(
    _ line: Substring,
    path: String,
    folder: String
  ) throws(Refusal) -> ImageList.Item {
    guard let comma = line.lastIndex(of: ","), let label = Int(line[line.index(after: comma)...]), label >= 0
    else {
      throw refusal(
        path,
        "",
        "is '\(Refusal.printable(String(line)))', expected a file, a comma and a class index"
      )
    }
    var file = line[..<comma]
    if file.count > 1, file.first == "\"", file.last == "\"" { file = file.dropFirst().dropLast() }
    guard !file.isEmpty, !file.hasPrefix("/"), !file.split(separator: "/").contains("..") else {
      throw refusal(path, "", "names a file outside of the folder")
    }
    guard Folder.exists(folder + "/" + file) else {
      throw refusal(path, "", "names \(Refusal.quoted(String(file))), which does not exist")
    }
    return ImageList.Item(file: String(file), label: label)
  }

  private static func refusal(_ path: String, _ place: String, _ problem: String) -> Refusal {
    Refusal(
      .invalid,
      file: path,
      at: place,
      rule: "D8",
      problem,
      remedy: "write lines such as 'images/0001.jpg,7'"
    )
  }
}
