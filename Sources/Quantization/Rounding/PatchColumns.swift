/// The patches of one group as columns of numbers, for sums over patches.
package struct PatchColumns: Sendable {
  /// Elements of a patch.
  package let length: Int
  /// Patches: whole vectors.
  package let count: Int
  /// What one step of ``values`` is worth.
  package let scale: Float
  /// `[element, patch]`.
  let values: [Float]

  /// - Parameter centre: What is taken from each element, a real number.
  package init(_ table: PatchTable, _ group: Int, centre: [Double]) {
    precondition(centre.count == table.length)
    length = table.length
    count = table.vectors
    scale = table.params.scale
    values = table.columns(group, centre: centre.map { Float($0 / Double(table.params.scale)) })
  }

  /// `E[y yᵀ]` shrunk towards its diagonal, rows of `length`.
  ///
  /// What a few patches say of how elements hang together is mostly chance. Products of different elements are therefore multiplied
  /// by `patches / (patches + length)`.
  package func covariance(threads: Int) -> [Double] {
    let rows = Parallel.map((length + 3) / 4, threads: threads) { block in
      (block * 4..<min(length, block * 4 + 4)).map { products(of: $0) }
    }
    let unit = Double(scale) * Double(scale) / Double(max(count, 1))
    var result = [Double](repeating: 0, count: length * length)
    for row in 0..<length {
      for column in row..<length {
        let share = row == column ? unit : unit * (1 - shrinkage)
        let value = rows[row / 4][row % 4][column - row] * share
        result[row * length + column] = value
        result[column * length + row] = value
      }
    }
    return result
  }

  /// The share by which products of different elements are made smaller.
  package var shrinkage: Double { Double(length) / Double(max(length + count, 1)) }

  /// `E[y²]` of each element.
  var squares: [Double] {
    let unit = Double(scale) * Double(scale) / Double(max(count, 1))
    return (0..<length).map { term in
      values[(term * count)..<((term + 1) * count)].reduce(0.0) { $0 + Double($1) * Double($1) } * unit
    }
  }

  /// `Σ y_row · y_j` for `j >= row`.
  private func products(of row: Int) -> [Double] {
    var result = [Double](repeating: 0, count: length - row)
    unsafe values.withUnsafeBytes { (bytes) in
      var column = row
      while column < length {
        let wide = min(4, length - column)
        let sums = unsafe dots(bytes, row, column, wide)
        for index in 0..<wide { result[column - row + index] = sums[index] }
        column += wide
      }
    }
    return result
  }

  /// The sums of one element's products with up to four neighbouring ones.
  private func dots(_ bytes: UnsafeRawBufferPointer, _ row: Int, _ column: Int, _ wide: Int) -> SIMD4<Double>
  {
    var total = SIMD4<Double>.zero
    // Beyond the last element, the last one again.
    let bases = (0..<4).map { (column + min($0, wide - 1)) * count }
    let (b0, b1, b2, b3) = (bases[0], bases[1], bases[2], bases[3])
    let base = row * count
    var start = 0
    while start < count {
      let end = min(count, start + 256)
      var (s0, s1, s2, s3) = (SIMD8<Float>.zero, SIMD8<Float>.zero, SIMD8<Float>.zero, SIMD8<Float>.zero)
      var patch = start
      while patch < end {
        let x = unsafe bytes.loadUnaligned(fromByteOffset: (base &+ patch) &* 4, as: SIMD8<Float>.self)
        unsafe s0 += x * bytes.loadUnaligned(fromByteOffset: (b0 &+ patch) &* 4, as: SIMD8<Float>.self)
        unsafe s1 += x * bytes.loadUnaligned(fromByteOffset: (b1 &+ patch) &* 4, as: SIMD8<Float>.self)
        unsafe s2 += x * bytes.loadUnaligned(fromByteOffset: (b2 &+ patch) &* 4, as: SIMD8<Float>.self)
        unsafe s3 += x * bytes.loadUnaligned(fromByteOffset: (b3 &+ patch) &* 4, as: SIMD8<Float>.self)
        patch &+= 8
      }
      total += SIMD4(Double(s0.sum()), Double(s1.sum()), Double(s2.sum()), Double(s3.sum()))
      start = end
    }
    return total
  }

  /// `Σ row · y` of every patch: one result of the operator without its bias, times `factor`.
  package func responses(_ row: [Float], factor: Float) -> [Float] {
    precondition(row.count == length)
    var result = [Float](repeating: 0, count: count)
    unsafe result.withUnsafeMutableBytes { (out) in
      unsafe values.withUnsafeBytes { (bytes) in
        for (term, weight) in row.enumerated() where weight != 0 {
          let scaled = SIMD8<Float>(repeating: weight * factor)
          let base = term &* count
          var patch = 0
          while patch < count {
            let y = unsafe bytes.loadUnaligned(fromByteOffset: (base &+ patch) &* 4, as: SIMD8<Float>.self)
            let old = unsafe out.loadUnaligned(fromByteOffset: patch &* 4, as: SIMD8<Float>.self)
            unsafe out.storeBytes(of: old + scaled * y, toByteOffset: patch &* 4, as: SIMD8<Float>.self)
            patch &+= 8
          }
        }
      }
    }
    return result
  }
}
