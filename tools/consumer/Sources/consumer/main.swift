import QConvertKit
import QModel

let arguments = CommandLine.arguments
var options = ConvertOptions()
options.precision = .int8
_ = try Converter.convert(arguments[1], to: arguments[2], options: options)
let session = try Session(contentsOf: arguments[2])
let pixels = [Float](repeating: 0, count: 3 * 32 * 32)
print(try session.run(["input": Tensor(pixels, shape: [1, 3, 32, 32])])["logits"]?.floats?.count ?? 0, "logits")
