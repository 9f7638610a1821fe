// Package watch tells many watchers of every statement that concerns what they watch, once the complete index covers it.
//
// # Purpose
//
// A [Hub] follows the sets of the index. Each entry that a new leaf of the index log covers becomes one [Event], whose keys are
// computed once; the hub wakes the watchers that have one of them, and no others. A [Watcher] takes the events that match, in
// the order of the index: of each leaf first the late entries, then the new ones.
//
// # Contract
//
//   - No event is passed over. The order is that of the two logs, so that a [Watcher] can begin anywhere in it, and somebody
//     who begins again at the index that a [Batch] named is told everything since, some of it perhaps twice.
//   - Nobody waits for a slow watcher, and nothing is kept for one: the last [Config.Ring] events are kept once for all, and a
//     watcher has a place and its keys. One that falls behind them reads on from the logs, by the same code by which a watcher
//     begins with something old.
//   - An entry that the logs cannot give now is waited for, by everybody. It is never left out.
//
// # What concerns a watcher
//
// The keys of an event are those under which the index lists its entry, and besides: its own statement's, those of the artifacts
// and products of the statements that it is about, and for each of its artifacts one of the signer and the artifact together,
// for whoever watches a statement. An entry without its statement may be about anything of its signer's: it goes to
// all who watch the signer or something that the signer signed, and to all who watch artifacts and products.
//
// # Trust
//
// The package takes the index and the statements as its caller has them, and judges nothing. It knows no calls and no
// callers: how many may watch is decided before.
//
// # Limits
//
// A filter has [MaxFilters] members, a watcher 32 bytes for each of its keys, and at most maxCatchUps watchers read from the
// logs at a time; the others wait for their turn.
package watch
