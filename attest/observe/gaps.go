package observe

import (
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// The codes of gaps. Their meaning is fixed; docs/observing.md has it too.
const (
	// GapTruncated: a capture ends in the middle, stops making sense, or has a
	// part of something only.
	GapTruncated = "truncated"
	// GapDropped: the capturing program says that it lost packets or events.
	GapDropped = "dropped"
	// GapUndecoded: frames, packets or lines that could not be read.
	GapUndecoded = "undecoded"
	// GapFragments: parts of packets whose first part, with the ports, was not seen.
	GapFragments = "fragments"
	// GapMidstream: connections that were there before the source began.
	GapMidstream = "midstream"
	// GapEvicted: more connections at a time than can be remembered.
	GapEvicted = "evicted"
	// GapPeersLimit: connections with peers beyond [observation.MaxPeers].
	GapPeersLimit = "peersLimit"
	// GapAddressesLimit: addresses of a name beyond those that are listed.
	GapAddressesLimit = "addressesLimit"
	// GapNamesLimit: answers of name servers beyond what can be remembered.
	GapNamesLimit = "namesLimit"
	// GapReassemblyLimit: hellos in too many pieces at a time to be put together.
	GapReassemblyLimit = "reassemblyLimit"
	// GapNameConflict: a name that a program said and the answers contradict.
	GapNameConflict = "nameConflict"
	// GapBadName: names that no host can have.
	GapBadName = "badName"
	// GapBadTime: packets or lines with a time that cannot be.
	GapBadTime = "badTime"
	// GapNotLocal: connections of which neither side is one of [Options.Local].
	GapNotLocal = "notLocal"
	// GapNoTimes: connections of which it is not known when they were.
	GapNoTimes = "noTimes"
	// GapSnapshot: the source shows one moment.
	GapSnapshot = "snapshot"
	// GapTransportAssumed: the transport is not in the trace, and was assumed.
	GapTransportAssumed = "transportAssumed"
	// GapLocalPortUnknown: the program's port of inbound connections is not in the trace.
	GapLocalPortUnknown = "localPortUnknown"
)

// GapCodes returns all codes.
func GapCodes() []string {
	return []string{GapTruncated, GapDropped, GapUndecoded, GapFragments, GapMidstream, GapEvicted, GapPeersLimit, GapAddressesLimit,
		GapNamesLimit, GapReassemblyLimit, GapNameConflict, GapBadName, GapBadTime, GapNotLocal, GapNoTimes, GapSnapshot,
		GapTransportAssumed, GapLocalPortUnknown}
}

// maxGapDetails bounds the different details: they may come from foreign bytes.
const maxGapDetails = 256

type gapKey struct{ code, detail string }

// gaps counts what was missed.
type gaps map[gapKey]int64

func (g gaps) add(code string, n int64, detail string) {
	key := gapKey{code, detail}
	if _, ok := g[key]; !ok && len(g) >= maxGapDetails {
		key.detail = ""
	}
	g[key] += n
}

func (g gaps) list() []observation.Gap {
	var out []observation.Gap
	for k, n := range g {
		out = append(out, observation.Gap{Code: k.code, Detail: k.detail, Count: n})
	}
	return out
}
