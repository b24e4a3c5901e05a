import BinaryIO
import GraphIR
import Testing

@testable import Datasets

@Suite struct ImageDecoderTests {
  @Test(
    arguments: [
      "colour.png", "alpha.png", "grey.png", "palette.png", "bilevel.png", "colour.jpg", "chroma.jpg",
      "progressive.jpg", "grey.jpg",
    ]
  )
  func imagesDecodeAsPillowDecodesThem(_ name: String) throws {
    let image = try ImageDecoder.decode(file: Fixture.path(name))
    let expected = try #require(Fixture.expected[name])
    #expect([image.height, image.width] == Array(expected.shape.prefix(2)))
    #expect(distance(image.pixels, expected.elements(as: UInt8.self)) == 0)
  }

  @Test func lumaIsPillows() throws {
    let image = try ImageDecoder.decode(file: Fixture.path("colour.png"))
    #expect(image.grey.pixels == Fixture.expected["luma"]?.elements(as: UInt8.self))
  }

  @Test func greyIsRepeatedToColour() throws {
    #expect(Image(width: 2, height: 1, channels: 1, pixels: [3, 9]).colour.pixels == [3, 3, 3, 9, 9, 9])
  }

  @Test func cmykIsRefused() {
    let refused = refusal { _ = try ImageDecoder.decode(file: Fixture.path("cmyk.jpg")) }
    #expect(refused?.kind == .unsupported)
    #expect(refused?.file == Fixture.path("cmyk.jpg"))
    #expect(refused?.problem.contains("CMYK") == true)
  }

  @Test func otherBytesAreRefused() throws {
    for bytes in [[], [0x89], Array("GIF89a".utf8)] {
      let input = try slice(bytes)
      #expect(refusal { _ = try ImageDecoder.decode(input) }?.rule == "D2")
    }
  }

  @Test func hugeSizesAreRefusedBeforeAnythingIsAllocated() throws {
    var bytes = try Fixture.bytes("colour.jpg")
    let frame = try #require(bytes.indices.first { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xC0 })
    bytes.replaceSubrange((frame + 5)..<(frame + 9), with: [0xFF, 0xDC, 0xFF, 0xDC])
    let input = try slice(bytes)
    #expect(refusal { _ = try ImageDecoder.decode(input) }?.rule == "D3")
  }

  @Test(arguments: ["grey.png", "chroma.jpg", "progressive.jpg", "palette.png"])
  func truncationAtEveryByteIsRefused(_ name: String) throws {
    let bytes = try Fixture.bytes(name)
    // The last bytes of a PNG and of a JPEG are end marks; the pixels are complete without them.
    for count in 0..<(bytes.count - 16) {
      let input = try slice(Array(bytes.prefix(count)))
      #expect(refusal { _ = try ImageDecoder.decode(input) } != nil, "\(count) of \(bytes.count) bytes")
    }
  }

  @Test(arguments: ["grey.png", "palette.png", "chroma.jpg", "grey.jpg"])
  func damagedBytesNeverTrap(_ name: String) throws {
    let bytes = try Fixture.bytes(name)
    var random = SplitMix64(seed: 11)
    for _ in 0..<300 {
      var damaged = bytes
      for _ in 0..<3 {
        damaged[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
      }
      let input = try slice(damaged)
      if let image = try? ImageDecoder.decode(input) {
        #expect(image.pixels.count == image.width * image.height * image.channels)
      }
    }
  }
}
