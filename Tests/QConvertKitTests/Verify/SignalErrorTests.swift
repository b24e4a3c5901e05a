import Testing

@testable import QConvertKit

@Suite struct SignalErrorTests {
  private func error(_ reference: [Float], _ candidate: [Float]) -> SignalError {
    var error = SignalError()
    error.add(reference: reference.span, candidate: candidate.span)
    return error
  }

  @Test("decibels, cosine and errors are those computed by hand")
  func values() {
    // Signal 25, noise 0.25: 10 log10(100) = 20 dB; the cosine is 23.5 / (5 sqrt(22.25)).
    let some = error([3, 4], [3, 3.5])
    #expect(abs(some.decibels - 20) < 1e-12)
    #expect(abs(some.cosine - 23 / (5 * 21.25.squareRoot())) < 1e-12)
    #expect(some.largestError == 0.5 && some.meanError == 0.25 && some.count == 2)
  }

  @Test("pieces add up to the whole")
  func pieces() {
    var sum = error([1, 2], [1, 3])
    sum.add(error([-4], [-4.5]))
    #expect(sum == error([1, 2, -4], [1, 3, -4.5]))
  }

  @Test("equal, opposite, zero and absent signals have defined measures")
  func borders() {
    #expect(error([1, -2], [1, -2]).decibels == 200 && error([1, -2], [1, -2]).cosine == 1)
    #expect(error([1, -2], [-1, 2]).cosine == -1)
    #expect(error([0, 0], [0, 0]).decibels == 200 && error([0, 0], [0, 0]).cosine == 1)
    #expect(error([0, 0], [0, 1]).decibels == -200 && error([0, 0], [0, 1]).cosine == 0)
    #expect(error([], []).meanError == 0)
    #expect(error([1e-30], [1e30]).decibels == -200)
  }

  @Test("values that are not finite are counted and spoil the ratio where the reference is finite")
  func nonFinite() {
    let broken = error([1, 2, .infinity], [.nan, 2, .infinity])
    #expect(broken.nonFiniteCandidate == 2 && broken.nonFiniteReference == 1)
    #expect(broken.decibels == -200)
    #expect(error([.infinity, 1], [.infinity, 1]).decibels == 200)
  }
}
