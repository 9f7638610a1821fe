// Package observecorpus is a labelled corpus of recorded programs: what curl, an
// NTP client, Node and programs in Go said to a small internet of known servers.
//
// # Purpose
//
// Whether undeclared traffic is found cannot be shown with made-up packets alone:
// real programs send what nobody thinks of. Each recording in testdata has a label
// that was written by hand from what the program was told to do, never from what
// was observed: which peers it has, how they can be named, and whether the one
// declaration that all recordings are compared with has them.
//
// # Contract
//
// TestCorpus reads the recordings, without rights and without a network, and
// fails if an undeclared peer counts as declared, if a peer is missed or made up,
// or if a comparison with an unclassified peer is clean. With -v it prints the
// confusion table. TestRecordCorpus (build tag faults, as root) runs the programs
// again in namespaces with the recorder of avow and holds the fresh recordings to
// the same labels; with -update they replace those of testdata.
//
// # Trust
//
// The internet of the recordings is a network namespace: addresses are those for
// documentation, names end in .example. No packet left the machine, and none of
// the recordings has anything of it.
package observecorpus
