// Package monitor follows a transparency log and checks that it keeps its promises: that it only ever grows, that the
// tiles it serves are those of the tree that it signs, that every entry is well formed and signed, and that the
// statement of every entry can be had and is the one that was logged. On the way it reports the entries of keys,
// identities and products that somebody watches. Package follow reads the log and keeps the evidence.
//
// # Trust
//
// The log's key comes from the trusted root that the caller names. Nothing else is trusted, and nothing is remembered that was
// not checked. The state on disk proves itself: the remembered checkpoint carries the log's signature, and the remembered hashes
// must give its root.
//
// # Contract
//
// [Monitor.Round] looks once. What it could not check is a [follow.Outage], an error; what it found is a [follow.Finding].
// The state moves forward only when everything up to its checkpoint was looked at, so a finding may be reported twice and is
// never lost. A log that was caught is not followed: the remembered checkpoint stays, and the next round says the same again. An
// entry without its statement is remembered, and asked for in every round until it is found.
package monitor
