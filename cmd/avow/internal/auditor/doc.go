// Package auditor replays the complete index of a service from what it publishes, and reports the first leaf of the index
// log that is not what the entries and statements give.
//
// # Trust
//
// The keys of the statement log and of the index log are the caller's, and so is the policy on witnesses. Nothing that the
// service answers is believed: package follow checks that both logs contain what was seen of them before, and every entry and leaf
// against a signed root; a statement counts only if it has the digest that its entry holds. The state on disk proves itself: the
// remembered checkpoints carry their signatures, the remembered leaf is shown to be the last one, and the snapshot has to have the
// root that the leaf names.
//
// # Contract
//
// [Auditor.Run] looks once. What it could not look at is a [follow.Outage], an error; what it found is a [follow.Finding] with
// an evidence file, which `avow prove-misbehaviour` checks elsewhere. The state moves on only when every leaf was compared, so
// that a finding may be told twice and is never lost. A run goes on from the snapshot of the last one; one that cannot be used costs
// time and changes no answer. A statement that is not there is asked for again for some seconds before it counts as missing:
// the service logs an entry before it stores its statement.
//
// docs/index.md says how the index is built, docs/audit.md what each kind of evidence proves.
package auditor
