import GraphIR
import Testing

@testable import Datasets

@Suite struct ImageResizerTests {
  @Test(arguments: [(12, 15), (29, 11), (64, 80), (1, 1), (28, 36)])
  func imagesBecomePillowsToTheBit(_ height: Int, _ width: Int) throws {
    let image = try ImageDecoder.decode(file: Fixture.path("colour.png"))
    let expected = try #require(Fixture.expected["resize_\(height)x\(width)"])
    let resized = ImageResizer.resize(image, height: height, width: width)
    #expect(distance(resized.pixels, expected.elements(as: UInt8.self)) == 0)
  }

  @Test func aSideThatShrinksFarMoreIsWithinOneLevel() throws {
    let image = try ImageDecoder.decode(file: Fixture.path("colour.png"))
    let expected = try #require(Fixture.expected["resize_7x90"])
    let resized = ImageResizer.resize(image, height: 7, width: 90)
    #expect(distance(resized.pixels, expected.elements(as: UInt8.self)) == 1)
  }

  @Test func theSameSizeChangesNothing() throws {
    let image = try ImageDecoder.decode(file: Fixture.path("grey.png"))
    #expect(ImageResizer.resize(image, height: image.height, width: image.width) == image)
  }
}
