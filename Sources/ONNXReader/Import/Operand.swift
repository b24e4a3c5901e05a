import GraphIR

/// What a name of the file stands for during the import.
///
/// Constants enter the graph at their first use, so that those that end as attributes never do.
enum Operand {
  case value(ValueID)
  /// A constant under the name it has in the graph.
  case constant(String, Tensor)
}
