import QConvertKit
import QModel

var options = ConvertOptions()
options.precision = .int8
options.calibrationData = "samples/digits/calibration"
options.preprocessing = "resize=32 scale=255 mean=0.3 std=0.35"
let report = try Converter.convert("samples/digits/digits.onnx", to: "digits.qmodel", options: options)
print(report.fileBytes, "bytes,", report.quantizedOps, "operators in int8")

var data = QConvert.VerifyData()
data.path = "samples/digits/test"
let comparison = try QConvert.verify("samples/digits/digits.onnx", "digits.qmodel", data: data)
print("top-1", comparison.top1Candidate ?? 0, "SQNR", comparison.sqnrDB)
print("payload", try QConvert.inspect("digits.qmodel").payloadBytes)

let session = try Session(contentsOf: "digits.qmodel")
let pixels = [Float](repeating: 0, count: 3 * 32 * 32)
let outputs = try session.run(["input": Tensor(pixels, shape: [1, 3, 32, 32])])
print(outputs["logits"]?.floats?.count ?? 0, "logits")
