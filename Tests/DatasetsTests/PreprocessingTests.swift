import BinaryIO
import Testing

@testable import Datasets

@Suite struct PreprocessingTests {
  @Test func theTextFormReadsBackExactly() throws {
    let texts = [
      "resize=256 crop=224 scale=255 mean=0.485,0.456,0.406 std=0.229,0.224,0.225 channels=rgb",
      "resize=240x320 crop=200x300 scale=1 mean=127 std=128 channels=bgr",
      "scale=1 channels=rgb",
    ]
    for text in texts { #expect(try Preprocessing.parse(text).description == text) }
  }

  @Test func aPresetIsANameThatPartsMayOverride() throws {
    #expect(try Preprocessing.parse("imagenet") == .imagenet)
    let larger = try Preprocessing.parse("imagenet resize=232")
    #expect(larger.resize == .shorterSide(232))
    #expect(larger.mean == Preprocessing.imagenet.mean)
  }

  @Test func theScaleIsOneUnlessGiven() throws {
    #expect(try Preprocessing.parse("mean=127 std=128").scale == 1)
    #expect(try Preprocessing.parse("") == Preprocessing())
  }

  @Test(
    arguments: [
      "resize", "imagenet imagenet", "resize=256 imagenet", "size=3", "resize=0", "resize=-3", "resize=1x2x3",
      "crop=x", "scale=0", "scale=nan", "scale=1e99", "mean=1,2", "mean=a", "mean=", "std=0", "std=1,-1,1",
      "channels=grb", "crop=3 crop=3", "resize=99999999999999999999", "scale=0x10", "mean=inf",
    ]
  )
  func malformedTextIsRefused(_ text: String) {
    let refused = refusal { _ = try Preprocessing.parse(text) }
    #expect(refused?.rule == "D1")
    #expect(refused?.kind == .usage)
  }
}
