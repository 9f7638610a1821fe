package verify

import (
	"fmt"
	"time"
)

// checkTimestamp verifies every timestamp, not only as many as are required:
// one that does not verify is a sign of tampering, and an unverified time beside
// verified ones would be read as one.
func (r *run) checkTimestamp() Check {
	sig := r.bundle.signatures[0].sig
	for i, response := range r.bundle.timestamps {
		s, err := r.v.trust.verifyTimestamp(response, sig)
		if err != nil {
			return fail("a timestamp over this signature by an authority of the trusted root", fmt.Sprintf("timestamp %d", i+1),
				r.v.unknownAuthority(err), hintFor(err))
		}
		r.stamps = append(r.stamps, s)
	}
	return pass("%s", r.stampTimes())
}

// checkTimestampAuthorities counts authorities, not timestamps: k copies of one
// authority's word are one word.
func (r *run) checkTimestampAuthorities() Check {
	for i, s := range r.stamps {
		for _, o := range r.stamps[:i] {
			if s.same(o) {
				return fail("timestamps of different authorities", "two of "+s.uri, "one authority cannot vouch twice", hintForged)
			}
		}
	}
	if n := len(r.stamps); n < r.req.minTimestamps {
		return fail(fmt.Sprintf("%d authorities", r.req.minTimestamps), fmt.Sprintf("%d", n),
			"too few timestamp authorities", "")
	}
	return pass("%s", counted(len(r.stamps), "authority", "authorities"))
}

// checkTimestampAgreement bounds how far the authorities' clocks may disagree,
// and refuses a time that has not come yet.
func (r *run) checkTimestampAgreement() Check {
	first, last := r.stampSpan()
	if d := last.Sub(first); d > r.v.skew {
		return fail("timestamps within "+r.v.skew.String(), d.String()+" apart", "the authorities disagree about the time",
			"one of the authorities has a wrong clock, or a timestamp was added later")
	}
	if last.After(r.req.at.Add(r.v.skew)) {
		hint := "check this machine's clock"
		if r.req.atGiven {
			hint = "the time of verification was given: give one after the timestamps"
		}
		return fail("timestamps not after "+r.req.at.UTC().Format(time.RFC3339), last.Format(time.RFC3339),
			"a timestamp lies after the time of verification", hint)
	}
	return pass("within %s", r.v.skew)
}

// stampSpan returns the earliest and the latest of the timestamps.
func (r *run) stampSpan() (first, last time.Time) {
	first, last = r.stamps[0].time, r.stamps[0].time
	for _, s := range r.stamps {
		if s.time.Before(first) {
			first = s.time
		}
		if s.time.After(last) {
			last = s.time
		}
	}
	return first, last
}

// checkLogKeyValidity holds the timestamps against the log key's window.
// sigstore-go does not, for a Rekor v2 log: without this a key that leaked after
// its retirement could still sign trees.
func (r *run) checkLogKeyValidity() Check {
	for _, s := range r.stamps {
		if !r.log.validAt(s.time) {
			return fail("timestamps "+window(r.log.start, r.log.end), s.time.Format(time.RFC3339),
				"the entry was made outside the validity of the log's key", hintTrust)
		}
	}
	return pass("the log's key was in its window")
}
