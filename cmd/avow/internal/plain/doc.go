// Package plain says in plain words what a verdict found and what a statement declares: on a terminal, and for the reports
// of package report, which take the same words as sections (Describe) and as arrows of a drawing (Arrows).
//
// It keeps apart what must not be confused: a check is something this program established, a declaration is something
// the vendor said. Every declaration is printed under a heading that says "declared by the vendor, not verified", and
// nothing of a rejected bundle is printed as a declaration at all. What a statement leaves out is said too, because
// an absent claim is a claim not made and an absent jurisdiction means anywhere (the predicate specification,
// sections 1 and 6).
//
// Of a policy it prints what each rule asks for or found, and of a rule by itself how a vendor meets it (ExplainRule).
//
// The words are the registries' own (predicate.Label, predicate.ClaimSentence), so they agree with the specification.
// Text from statements goes through text.Safe where it enters a line; see package text for why. A value that this
// program does not know is shown as unknown, never left out: readers have to take it in the worst sense.
package plain
