import BinaryIO
import GraphIR
import Testing

@testable import Datasets

@Suite struct ImageInputTests {
  private func input(_ dims: [Dim], _ dtype: DType = .float32) -> [ModelInput] {
    [ModelInput(name: "input", type: TensorType(dtype, dims))]
  }

  private let dots = Image(width: 2, height: 1, channels: 3, pixels: [10, 20, 30, 40, 50, 60])

  @Test func theWholePipelineIsTorchvisions() throws {
    let image = try ImageDecoder.decode(file: Fixture.path("colour.png"))
    let steps = try Preprocessing.parse(
      "resize=24 crop=19x21 scale=255 mean=0.485,0.456,0.406 std=0.229,0.224,0.225"
    )
    let tensor = try ImageInput(input([.symbol("batch"), 3, 19, 21]), steps).tensor(of: image)
    let expected = try #require(Fixture.expected["pipeline"])
    #expect(tensor.type == expected.type)
    #expect(tensor.elements(as: Float.self) == expected.elements(as: Float.self))
  }

  @Test func channelsAreReorderedWithTheirMeans() throws {
    let steps = try Preprocessing.parse("mean=1,2,3 channels=bgr")
    let tensor = try ImageInput(input([1, 3, 1, 2]), steps).tensor(of: dots)
    #expect(tensor.elements(as: Float.self) == [27, 57, 18, 48, 9, 39])
  }

  @Test func channelsLastModelsGetInterleavedPixels() throws {
    let wide = try ImageInput(
      input([.symbol("n"), 5, 2, 3]),
      Preprocessing(resize: .exact(.init(height: 5, width: 2)))
    )
    #expect(try wide.tensor(of: dots).shape == [1, 5, 2, 3])
    #expect(try wide.tensor(of: dots).elements(as: Float.self).prefix(6) == [10, 20, 30, 40, 50, 60])
  }

  @Test func byteModelsGetPixels() throws {
    let tensor = try ImageInput(input([1, 3, 1, 2], .uint8), Preprocessing()).tensor(of: dots)
    #expect(tensor.elements(as: UInt8.self) == [10, 40, 20, 50, 30, 60])
    #expect(
      refusal { _ = try ImageInput(input([1, 3, 1, 2], .uint8), Preprocessing(scale: 255)) }?.rule == "D4"
    )
  }

  @Test func oneChannelModelsGetLuma() throws {
    let tensor = try ImageInput(input([1, 1, 1, 2]), Preprocessing()).tensor(of: dots)
    #expect(tensor.elements(as: Float.self) == dots.grey.pixels.map { Float($0) })
  }

  @Test func aSizeTheModelDoesNotTakeIsRefusedWithTheFlags() throws {
    let whole = try ImageInput(input([1, 3, 8, 8]), Preprocessing())
    let refused = refusal { _ = try whole.tensor(of: dots) }
    #expect(refused?.problem.contains("1x2") == true && refused?.problem.contains("8x8") == true)
    #expect(refused?.remedy.contains("--resize 8x8") == true)
    let cropped = try ImageInput(input([1, 3, 8, 8]), Preprocessing(crop: .init(height: 8, width: 8)))
    #expect(refusal { _ = try cropped.tensor(of: dots) }?.problem.contains("smaller than the crop") == true)
  }

  @Test func modelsThatTakeNoImageAreRefused() {
    let unfit = [
      input([1, 7, 8, 8]), input([1, 3, 8]), input([1, 3, 8, 8], .int64), [],
      input([1, 3, 8, 8]) + [ModelInput(name: "other", type: TensorType(.float32, [1]))],
    ]
    for inputs in unfit { #expect(refusal { _ = try ImageInput(inputs, Preprocessing()) }?.rule == "D4") }
    let grey = input([1, 1, 8, 8])
    #expect(refusal { _ = try ImageInput(grey, .imagenet) }?.remedy == "give one value")
  }
}
