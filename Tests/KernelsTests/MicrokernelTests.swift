import CKernels
import TestSupport
import Testing

/// Every entry of the tables against plain loops, with remainders and extreme values.
@Suite("microkernels")
struct MicrokernelTests {
  /// Extents of one call.
  struct Case {
    var rows: Int
    var cols: Int
    var kc: Int
    var taps: Int
  }

  static func cases(mr: Int, nr: Int) -> [Case] {
    var cases: [Case] = []
    for rows in Set([1, mr - 1, mr]).sorted() where rows > 0 {
      for cols in Set([1, nr - 1, nr]).sorted() {
        for kc in [1, 4, 5, 31, 64, 65, 130] { cases.append(Case(rows: rows, cols: cols, kc: kc, taps: 1)) }
        cases.append(Case(rows: rows, cols: cols, kc: 7, taps: 9))
      }
    }
    return cases
  }

  static func igemmKernels(_ dtype: qk_dtype) -> [qk_igemm_ukernel] {
    var count = 0
    let table = unsafe qk_igemm_table(dtype, &count)
    return unsafe UnsafeBufferPointer(start: table, count: count).filter { unsafe qk_isa_available($0.isa) }
  }

  static func dwconvKernels(_ dtype: qk_dtype) -> [qk_dwconv_ukernel] {
    var count = 0
    let table = unsafe qk_dwconv_table(dtype, &count)
    return unsafe UnsafeBufferPointer(start: table, count: count).filter { unsafe qk_isa_available($0.isa) }
  }

  @Test("float products agree with sums in f64")
  func floatProducts() {
    var numbers = SplitMix64(seed: 1)
    let kernels = unsafe MicrokernelTests.igemmKernels(QK_F32)
    for index in unsafe kernels.indices {
      let kernel = unsafe kernels[index]
      let name = unsafe String(cString: kernel.name)
      let mr = unsafe Int(kernel.mr)
      let nr = unsafe Int(kernel.nr)
      for size in MicrokernelTests.cases(mr: mr, nr: nr) {
        let x = numbers.floats(mr * size.taps * size.kc)
        let w = numbers.floats(size.cols * size.taps * size.kc)
        let bias = numbers.floats(nr)
        let got = unsafe run(kernel, QK_F32, size, x, w, of: Float.self) { tail in
          unsafe tail.pointee.kind = QK_TAIL_F32
          unsafe tail.pointee.lo = -0.5
          unsafe tail.pointee.hi = .infinity
        } arrays: {
          (bias, [], [])
        }
        for i in 0..<size.rows {
          for j in 0..<size.cols {
            var sum = Double(bias[j])
            for t in 0..<size.taps {
              for k in 0..<size.kc {
                sum += Double(x[(t * mr + i) * size.kc + k]) * Double(w[(j * size.taps + t) * size.kc + k])
              }
            }
            #expect(abs(Double(got[i * nr + j]) - max(sum, -0.5)) < 2e-5, "\(name) \(size) at \(i), \(j)")
          }
        }
        #expect(got[size.cols..<nr].allSatisfy { $0 == 0 }, "\(name) \(size) writes past its columns")
      }
    }
  }

  @Test("integer products are those of plain loops, bit for bit")
  func integerProducts() {
    var numbers = SplitMix64(seed: 2)
    let kernels = unsafe MicrokernelTests.igemmKernels(QK_QU8)
    for index in unsafe kernels.indices {
      let kernel = unsafe kernels[index]
      let name = unsafe String(cString: kernel.name)
      let mr = unsafe Int(kernel.mr)
      let nr = unsafe Int(kernel.nr)
      for size in MicrokernelTests.cases(mr: mr, nr: nr) {
        let x = numbers.bytes(mr * size.taps * size.kc)
        let w = numbers.signedBytes(size.cols * size.taps * size.kc)
        let tails = IntegerTail(nr, &numbers)
        var sums = [Int32](repeating: 0, count: mr * nr)
        for i in 0..<size.rows {
          for j in 0..<size.cols {
            for t in 0..<size.taps {
              for k in 0..<size.kc {
                sums[i * nr + j] &+=
                  Int32(x[(t * mr + i) * size.kc + k]) * Int32(w[(j * size.taps + t) * size.kc + k])
              }
            }
          }
        }
        let bytes = unsafe run(
          kernel,
          QK_QU8,
          size,
          x,
          w,
          of: UInt8.self,
          tails.setRequantize,
          arrays: tails.arrays
        )
        let floats = unsafe run(
          kernel,
          QK_QU8,
          size,
          x,
          w,
          of: Float.self,
          tails.setDequantize,
          arrays: tails.arrays
        )
        for i in 0..<size.rows {
          for j in 0..<size.cols {
            let sum = sums[i * nr + j]
            #expect(bytes[i * nr + j] == tails.requantized(sum, j), "\(name) \(size) at \(i), \(j)")
            #expect(floats[i * nr + j] == tails.dequantized(sum, j), "\(name) \(size) at \(i), \(j)")
          }
        }
        #expect(bytes[size.cols..<nr].allSatisfy { $0 == 0 }, "\(name) \(size) writes past its columns")
      }
    }
  }

  /// Runs one kernel; the result has rows of `nr` elements.
  private func run<X: BitwiseCopyable, W: BitwiseCopyable, Y: BitwiseCopyable & Numeric>(
    _ kernel: qk_igemm_ukernel,
    _ dtype: qk_dtype,
    _ size: Case,
    _ x: [X],
    _ w: [W],
    of type: Y.Type,
    _ setTail: (UnsafeMutablePointer<qk_tail>) -> Void,
    arrays: () -> (bias: [Float], scale: [Float], start: [Int32])
  ) -> [Y] {
    let mr = unsafe Int(kernel.mr)
    let nr = unsafe Int(kernel.nr)
    let bytes = unsafe qk_panel_bytes(dtype, kernel.isa, nr, size.kc, size.taps)
    let panel = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    defer { unsafe panel.deallocate() }
    var columnSums = [Int32](repeating: 0, count: nr)
    unsafe qk_pack_weights(
      dtype,
      kernel.isa,
      dtype == QK_F32 ? QK_SOURCE_F32 : QK_SOURCE_S8,
      w,
      size.cols,
      size.taps,
      1,
      size.kc,
      size.taps * size.kc,
      size.kc,
      1,
      nr,
      1,
      panel,
      &columnSums
    )
    var result = [Y](repeating: 0, count: mr * nr)
    let padded = x + [X](repeating: x[0], count: 64)
    let (bias, scale, start) = arrays()
    unsafe padded.withUnsafeBytes { input in
      let rows = unsafe (0..<size.taps * mr).map { index -> UnsafeRawPointer? in
        let row = min(index % mr, size.rows - 1) + index / mr * mr
        return unsafe input.baseAddress.map { unsafe $0 + row * size.kc * MemoryLayout<X>.stride }
      }
      unsafe bias.withUnsafeBufferPointer { bias in
        unsafe scale.withUnsafeBufferPointer { scale in
          unsafe start.withUnsafeBufferPointer { start in
            var tail = unsafe qk_tail()
            unsafe setTail(&tail)
            unsafe tail.bias = bias.baseAddress
            unsafe tail.scale = scale.baseAddress
            unsafe tail.start = start.baseAddress
            unsafe kernel.function(
              size.rows,
              size.cols,
              size.kc,
              size.taps,
              rows,
              panel,
              &result,
              nr * MemoryLayout<Y>.stride,
              &tail
            )
          }
        }
      }
    }
    return result
  }

  @Test("float depthwise sums agree with sums in f64")
  func floatDepthwise() {
    var numbers = SplitMix64(seed: 3)
    let kernels = unsafe MicrokernelTests.dwconvKernels(QK_F32)
    for index in unsafe kernels.indices {
      let kernel = unsafe kernels[index]
      let name = unsafe String(cString: kernel.name)
      for (channels, taps) in [(1, 1), (7, 9), (31, 9), (32, 25), (33, 4), (101, 9)] {
        let pixels = 3
        let x = numbers.floats(pixels * taps * channels)
        let w = numbers.floats(channels * taps)
        let bias = numbers.floats(channels + 64)
        let got = unsafe runDepthwise(kernel, QK_F32, pixels, channels, taps, x, w, of: Float.self) { tail in
          unsafe tail.pointee.kind = QK_TAIL_F32
          unsafe tail.pointee.lo = -.infinity
          unsafe tail.pointee.hi = 0.75
        } arrays: {
          (bias, [], [])
        }
        for i in 0..<pixels {
          for c in 0..<channels {
            var sum = Double(bias[c])
            for t in 0..<taps { sum += Double(x[(i * taps + t) * channels + c]) * Double(w[c * taps + t]) }
            #expect(abs(Double(got[i * channels + c]) - min(sum, 0.75)) < 1e-5, "\(name) \(channels) \(taps)")
          }
        }
      }
    }
  }

  @Test("integer depthwise sums are those of plain loops, bit for bit")
  func integerDepthwise() {
    var numbers = SplitMix64(seed: 4)
    let kernels = unsafe MicrokernelTests.dwconvKernels(QK_QU8)
    for index in unsafe kernels.indices {
      let kernel = unsafe kernels[index]
      let name = unsafe String(cString: kernel.name)
      for (channels, taps) in [(1, 1), (7, 9), (31, 9), (32, 25), (33, 4), (101, 9)] {
        let pixels = 3
        let x = numbers.bytes(pixels * taps * channels)
        let w = numbers.signedBytes(channels * taps)
        let tails = IntegerTail(channels + 64, &numbers)
        let bytes = unsafe runDepthwise(
          kernel,
          QK_QU8,
          pixels,
          channels,
          taps,
          x,
          w,
          of: UInt8.self,
          tails.setRequantize,
          arrays: tails.arrays
        )
        let floats = unsafe runDepthwise(
          kernel,
          QK_QU8,
          pixels,
          channels,
          taps,
          x,
          w,
          of: Float.self,
          tails.setDequantize,
          arrays: tails.arrays
        )
        for i in 0..<pixels {
          for c in 0..<channels {
            var sum: Int32 = 0
            for t in 0..<taps { sum += Int32(x[(i * taps + t) * channels + c]) * Int32(w[c * taps + t]) }
            #expect(
              bytes[i * channels + c] == tails.requantized(sum, c),
              "\(name) \(channels) \(taps) at \(c)"
            )
            #expect(
              floats[i * channels + c] == tails.dequantized(sum, c),
              "\(name) \(channels) \(taps) at \(c)"
            )
          }
        }
      }
    }
  }

  private func runDepthwise<X: BitwiseCopyable, W: BitwiseCopyable, Y: BitwiseCopyable & Numeric>(
    _ kernel: qk_dwconv_ukernel,
    _ dtype: qk_dtype,
    _ pixels: Int,
    _ channels: Int,
    _ taps: Int,
    _ x: [X],
    _ w: [W],
    of type: Y.Type,
    _ setTail: (UnsafeMutablePointer<qk_tail>) -> Void,
    arrays: () -> (bias: [Float], scale: [Float], start: [Int32])
  ) -> [Y] {
    let bytes = qk_dw_packed_bytes(dtype, channels, taps)
    let packed = UnsafeMutableRawPointer.allocate(byteCount: bytes + 64, alignment: 64)
    defer { unsafe packed.deallocate() }
    var sums = [Int32](repeating: 0, count: channels)
    let source = dtype == QK_F32 ? QK_SOURCE_F32 : QK_SOURCE_S8
    unsafe qk_dw_pack(dtype, source, w, channels, taps, taps, 1, packed, &sums)
    var result = [Y](repeating: 0, count: pixels * channels)
    let padded = x + [X](repeating: x[0], count: 64)
    let (bias, scale, start) = arrays()
    unsafe padded.withUnsafeBytes { input in
      let rows = unsafe (0..<pixels * taps).map { index -> UnsafeRawPointer? in
        unsafe input.baseAddress.map { unsafe $0 + index * channels * MemoryLayout<X>.stride }
      }
      unsafe bias.withUnsafeBufferPointer { bias in
        unsafe scale.withUnsafeBufferPointer { scale in
          unsafe start.withUnsafeBufferPointer { start in
            var tail = unsafe qk_tail()
            unsafe setTail(&tail)
            unsafe tail.bias = bias.baseAddress
            unsafe tail.scale = scale.baseAddress
            unsafe tail.start = start.baseAddress
            unsafe kernel.function(
              pixels,
              channels,
              taps,
              rows,
              packed,
              &result,
              channels * MemoryLayout<Y>.stride,
              &tail
            )
          }
        }
      }
    }
    return result
  }
}

/// Kernels for whole rows of a depthwise convolution against plain loops.
@Suite("depthwise row microkernels")
struct DepthwiseRowTests {
  /// An input line of `width` pixels and an output line, by their extents.
  private struct Case {
    var channels: Int
    var width: Int
    var padLeft: Int
    var outputWidth: Int
  }

  private static func kernels(_ dtype: qk_dtype) -> [qk_dwrow_ukernel] {
    var count = 0
    let table = unsafe qk_dwrow_table(dtype, &count)
    return unsafe UnsafeBufferPointer(start: table, count: count).filter { unsafe qk_isa_available($0.isa) }
  }

  @Test("sums are those of plain loops, bit for bit, at the edges and for lines in the padding")
  func rows() {
    var numbers = SplitMix64(seed: 5)
    let kernels = unsafe DepthwiseRowTests.kernels(QK_QU8)
    for index in unsafe kernels.indices {
      let kernel = unsafe kernels[index]
      for (channels, width, padLeft, outputWidth) in [
        (1, 1, 1, 1), (64, 5, 1, 5), (65, 2, 2, 4), (100, 9, 0, 3), (130, 4, 1, 2), (16, 12, 2, 7),
      ] {
        let size = Case(channels: channels, width: width, padLeft: padLeft, outputWidth: outputWidth)
        for missing in [nil, 0, Int(unsafe kernel.kh) - 1] {
          unsafe check(kernel, size, missing, &numbers)
        }
      }
    }
  }

  @Test("float sums agree with sums in f64")
  func floatRows() {
    var numbers = SplitMix64(seed: 6)
    let kernels = unsafe DepthwiseRowTests.kernels(QK_F32)
    for index in unsafe kernels.indices {
      let kernel = unsafe kernels[index]
      let (kh, kw, stride) = unsafe (Int(kernel.kh), Int(kernel.kw), Int(kernel.stride))
      for (channels, width, padLeft, outputWidth) in [
        (1, 3, 1, 2), (33, 5, 2, 4), (64, 2, 1, 1), (50, 9, 0, 3),
      ] {
        let size = Case(channels: channels, width: width, padLeft: padLeft, outputWidth: outputWidth)
        let x = (0..<kh).map { _ in numbers.floats(width * channels) + [Float](repeating: .nan, count: 64) }
        let padding = [Float](repeating: 0, count: channels + 64)
        // One weight per tap and channel, in the order of qk_dw_pack.
        let w = numbers.floats(kh * kw * channels)
        let bias = numbers.floats(channels + 64)
        let got = unsafe w.withUnsafeBytes { weights in
          unsafe call(kernel, size, x, kh - 1, padding, weights.baseAddress, of: Float.self) { tail, call in
            unsafe bias.withUnsafeBufferPointer { bias in
              unsafe tail.pointee.kind = QK_TAIL_F32
              unsafe tail.pointee.bias = bias.baseAddress
              unsafe (tail.pointee.lo, tail.pointee.hi) = (-0.5, .infinity)
              call()
            }
          }
        }
        for o in 0..<outputWidth {
          for c in 0..<channels {
            var sum = Double(bias[c])
            for y in 0..<kh - 1 {
              for k in 0..<kw {
                let at = o * stride - padLeft + k
                guard at >= 0, at < width else { continue }
                sum += Double(x[y][at * channels + c]) * Double(w[(y * kw + k) * channels + c])
              }
            }
            #expect(abs(Double(got[o * channels + c]) - max(sum, -0.5)) < 1e-5, "\(size) at \(o), \(c)")
          }
        }
      }
    }
  }

  private func check(
    _ kernel: qk_dwrow_ukernel,
    _ size: Case,
    _ missing: Int?,
    _ numbers: inout SplitMix64
  ) {
    let (kh, kw, stride) = unsafe (Int(kernel.kh), Int(kernel.kw), Int(kernel.stride))
    let x = (0..<kh).map { _ in numbers.bytes(size.width * size.channels) + [UInt8](repeating: 9, count: 64) }
    let padding = [UInt8](repeating: 77, count: size.channels + 64)
    let w = numbers.signedBytes(size.channels * kh * kw)
    let tails = IntegerTail((size.channels + 63) / 64 * 64, &numbers)
    let bytes = unsafe run(kernel, size, x, missing, padding, w, tails, tails.setRequantize, of: UInt8.self)
    let floats = unsafe run(kernel, size, x, missing, padding, w, tails, tails.setDequantize, of: Float.self)
    let name = unsafe String(cString: kernel.name)
    for o in 0..<size.outputWidth {
      for c in 0..<size.channels {
        var sum: Int32 = 0
        for y in 0..<kh {
          for k in 0..<kw {
            let at = o * stride - size.padLeft + k
            let isInside = at >= 0 && at < size.width && y != missing
            sum += Int32(isInside ? x[y][at * size.channels + c] : 77) * Int32(w[c * kh * kw + y * kw + k])
          }
        }
        let at = o * size.channels + c
        #expect(
          bytes[at] == tails.requantized(sum, c),
          "\(name) \(size) without \(missing ?? -1) at \(o), \(c)"
        )
        #expect(
          floats[at] == tails.dequantized(sum, c),
          "\(name) \(size) without \(missing ?? -1) at \(o), \(c)"
        )
      }
    }
  }

  private func run<Y: BitwiseCopyable & Numeric>(
    _ kernel: qk_dwrow_ukernel,
    _ size: Case,
    _ x: [[UInt8]],
    _ missing: Int?,
    _ padding: [UInt8],
    _ w: [Int8],
    _ tails: IntegerTail,
    _ setTail: (UnsafeMutablePointer<qk_tail>) -> Void,
    of type: Y.Type
  ) -> [Y] {
    let (kh, kw) = unsafe (Int(kernel.kh), Int(kernel.kw))
    let packed = UnsafeMutableRawPointer.allocate(
      byteCount: qk_dwrow_packed_bytes(size.channels, kh, kw),
      alignment: 64
    )
    defer { unsafe packed.deallocate() }
    var sums = [Int32](repeating: 0, count: size.channels)
    unsafe qk_dwrow_pack(w, size.channels, kh, kw, kh * kw, 1, packed, &sums)
    return unsafe call(kernel, size, x, missing, padding, packed, of: Y.self) { tail, call in
      unsafe tails.start.withUnsafeBufferPointer { start in
        unsafe tails.scale.withUnsafeBufferPointer { scale in
          unsafe tails.bias.withUnsafeBufferPointer { bias in
            unsafe setTail(tail)
            unsafe tail.pointee.start = start.baseAddress
            unsafe tail.pointee.scale = scale.baseAddress
            unsafe tail.pointee.bias = bias.baseAddress
            call()
          }
        }
      }
    }
  }

  /// Calls a kernel for one row; `prepare` sets the tail's arrays and calls its second argument while they live.
  private func call<X: BitwiseCopyable, Y: BitwiseCopyable & Numeric>(
    _ kernel: qk_dwrow_ukernel,
    _ size: Case,
    _ x: [[X]],
    _ missing: Int?,
    _ padding: [X],
    _ weights: UnsafeRawPointer?,
    of type: Y.Type,
    _ prepare: (UnsafeMutablePointer<qk_tail>, () -> Void) -> Void
  ) -> [Y] {
    var result = [Y](repeating: 0, count: size.outputWidth * size.channels)
    let flat = x.flatMap { $0 }
    let lineBytes = (size.width * size.channels + 64) * MemoryLayout<X>.stride
    unsafe flat.withUnsafeBytes { input in
      let lines = unsafe x.indices.map { y -> UnsafeRawPointer? in
        unsafe y == missing ? nil : input.baseAddress.map { unsafe $0 + y * lineBytes }
      }
      unsafe lines.withUnsafeBufferPointer { lines in
        unsafe padding.withUnsafeBytes { padding in
          unsafe result.withUnsafeMutableBytes { out in
            var tail = unsafe qk_tail()
            var row = unsafe qk_dwrow(
              lines: lines.baseAddress,
              padding: padding.baseAddress,
              weights: weights,
              out: out.baseAddress,
              iw: size.width,
              ow: size.outputWidth,
              pl: size.padLeft,
              channels: size.channels,
              in_stride: size.channels * MemoryLayout<X>.stride,
              out_stride: size.channels * MemoryLayout<Y>.stride
            )
            unsafe withUnsafeMutablePointer(to: &tail) { tail in
              unsafe prepare(tail) { unsafe kernel.function(&row, tail) }
            }
          }
        }
      }
    }
    return result
  }
}

/// Random parameters of an integer tail and the formulas of `schemas/arithmetic.md` for them.
struct IntegerTail {
  let start: [Int32]
  let scale: [Float]
  let bias: [Float]
  let zeroPoint: Int32
  let lowest: Int32
  let highest: Int32
  /// Whether products can exceed the integers.
  let isSteep: Bool

  init(_ count: Int, _ numbers: inout SplitMix64) {
    start = (0..<count).map { _ in Int32.random(in: -40000...40000, using: &numbers) }
    isSteep = numbers.pick([false, false, true])
    scale = isSteep ? numbers.floats(count, in: 1e3...1e9) : numbers.floats(count, in: 1e-4...0.02)
    bias = numbers.floats(count)
    zeroPoint = numbers.pick([0, 255, 128, 3])
    lowest = numbers.pick([0, zeroPoint])
    highest = numbers.pick([255, max(lowest, 200)])
  }

  func arrays() -> (bias: [Float], scale: [Float], start: [Int32]) { (bias, scale, start) }

  func setRequantize(_ tail: UnsafeMutablePointer<qk_tail>) {
    unsafe tail.pointee.kind = QK_TAIL_REQUANTIZE
    unsafe tail.pointee.scales_below_1 = !isSteep
    unsafe tail.pointee.zero_point = zeroPoint
    unsafe tail.pointee.lo = Float(lowest - zeroPoint)
    unsafe tail.pointee.hi = Float(highest - zeroPoint)
  }

  func setDequantize(_ tail: UnsafeMutablePointer<qk_tail>) {
    unsafe tail.pointee.kind = QK_TAIL_DEQUANTIZE
    unsafe tail.pointee.lo = 0
    unsafe tail.pointee.hi = 100
  }

  func requantized(_ sum: Int32, _ channel: Int) -> UInt8 {
    let real = (Float(sum &+ start[channel]) * scale[channel]).rounded(.toNearestOrEven)
    let saturated = min(max(Double(real) + Double(zeroPoint), 0), 255)
    return UInt8(min(max(saturated, Double(lowest)), Double(highest)))
  }

  func dequantized(_ sum: Int32, _ channel: Int) -> Float {
    let product = Float(sum &+ start[channel]) * scale[channel]
    return min(max(product + bias[channel], 0), 100)
  }
}
