internal import CKernels

/// The instruction sets that kernels exist for, in ascending order of preference.
package enum InstructionSet: UInt32, CaseIterable, Sendable {
  case portable = 0
  case avx2 = 1
  case avxvnni = 2
  case avx512vnni = 3
  case amx = 4
  case neon = 5

  /// The one that the environment variable `QCONVERT_ISA` names, or else the best the machine has.
  package static var best: InstructionSet {
    InstructionSet(rawValue: UInt32(qk_isa_best().rawValue)) ?? .portable
  }

  /// Whether `QCONVERT_ISA` is unset or names an available instruction set.
  package static var isWishGranted: Bool { qk_isa_wish_granted() }

  /// Whether the machine has it and there are kernels for it.
  package var isAvailable: Bool { qk_isa_available(value) }

  package var name: String { unsafe String(cString: qk_isa_name(value)) }

  var value: qk_isa { qk_isa(rawValue: rawValue) }
}
