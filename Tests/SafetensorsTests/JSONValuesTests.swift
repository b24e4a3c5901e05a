import BinaryIO
import GraphIR
import Testing

@testable import Safetensors

@Suite struct JSONValuesTests {
  private func values(_ text: String) throws(Refusal) -> JSONValues {
    let bytes = try Tensor.make(.uint8, [text.utf8.count], Array(text.utf8)).bytes
    return try JSONValues(bytes, label: "text")
  }

  @Test("scalars are found by their path, null is absent")
  func paths() throws {
    let found = try values(
      #"{"a": {"b": [1, -2.5e-1, {"c": "x"}]}, "yes": true, "no": false, "none": null, "list": [3, 4]}"#
    )
    #expect(found.number("a.b.1") == -0.25)
    #expect(found.text("a.b.2.c") == "x")
    #expect(found.isTrue("yes") && !found.isTrue("no") && !found.isTrue("a"))
    #expect(found["none"] == nil)
    #expect(found.numbers("list") == [3, 4])
    #expect(found.numbers("a").isEmpty)
  }

  @Test(
    "what is no JSON is refused",
    arguments: ["", "{", "[1,]", "{\"a\": 1, \"a\": 2}", "1 2", "tru", "01", "[[[[[[[[[1]]]]]]]]]", "1e999"]
  )
  func refused(text: String) {
    #expect(throws: Refusal.self) { try values(text) }
  }
}
