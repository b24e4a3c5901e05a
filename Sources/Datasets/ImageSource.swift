internal import BinaryIO

/// Samples that are image files.
struct ImageSource: SampleSource {
  let list: ImageList
  let input: ImageInput

  var count: Int { list.items.count }
  var hasLabels: Bool { list.items.allSatisfy { $0.label != nil } }

  var summary: String {
    if let classes = list.classes { return "\(count) images of \(classes.count) classes" }
    return hasLabels ? "\(count) images with labels" : "\(count) images without labels"
  }

  func name(_ index: Int) -> String { list.items[index].file }

  private func path(_ index: Int) -> String { list.folder + "/" + list.items[index].file }

  func sample(_ index: Int) throws(Refusal) -> Sample {
    let image = try ImageDecoder.decode(file: path(index))
    do {
      return Sample(inputs: [input.name: try input.tensor(of: image)], label: list.items[index].label)
    } catch { throw error.inFile(path(index)) }
  }

  func fingerprint(_ index: Int, into hash: inout Fingerprint) throws(Refusal) {
    hash.add(input.preprocessing.description)
    hash.add(list.items[index].label ?? -1)
    hash.add(try MappedFile.open(path(index)))
  }
}
