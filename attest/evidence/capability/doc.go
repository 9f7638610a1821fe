// Package capability is what a Go program can do, as far as its source shows: which packages can reach the network, other
// programs, unsafe memory and so on, as a document that two people who have the same source make alike.
//
// # Purpose
//
// A [Report] is evidence of kind capabilityAnalysis (specification, section 4): a statement names it by digest. [Compare]
// says what a release gained or lost against the one before. Package reach makes reports from source; this package knows
// nothing of compilers and is what readers of reports need.
//
// # Contract
//
//   - A capability is an entry of the closed list [All]. What a function of the standard library gives is written in
//     std.txt, one line of reason each; [Of] answers from it. A package or function that the table does not know has the
//     reading worst for the declarant: [Unclassified], or the capability of its package.
//   - "Can reach" is an upper bound: a path over calls, interfaces, function values and conversions that may happen, not
//     one that was seen to happen. What no source shows is named (assembly, cgo, plugin, reflect), never left out.
//   - [Report.JSON] writes the same bytes for the same report, sorted. [Parse] reads strictly and refuses a report that is
//     not in that order, so a document has one digest.
//
// # Trust
//
// A report is the word of whoever ran the analysis. Anybody with the source and the same Go version can repeat it and
// compare digests. Names in a report come from foreign source: escape them before a terminal or a page.
package capability
