package verify

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	fnote "github.com/transparency-dev/formats/note"
	sumdbnote "golang.org/x/mod/sumdb/note"
)

// keyHashBytes is how many bytes of the key's hash a note's signature begins with.
const keyHashBytes = 4

// askWitnesses takes over what an input asks about cosignatures.
func (req *request) askWitnesses(in Input) error {
	switch {
	case in.MaxWitnessDelay < 0 || in.MaxCheckpointAge < 0:
		return fmt.Errorf("%w: a negative time limit: witness delay %s, checkpoint age %s", ErrInput, in.MaxWitnessDelay,
			in.MaxCheckpointAge)
	case in.Witnesses == nil && (in.MaxWitnessDelay > 0 || in.MaxCheckpointAge > 0):
		return fmt.Errorf("%w: a limit on witness delay or checkpoint age needs a witness policy", ErrInput)
	case in.Witnesses == nil:
		return nil
	case in.Witnesses.quorum == nil:
		return fmt.Errorf("%w: an empty witness policy asks for nothing; make it with ParseWitnessPolicy", ErrInput)
	}
	req.witnesses, req.maxDelay, req.maxAge = in.Witnesses, in.MaxWitnessDelay, in.MaxCheckpointAge
	req.checks = append(slices.Clone(buyerChecks), CheckWitnessQuorum, CheckWitnessTime)
	if req.maxAge > 0 {
		req.checks = append(req.checks, CheckWitnessAge)
	}
	return nil
}

// notAsked are the lines of a bundle's checks of cosignatures that were not asked for.
func (req *request) notAsked(bundle string) []Check {
	why := "no witness policy was given"
	if req.witnesses != nil {
		why = "no limit was given"
	}
	var lines []Check
	for _, id := range witnessChecks {
		if !slices.Contains(req.checks, id) {
			lines = append(lines, Check{ID: id, Status: StatusSkipped, Bundle: bundle, Detail: why})
		}
	}
	return lines
}

// completed returns when the quorum was complete, given when each witness
// cosigned: for a group of N members, when the Nth of them was.
func (q *quorum) completed(cosigned map[int]time.Time) (time.Time, bool) {
	if q.witness >= 0 {
		t, ok := cosigned[q.witness]
		return t, ok
	}
	var times []time.Time
	for _, m := range q.members {
		if t, ok := m.completed(cosigned); ok {
			times = append(times, t)
		}
	}
	if len(times) < q.need {
		return time.Time{}, false
	}
	slices.SortFunc(times, time.Time.Compare)
	return times[q.need-1], true
}

// cosigned verifies the signature lines of the checkpoint, which is one that the
// log signed, and returns when each witness cosigned it. A line of an unknown
// key, or one that does not verify or has no usable time, changes nothing for
// the others. Of several lines of one key the earliest counts. tooLate is how many
// valid ones were left out because they lie after latest.
func (p *WitnessPolicy) cosigned(checkpoint string, log *trustedLog, latest time.Time,
) (cosigned map[int]time.Time, tooLate int, err error) {
	n, err := sumdbnote.Open([]byte(checkpoint), sumdbnote.VerifierList(log.verifier))
	if err != nil {
		return nil, 0, err
	}
	cosigned = make(map[int]time.Time)
	for _, sig := range n.UnverifiedSigs {
		for i, w := range p.witnesses {
			// The log cannot be its own witness.
			if w.Name() != sig.Name || w.KeyHash() != sig.Hash || w.public.Equal(log.public) {
				continue
			}
			t, ok := cosignatureTime(w, n.Text, sig)
			switch earlier, twice := cosigned[i]; {
			case !ok:
			case t.After(latest):
				tooLate++
			case !twice || t.Before(earlier):
				cosigned[i] = t
			}
		}
	}
	return cosigned, tooLate, nil
}

// cosignatureTime verifies a cosignature/v1 (C2SP tlog-cosignature) over the exact
// text of a checkpoint and returns the time that is signed with it.
func cosignatureTime(w sumdbnote.Verifier, text string, sig sumdbnote.Signature) (time.Time, bool) {
	// The key hash comes first. Loose base64 would give one signature several spellings.
	raw, err := base64.StdEncoding.Strict().DecodeString(sig.Base64)
	if err != nil || len(raw) < keyHashBytes || !w.Verify([]byte(text), raw[keyHashBytes:]) {
		return time.Time{}, false
	}
	t, err := fnote.CoSigV1Timestamp(sig)
	// > It MUST NOT exceed 2^63 - 1. Zero would be no time, and what is too large for time.Time wraps to before it.
	return t.UTC(), err == nil && t.After(time.Unix(0, 0))
}

// lists reports whether the policy is about a log: it lists none, or this one.
func (p *WitnessPolicy) lists(log *trustedLog) bool {
	same := func(k noteKey) bool { return k.Name() == log.origin && k.public.Equal(log.public) }
	return len(p.logs) == 0 || slices.ContainsFunc(p.logs, same)
}

func (r *run) checkWitnessQuorum() Check {
	p := r.req.witnesses
	if !p.lists(r.log) {
		return fail("a log that the witness policy lists", "log "+r.log.origin, "the entry is in another log than the witness policy is about",
			"add the log's key to the witness policy, if its witnesses watch that log too")
	}
	cosigned, tooLate, err := p.cosigned(r.bundle.entries[0].proof.checkpoint, r.log, r.req.at.Add(r.v.skew))
	if err != nil {
		return fail("a signed checkpoint", "", err.Error(), hintForged) // not after CheckCheckpoint
	}
	cosignatures := p.list(cosigned)
	got := fmt.Sprintf("%d of %s", len(cosignatures), counted(len(p.witnesses), "witness", "witnesses"))
	separator := ": "
	for _, c := range cosignatures {
		got += separator + c.Name
		separator = ", "
	}
	complete, ok := p.quorum.completed(cosigned)
	if !ok {
		if tooLate > 0 {
			got = fmt.Sprintf("%s; %s after the time of verification", got, counted(tooLate, "cosignature", "cosignatures"))
		}
		return fail("the quorum "+clip(p.quorum.String()), clip(got),
			"too few witnesses cosigned exactly this checkpoint, so it may be a view of the log that others are not shown",
			"fetch the bundle again when the log's witnesses answer; if it stays so, compare the checkpoint with other people's")
	}
	r.cosignatures, r.witnessedBy = cosignatures, complete
	return pass("%s by %s", clip(got), complete.Format(time.RFC3339))
}

// list returns the cosignatures, earliest first.
func (p *WitnessPolicy) list(cosigned map[int]time.Time) []Cosignature {
	var list []Cosignature
	for i, w := range p.witnesses {
		if t, ok := cosigned[i]; ok {
			list = append(list, Cosignature{Name: w.Name(), KeyID: w.keyID, Time: t})
		}
	}
	slices.SortStableFunc(list, func(a, b Cosignature) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// checkWitnessTime holds the authorities' times, which an operator can choose where
// the authority is its own, against the witnesses'. The quorum time says that the
// signature was in the log; a service takes its timestamps before it logs.
func (r *run) checkWitnessTime() Check {
	if r.witnessedBy.IsZero() {
		return Check{Detail: "there is no quorum"}
	}
	first, last := r.stampSpan()
	witnessed := r.witnessedBy.Format(time.RFC3339)
	if last.After(r.witnessedBy.Add(r.v.skew)) {
		return fail("timestamps not after the quorum of witnesses, "+witnessed, last.Format(time.RFC3339),
			"a timestamp is later than the log entry that it came before: an authority dated it forward, or it was added later",
			"ask the log's operator which clock is wrong")
	}
	delay := r.witnessedBy.Sub(first)
	if r.req.maxDelay > 0 && delay > r.req.maxDelay {
		return fail(fmt.Sprintf("a quorum of witnesses within %s of the timestamp %s", r.req.maxDelay, first.Format(time.RFC3339)),
			witnessed, "the witnesses saw the entry so much later that the timestamp may have been dated back",
			"fetch the bundle again as it was first issued; trust no earlier time than the witnesses'")
	}
	return pass("%s after the timestamp", max(delay, 0))
}

func (r *run) checkWitnessAge() Check {
	if r.witnessedBy.IsZero() {
		return Check{Detail: "there is no quorum"}
	}
	if age := r.req.at.Sub(r.witnessedBy); age > r.req.maxAge {
		return fail("a quorum of witnesses at most "+r.req.maxAge.String()+" ago", age.String()+" ago",
			"the checkpoint is older than was asked for", "ask the log's operator for the bundle under a newer checkpoint")
	}
	return pass("%s before the time of verification", max(r.req.at.Sub(r.witnessedBy), 0))
}
