import Testing

@testable import QConvertKit

@Suite struct ClassTallyTests {
  @Test("ranks count larger scores and earlier equal ones")
  func ranks() {
    #expect(ClassTally.rank(of: 2, in: [5, 1, 5, 9]) == 2)
    #expect(ClassTally.rank(of: 0, in: [5, 1, 5, 9]) == 1)
    #expect(ClassTally.rank(of: 3, in: [5, 1, 5, 9]) == 0)
    #expect(ClassTally.rank(of: 4, in: [5, 1, 5, 9]) == .max)
    #expect(ClassTally.rank(of: 0, in: [.nan, 1]) == .max)
  }

  @Test("the best class is the first of equal ones, and none among scores that are no numbers")
  func best() {
    #expect(ClassTally.best([1, 7, 7, 0]) == 1)
    #expect(ClassTally.best([-.infinity, -5]) == 1)
    #expect(ClassTally.best([1, .nan]) == nil)
    #expect(ClassTally.best([]) == nil)
  }

  @Test("accuracies and agreement are counted by hand")
  func counts() {
    var tally = ClassTally()
    tally.add(reference: [0, 1, 2, 3, 4, 5], candidate: [5, 4, 3, 2, 1, 0], label: 5)
    tally.add(reference: [9, 1, 2, 3, 4, 5], candidate: [8, 1, 2, 3, 4, 5], label: 0)
    tally.add(reference: [9, 1, 2, 3, 4, 5], candidate: [8, 1, 2, 3, 4, 5], label: nil)
    #expect(tally.samples == 3 && tally.labelled == 2 && tally.classes == 6)
    #expect(tally.top1Reference == 2 && tally.top1Candidate == 1)
    #expect(tally.top5Reference == 2 && tally.top5Candidate == 1)
    #expect(tally.agreeing == 2)
  }

  @Test("one class for everything is noticed from ten samples on")
  func lone() {
    #expect(ClassTally.lone([3: 10], of: 10) == 3)
    #expect(ClassTally.lone([3: 9], of: 9) == nil)
    #expect(ClassTally.lone([3: 9, 1: 1], of: 10) == nil)
    #expect(ClassTally.lone([3: 9], of: 10) == nil)
  }
}
