// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "consumer",
  dependencies: [.package(name: "qconvert", path: "../..")],
  targets: [
    .executableTarget(
      name: "consumer",
      dependencies: [
        .product(name: "QModel", package: "qconvert"), .product(name: "QConvertKit", package: "qconvert"),
      ])
  ],
  swiftLanguageModes: [.v6]
)
