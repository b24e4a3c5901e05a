import BinaryIO
import GraphIR
import Testing

@testable import Datasets

@Suite struct DatasetTests {
  private let inputs = [ModelInput(name: "input", type: TensorType(.float32, [.symbol("batch"), 1, 29, 37]))]

  private func imageFolder() throws -> Scratch {
    let scratch = Scratch()
    for name in ["b", "a", "c"] {
      scratch.folder(name)
      scratch.file("\(name)/2.png", try Fixture.bytes("grey.png"))
      scratch.file("\(name)/1.JPG", try Fixture.bytes("grey.jpg"))
      scratch.file("\(name)/notes.txt", text: "not an image")
      scratch.file("\(name)/.hidden.png", text: "")
    }
    return scratch
  }

  private func open(_ path: String) throws(Refusal) -> Dataset {
    try Dataset.open(path, for: inputs, preprocessing: Preprocessing())
  }

  @Test func classFoldersAreSortedAndLabelled() throws {
    let scratch = try imageFolder()
    let data = try open(scratch.path)
    #expect(
      (0..<data.count).map(data.name) == ["a/1.JPG", "a/2.png", "b/1.JPG", "b/2.png", "c/1.JPG", "c/2.png"]
    )
    #expect(try (0..<data.count).map { try data.sample($0).label } == [0, 0, 1, 1, 2, 2])
    #expect(data.summary == "6 images of 3 classes" && data.hasLabels && !data.isSynthetic)
    #expect(try data.sample(1).inputs["input"]?.shape == [1, 1, 29, 37])
  }

  @Test func labelFilesNameImagesAndClasses() throws {
    let scratch = try imageFolder()
    for header in ["file,label\n", ""] {
      scratch.file("labels.csv", text: header + "c/2.png,7\r\n\"a/1.JPG\",12\n\n")
      let data = try open(scratch.path)
      #expect(try (0..<data.count).map { try data.sample($0).label } == [7, 12])
    }
    for line in [
      "a/1.JPG", "a/1.JPG,cat", "a/1.JPG,-1", "../x.png,1", "/etc/passwd,1", "a/none.png,1", "", ",3",
    ] {
      scratch.file("labels.csv", text: "file,label\n\(line)\n")
      let refused = refusal { _ = try open(scratch.path) }
      #expect(refused?.rule == "D8", "\(line)")
      #expect(refused?.file == scratch.path + "/labels.csv")
    }
  }

  @Test func imagesAloneHaveNoLabels() throws {
    let scratch = Scratch()
    scratch.file("x.png", try Fixture.bytes("grey.png"))
    let data = try open(scratch.path)
    #expect(try data.sample(0).label == nil)
    #expect(!data.hasLabels && data.summary == "1 images without labels")
  }

  @Test func unclearFoldersAreRefused() throws {
    let scratch = Scratch()
    #expect(refusal { _ = try open(scratch.path) }?.rule == "D7")
    scratch.folder("class")
    #expect(refusal { _ = try open(scratch.path) }?.rule == "D7")
    scratch.file("class/1.png", try Fixture.bytes("grey.png"))
    scratch.file("loose.png", try Fixture.bytes("grey.png"))
    #expect(refusal { _ = try open(scratch.path) }?.problem.contains("labels are unclear") == true)
    scratch.file("class/2.webp", text: "")
    #expect(refusal { _ = try open(scratch.path + "/class") }?.problem.contains("2.webp") == true)
  }

  @Test func imagesWithoutDeclaredPreprocessingAreRefused() throws {
    let scratch = try imageFolder()
    let refused = refusal { _ = try Dataset.open(scratch.path, for: inputs, preprocessing: nil) }
    #expect(refused?.rule == "D1" && refused?.remedy.contains("--preprocess imagenet") == true)
  }

  @Test func aDamagedImageIsNamed() throws {
    let scratch = try imageFolder()
    let path = scratch.file("b/2.png", text: "no image")
    let data = try open(scratch.path)
    #expect(refusal { _ = try data.sample(3) }?.file == path)
    scratch.file("b/2.png", try Fixture.bytes("grey.jpg").dropLast(200))
    #expect(refusal { _ = try data.sample(3) }?.problem.contains("damaged JPEG") == true)
  }

  @Test func otherPathsAreRefused() {
    let scratch = Scratch()
    #expect(refusal { _ = try open("/nonexistent") }?.problem == "does not exist")
    let path = scratch.file("a.txt", text: "")
    #expect(refusal { _ = try open(path) }?.problem == "is no data set")
  }

  @Test func subsetsAreTakenInOrder() throws {
    let scratch = try imageFolder()
    let data = try open(scratch.path)
    func names(_ part: Dataset) -> [String] { (0..<part.count).map(part.name) }
    #expect(names(data.subset(every: 3)) == ["a/1.JPG", "b/2.png"])
    #expect(names(data.complement(every: 3)) == ["a/2.png", "b/1.JPG", "c/1.JPG", "c/2.png"])
    #expect(names(data.subset(from: 4)) == ["c/1.JPG", "c/2.png"])
    #expect(names(data.subset(limit: 1)) == ["a/1.JPG"])
    #expect(names(data.spread(3)) == ["a/1.JPG", "b/1.JPG", "c/1.JPG"])
    #expect(names(data.subset(from: 1).spread(2)) == ["a/2.png", "b/2.png"])
    #expect(data.subset(limit: 2).summary == "2 of 6 images of 3 classes")
  }

  @Test func theDigestFollowsContentsLabelsAndPreprocessing() throws {
    let scratch = try imageFolder()
    let digest = try open(scratch.path).digest()
    #expect(digest.utf8.count == 16)
    #expect(try open(scratch.path).digest() == digest)
    #expect(try open(scratch.path).subset(limit: 5).digest() != digest)
    let scaled = try Dataset.open(scratch.path, for: inputs, preprocessing: Preprocessing(scale: 255))
    #expect(try scaled.digest() != digest)
    scratch.file("a/1.JPG", try Fixture.bytes("grey.png"))
    #expect(try open(scratch.path).digest() != digest)
  }

  @Test func batchesJoinSamples() throws {
    let scratch = try imageFolder()
    let data = try open(scratch.path)
    let batch = try data.batch(1..<4)
    #expect(batch.labels == [0, 1, 1] && batch.count == 3)
    let joined = try #require(batch.inputs["input"])
    #expect(joined.shape == [3, 1, 29, 37])
    let second = try #require(try data.sample(2).inputs["input"]).elements(as: Float.self)
    #expect(joined.elements(as: Float.self).dropFirst(29 * 37).prefix(29 * 37) == second[...])
    let free = [ModelInput(name: "input", type: TensorType(.float32, [.symbol("b"), 1, .unknown, .unknown]))]
    scratch.file("a/2.png", try Fixture.bytes("kinds.npz"))
    let mixed = try Dataset.open(scratch.path, for: free, preprocessing: Preprocessing())
    #expect(refusal { _ = try mixed.batch(0..<2) }?.rule == "D2")
  }
}
