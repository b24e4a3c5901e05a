import GraphIR

/// Which channel each element of a value belongs to, along the axes that tell; other axes have the extent 1.
struct ChannelLabels {
  var shape: [Int]
  /// Channels in row-major order of ``shape``.
  var channels: [Int]

  /// Whether no channel occurs twice.
  var isInjective: Bool { Set(channels).count == channels.count }

  /// Whether all channels lie along the last axis.
  var isLastAxis: Bool { shape.dropLast().allSatisfy { $0 == 1 } }
}

/// Where the channels of a value go: through operators that only move them, or are linear in each, to those that do more.
///
/// A factor per channel can then be moved from the producer of the value to its users. Attention counts as linear in the channels
/// of its values, since its weights multiply whole tokens.
struct ChannelFlow {
  /// An operand that holds channels, of an operator that does more than moving them.
  struct Use {
    /// Nil: an output of the graph.
    let node: NodeID?
    let operand: Int
    let value: ValueID
    let labels: ChannelLabels
  }

  private(set) var uses: [Use] = []
  /// The values between, with the channels they hold; the first is the origin.
  private(set) var values: [(id: ValueID, labels: ChannelLabels)] = []

  /// Follows a value with the channels along its last axis.
  init(_ graph: Graph, from value: ValueID, channels: Int) {
    let rank = graph[value].type.rank
    guard rank > 0, graph[value].type.dims.last == .known(channels) else { return }
    var open = [
      (
        value,
        ChannelLabels(
          shape: Array(repeating: 1, count: rank - 1) + [channels],
          channels: Array(0..<channels)
        )
      )
    ]
    while let (value, labels) = open.popLast() {
      values.append((value, labels))
      if graph.isOutput(value) {
        uses.append(Use(node: nil, operand: 0, value: value, labels: labels))
      }
      var seen: Set<NodeID> = []
      for user in graph.users(of: value) where seen.insert(user).inserted {
        if let next = labels.followed(through: user, from: value, graph) {
          open += next
          continue
        }
        for (operand, input) in graph[user].inputs.enumerated() where input == value {
          uses.append(Use(node: user, operand: operand, value: value, labels: labels))
        }
      }
    }
  }

  /// Whether no other use holds a channel of the use at `index`, and that one holds none twice.
  func isAlone(_ index: Int) -> Bool {
    guard uses[index].labels.isInjective else { return false }
    let own = Set(uses[index].labels.channels)
    return uses.indices.allSatisfy { $0 == index || own.isDisjoint(with: uses[$0].labels.channels) }
  }

  /// Names the values that hold some channels anew, since they mean something else now.
  ///
  /// - Parameter last: A value whose name stays.
  func rename(_ channels: Set<Int>, suffix: String, except last: ValueID?, in graph: inout Graph) {
    for (id, labels) in values where id != last && graph.contains(id) && !graph.isOutput(id) {
      guard !channels.isDisjoint(with: labels.channels), !graph[id].name.hasSuffix(suffix) else { continue }
      graph.rename(id, to: graph[id].name + suffix)
    }
  }
}

extension ChannelLabels {
  /// The results of a node that moves channels, with their labels; nil for other nodes.
  fileprivate func followed(
    through id: NodeID,
    from value: ValueID,
    _ graph: Graph
  ) -> [(ValueID, ChannelLabels)]? {
    let node = graph[id]
    guard node.inputs.count(where: { $0 == value }) == 1 else { return nil }
    let result = graph.result(of: id)
    if case .matMul = node.op {
      return mixed(node, value, graph).map { [(result, $0)] }
    }
    guard node.inputs[0] == value else { return nil }
    switch node.op {
    case .reshape, .flatten, .squeeze, .unsqueeze:
      return reshaped(from: graph[value].type.dims, to: graph[result].type.dims).map { [(result, $0)] }
    case .transpose(let op): return transposed(op.perm).map { [(result, $0)] }
    case .split(let op): return parts(op, node.outputs)
    case .slice(let op): return sliced(op, node, graph).map { [(result, $0)] }
    case .gather(let op): return gathered(op, node, graph).map { [(result, $0)] }
    default: return nil
    }
  }

  /// Of the second operand of a product: every result is a sum over tokens.
  private func mixed(_ node: Node, _ value: ValueID, _ graph: Graph) -> ChannelLabels? {
    guard node.inputs[1] == value, let other = node.inputs[0], !graph[other].isConstant, shape.count >= 2,
      shape[shape.count - 2] == 1
    else { return nil }
    let rank = graph[node.outputs[0]].type.rank
    guard rank >= shape.count else { return nil }
    return ChannelLabels(
      shape: Array(repeating: 1, count: rank - shape.count) + shape,
      channels: channels
    )
  }

  private func transposed(_ perm: [Int]) -> ChannelLabels? {
    guard perm.count == shape.count else { return nil }
    return picked(perm.map { shape[$0] }) { place in
      var source = place
      for (axis, from) in perm.enumerated() { source[from] = place[axis] }
      return source
    }
  }

  private func parts(_ op: Split, _ outputs: [ValueID]) -> [(ValueID, ChannelLabels)]? {
    let axis = op.axis < 0 ? op.axis + shape.count : op.axis
    guard let sizes = op.sizes, sizes.count == outputs.count, shape.indices.contains(axis) else { return nil }
    var first = 0
    var result: [(ValueID, ChannelLabels)] = []
    for (output, size) in zip(outputs, sizes) {
      let part = shape[axis] == 1 ? self : chosen(axis, Array(first..<(first + size)))
      guard let part else { return nil }
      result.append((output, part))
      first += size
    }
    return result
  }

  private func sliced(_ op: Slice, _ node: Node, _ graph: Graph) -> ChannelLabels? {
    func ints(_ own: [Int]?, _ operand: Int) -> [Int]? {
      if let own { return own }
      return node.inputs.count > operand ? graph.constant(node.inputs[operand])?.intValues() : nil
    }
    guard let starts = ints(op.starts, 1), let ends = ints(op.ends, 2), starts.count == ends.count else {
      return nil
    }
    let axes = ints(op.axes, 3) ?? Array(starts.indices)
    let steps = ints(op.steps, 4) ?? starts.map { _ in 1 }
    guard axes.count == starts.count, steps.count == starts.count else { return nil }
    var result = self
    for index in starts.indices {
      let axis = axes[index] < 0 ? axes[index] + shape.count : axes[index]
      guard shape.indices.contains(axis) else { return nil }
      guard result.shape[axis] > 1 else { continue }
      let (first, count) = Slice.indices(
        extent: result.shape[axis],
        start: starts[index],
        end: ends[index],
        step: steps[index]
      )
      guard let part = result.chosen(axis, (0..<count).map { first + $0 * steps[index] }) else { return nil }
      result = part
    }
    return result
  }

  private func gathered(_ op: Gather, _ node: Node, _ graph: Graph) -> ChannelLabels? {
    let axis = op.axis < 0 ? op.axis + shape.count : op.axis
    guard shape.indices.contains(axis), let indices = graph.constant(node.inputs[1]),
      let values = indices.intValues(), indices.shape.count <= 1
    else { return nil }
    var result = self
    if shape[axis] > 1 {
      let places = values.map { $0 < 0 ? $0 + shape[axis] : $0 }
      guard let part = chosen(axis, places) else { return nil }
      result = part
    }
    if indices.shape.isEmpty { result.shape.remove(at: axis) }
    return result
  }

  /// Entries of one axis.
  private func chosen(_ axis: Int, _ places: [Int]) -> ChannelLabels? {
    guard places.allSatisfy((0..<shape[axis]).contains) else { return nil }
    var extents = shape
    extents[axis] = places.count
    return picked(extents) { place in
      var source = place
      source[axis] = places[place[axis]]
      return source
    }
  }

  /// Labels of another shape, each taken from the place that `source` tells.
  private func picked(_ extents: [Int], _ source: ([Int]) -> [Int]) -> ChannelLabels {
    var place = [Int](repeating: 0, count: extents.count)
    let count = extents.reduce(1, *)
    var result: [Int] = []
    result.reserveCapacity(count)
    for _ in 0..<count {
      let from = source(place)
      result.append(channels[zip(from, shape).reduce(0) { $0 * $1.1 + $1.0 }])
      for axis in extents.indices.reversed() {
        place[axis] += 1
        if place[axis] < extents[axis] { break }
        place[axis] = 0
      }
    }
    return ChannelLabels(shape: extents, channels: result)
  }

  /// The same elements in order, under other extents; nil where an axis of channels would be mixed with another.
  private func reshaped(from old: [Dim], to new: [Dim]) -> ChannelLabels? {
    var extents: [Int] = []
    var (left, right) = (0, 0)
    while left < old.count || right < new.count {
      if left < old.count, right < new.count, old[left] == new[right], old[left] != .unknown {
        extents.append(shape[left])
        (left, right) = (left + 1, right + 1)
        continue
      }
      guard let group = group(old, new, left, right) else { return nil }
      let own = shape[left..<group.left]
      let widths = old[left..<group.left].compactMap(\.value)
      if own.allSatisfy({ $0 == 1 }) {
        extents += Array(repeating: 1, count: group.right - right)
      } else if Array(own) == widths {
        extents += new[right..<group.right].compactMap(\.value)
      } else {
        return nil
      }
      (left, right) = (group.left, group.right)
    }
    return ChannelLabels(shape: extents, channels: channels)
  }

  /// The ends of the shortest stretches of both shapes with the same product.
  private func group(_ old: [Dim], _ new: [Dim], _ left: Int, _ right: Int) -> (left: Int, right: Int)? {
    var (i, j) = (left, right)
    var (a, b) = (1, 1)
    repeat {
      if a <= b && i < old.count || j >= new.count {
        guard i < old.count, let extent = old[i].value else { return nil }
        let (product, overflow) = a.multipliedReportingOverflow(by: extent)
        guard !overflow else { return nil }
        (a, i) = (product, i + 1)
      } else {
        guard j < new.count, let extent = new[j].value else { return nil }
        let (product, overflow) = b.multipliedReportingOverflow(by: extent)
        guard !overflow else { return nil }
        (b, j) = (product, j + 1)
      }
    } while a != b
    return (i, j)
  }
}
