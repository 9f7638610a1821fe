// Package diff says what changed between two statements of one type, and
// whether each change widens or narrows what a buyer agreed to.
//
// # Purpose
//
// A buyer who has approved a release asks of the next one: who receives more,
// where, for what, and what is promised no longer? [Compare] answers with a
// list of [Change], each with a [Direction] from the buyer's point of view.
// [Contradictions] asks the same of two statements about one artifact: where
// do they say different things? Compared are no-backdoor, data-flows and
// undertakings; the other types are events and have no next version.
//
// # Contract
//
//   - Every member of the three types is compared. The rules are one table
//     (rules.go), and a member that it does not have, as well as a member that
//     this version of the types does not know, counts as widening.
//   - The zero [Direction] is [Widening]. So is whatever cannot be ordered: a
//     change that is not understood reads as worst for the declarant
//     (specification, section 1). Nothing is [Narrowing] in both directions.
//   - Lists are sets. Flows, mechanisms, claims, undertakings and evidence are
//     matched by id, the elements of other lists by what they name. What cannot
//     be matched without doubt is one element removed and another added.
//   - An absent member reads as the specification says (sections 4 and 6):
//     absent storage is anywhere, an absent retention unspecified. Where it says
//     nothing, absent is worse than any value.
//   - Free text is neutral, and listed, because nobody but a person can judge
//     it. The exceptions are texts that bound what is said (the description of
//     a scope, of an exclusion, the text of an undertaking): they are widening.
//
// # Trust
//
// Statements are foreign. [predicate.Parse] bounds their size, and time and
// space are bounded by it. Whether they were signed, by whom, and whether they
// are true is not looked at. Old, New, Item, Part and Pointer of a change are
// foreign text: escape them before a terminal or a page.
//
// # Specification
//
// docs/diff.md has the orders, docs/predicates.md the types.
package diff
