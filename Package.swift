// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target is held to the same rules: Swift 6 mode, spelled-out unsafety, no warnings.
let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
]

/// SwiftPM compiles C without optimisation in debug builds, which would make every test of a network crawl.
let optimisedC: [CSetting] = [.unsafeFlags(["-O3"])]

func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
  .testTarget(
    name: name,
    dependencies: dependencies + ["TestSupport"],
    exclude: exclude,
    swiftSettings: strict
  )
}

let package = Package(
  name: "qconvert",
  products: [
    .executable(name: "qconvert", targets: ["qconvert"]),
    .library(name: "QConvertKit", targets: ["QConvertKit"]),
    .library(name: "QModel", targets: ["QModel"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: [
    // 0: C
    .systemLibrary(
      name: "CProtobufC",
      pkgConfig: "libprotobuf-c",
      providers: [.apt(["libprotobuf-c-dev"])]
    ),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CZip", pkgConfig: "libzip", providers: [.apt(["libzip-dev"])]),
    .systemLibrary(
      name: "CJPEG",
      pkgConfig: "libturbojpeg",
      providers: [.apt(["libturbojpeg0-dev"])]
    ),
    .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
    .target(name: "COnnxProto", dependencies: ["CProtobufC"]),
    .target(name: "CQModelProto", dependencies: ["CProtobufC"]),
    .target(name: "CKernels", cSettings: optimisedC),
    .target(name: "CSignals"),

    // 1: bytes and kernels, without knowledge of models
    .target(
      name: "BinaryIO",
      dependencies: ["CSignals", "CZlib"],
      swiftSettings: strict + [.enableExperimentalFeature("Lifetimes")]
    ),
    library("Kernels", ["CKernels"]),

    // 2: the IR
    library("GraphIR", ["BinaryIO"]),

    // 3: formats and arithmetic; they meet in GraphIR only
    library("ONNXReader", ["GraphIR", "BinaryIO", "COnnxProto", "CProtobufC"]),
    library("ONNXWriter", ["GraphIR", "BinaryIO"]),
    library("Safetensors", ["GraphIR", "BinaryIO"]),
    library("Architectures", ["GraphIR", "BinaryIO"]),
    library("QModelFormat", ["GraphIR", "BinaryIO", "CQModelProto", "CProtobufC"]),
    library("Quantization", ["GraphIR", "BinaryIO"]),
    library("Datasets", ["GraphIR", "BinaryIO", "Safetensors", "CZip", "CJPEG", "CPNG"]),

    // 4: rewriting and running
    library("Passes", ["GraphIR", "BinaryIO", "Quantization"]),
    library("Runtime", ["GraphIR", "BinaryIO", "Quantization", "Kernels"]),

    // 5: the products
    library("QModel", ["QModelFormat", "Runtime", "GraphIR", "BinaryIO"]),
    library(
      "QConvertKit",
      [
        "ONNXReader", "ONNXWriter", "Safetensors", "Architectures", "QModelFormat", "Quantization",
        "Datasets", "Passes", "Runtime", "GraphIR", "BinaryIO",
      ]
    ),

    // 6: the command line
    .executableTarget(
      name: "qconvert",
      dependencies: [
        "QConvertKit", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict
    ),

    // Tests
    .target(
      name: "TestSupport",
      dependencies: ["GraphIR", "BinaryIO"],
      path: "Tests/TestSupport",
      swiftSettings: strict
    ),
    tests("BinaryIOTests", ["BinaryIO"]),
    tests("GraphIRTests", ["GraphIR", "BinaryIO"]),
    tests("ONNXReaderTests", ["ONNXReader", "Runtime", "GraphIR", "BinaryIO"]),
    tests("ONNXWriterTests", ["ONNXWriter", "ONNXReader", "Runtime", "GraphIR", "BinaryIO"]),
    tests("SafetensorsTests", ["Safetensors", "GraphIR", "BinaryIO"]),
    tests(
      "ArchitecturesTests",
      ["Architectures", "Safetensors", "GraphIR", "BinaryIO"],
      exclude: ["Fixtures"]
    ),
    tests("QModelFormatTests", ["QModelFormat", "GraphIR", "BinaryIO"], exclude: ["Fixtures"]),
    tests("QuantizationTests", ["Quantization", "GraphIR", "BinaryIO"]),
    tests("DatasetsTests", ["Datasets", "GraphIR", "BinaryIO"], exclude: ["Fixtures"]),
    tests("PassesTests", ["Passes", "Quantization", "GraphIR", "BinaryIO", "Runtime"]),
    tests("KernelsTests", ["Kernels", "CKernels"]),
    tests(
      "RuntimeTests",
      ["Runtime", "Kernels", "Quantization", "GraphIR", "BinaryIO"],
      exclude: ["Fixtures"]
    ),
    tests(
      "QConvertKitTests",
      [
        "QConvertKit", "Architectures", "Datasets", "Passes", "QModelFormat", "Quantization", "Runtime",
        "Safetensors", "GraphIR", "BinaryIO",
      ],
      exclude: ["Fixtures"]
    ),
    tests(
      "QConvertEndToEndTests",
      ["qconvert", "Datasets", "QModelFormat", "GraphIR", "BinaryIO"],
      exclude: ["Fixtures"]
    ),
  ],
  swiftLanguageModes: [.v6]
)
