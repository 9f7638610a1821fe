package verify_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	sumdbnote "golang.org/x/mod/sumdb/note"

	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
)

// witnesses are three witnesses of a world's log, and one that no policy names.
type witnesses struct {
	*bundletest.World
	w1, w2, w3, stranger *bundletest.Witness
}

func newWitnesses(t testing.TB) *witnesses {
	w := &witnesses{World: bundletest.NewWorld(t)}
	for i, to := range []**bundletest.Witness{&w.w1, &w.w2, &w.w3, &w.stranger} {
		*to = bundletest.NewWitness(fmt.Sprintf("witness.example.test/w%d", i+1))
	}
	return w
}

// policy is a policy over the three witnesses, w1 to w3, with these lines at its end.
func (w *witnesses) policy(t testing.TB, lines ...string) *verify.WitnessPolicy {
	t.Helper()
	text := []string{"# a comment", "log " + w.Log.VKey(t) + " https://log.example.test/"}
	for i, x := range []*bundletest.Witness{w.w1, w.w2, w.w3} {
		text = append(text, fmt.Sprintf("witness w%d %s https://witness.example.test/", i+1, x.VKey()))
	}
	return parsePolicy(t, append(text, lines...)...)
}

func (w *witnesses) twoOfThree(t testing.TB) *verify.WitnessPolicy {
	t.Helper()
	return w.policy(t, "group g 2 w1 w2 w3", "quorum g")
}

func parsePolicy(t testing.TB, lines ...string) *verify.WitnessPolicy {
	t.Helper()
	p, err := verify.ParseWitnessPolicy([]byte(strings.Join(lines, "\n") + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// cosigned is a bundle whose checkpoint carries cosignatures.
func (w *witnesses) cosigned(t testing.TB, by ...sumdbnote.Signer) []byte {
	t.Helper()
	return w.noted(t, func(l *bundletest.Log) string { return l.Checkpoint(t, by...) })
}

// noted is a bundle with the checkpoint that a function makes.
func (w *witnesses) noted(t testing.TB, checkpoint func(*bundletest.Log) string) []byte {
	t.Helper()
	return w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows-none"), After: 1, Checkpoint: checkpoint})
}

// signer is any bytes in the place of a signature.
type signer struct {
	name  string
	hash  uint32
	bytes []byte
}

func (s signer) Name() string                { return s.name }
func (s signer) KeyHash() uint32             { return s.hash }
func (s signer) Sign([]byte) ([]byte, error) { return s.bytes, nil }

// claiming signs as another: under its name and key hash.
func claiming(as *bundletest.Witness, by sumdbnote.Signer) sumdbnote.Signer {
	return pretender{by, as.At(bundletest.Epoch)}
}

type pretender struct {
	sumdbnote.Signer
	as sumdbnote.Signer
}

func (p pretender) Name() string    { return p.as.Name() }
func (p pretender) KeyHash() uint32 { return p.as.KeyHash() }

func TestWitnessQuorum(t *testing.T) {
	w := newWitnesses(t)
	two := w.twoOfThree(t)
	at := bundletest.Epoch.Add(time.Minute)
	now := clock().Add(verify.DefaultTimestampSkew)
	zero, wrapped := time.Unix(0, 0), time.Unix(-1, 0) // the latter is 2^64 - 1 seconds
	c1, c2, c3 := w.w1.At(at), w.w2.At(at), w.w3.At(at)
	junk := func(n int) sumdbnote.Signer { return signer{w.w1.Name, c1.KeyHash(), make([]byte, n)} }
	twin := bundletest.NewWitness(w.w1.Name)
	twins := parsePolicy(t, "witness a "+w.w1.VKey(), "witness b "+twin.VKey(), "group g all a b", "quorum g")
	own := w.Log.OwnWitness(t, "witness.example.test/own")
	ownPolicy := parsePolicy(t, "witness w1 "+w.w1.VKey(), "witness own "+own.VKey(), "group g all w1 own", "quorum g")
	nested := w.policy(t, "group inner any w2 w3", "group outer all w1 inner", "quorum outer")
	otherLog := parsePolicy(t, "log "+bundletest.NewLog(t, w.Log.Origin, bundletest.Start).VKey(t), "witness w1 "+w.w1.VKey(), "quorum w1")
	otherName := parsePolicy(t, "log "+rename(t, w.Log.VKey(t), "other.example.test"), "witness w1 "+w.w1.VKey(), "quorum w1")
	const quorum = string(verify.CheckWitnessQuorum)
	for name, c := range map[string]struct {
		policy *verify.WitnessPolicy
		by     []sumdbnote.Signer
		want   string
	}{
		"no policy":             {nil, nil, "accepted"},
		"none":                  {two, nil, quorum},
		"one":                   {two, []sumdbnote.Signer{c1}, quorum},
		"two":                   {two, []sumdbnote.Signer{c1, c3}, "accepted"},
		"three":                 {two, []sumdbnote.Signer{c3, c2, c1}, "accepted"},
		"one twice":             {two, []sumdbnote.Signer{c1, w.w1.At(at.Add(time.Second))}, quorum},
		"one and a stranger":    {two, []sumdbnote.Signer{c1, w.stranger.At(at)}, quorum},
		"two and a stranger":    {two, []sumdbnote.Signer{w.stranger.At(at), c1, c2}, "accepted"},
		"by another key":        {two, []sumdbnote.Signer{c1, claiming(w.w2, w.stranger.At(at))}, quorum},
		"a liar before":         {two, []sumdbnote.Signer{claiming(w.w1, w.stranger.At(at)), c1, c2}, "accepted"},
		"one for another":       {two, []sumdbnote.Signer{c1, claiming(w.w2, c1)}, quorum},
		"too short":             {two, []sumdbnote.Signer{junk(1), c2}, quorum},
		"zeros":                 {two, []sumdbnote.Signer{junk(72), c2}, quorum},
		"too short, and two":    {two, []sumdbnote.Signer{junk(71), junk(73), junk(1), c2, c3}, "accepted"},
		"time zero":             {two, []sumdbnote.Signer{c1, w.w2.At(zero)}, quorum},
		"time 2^63 - 1":         {two, []sumdbnote.Signer{c1, w.w2.At(time.Unix(math.MaxInt64, 0))}, quorum},
		"time 2^62":             {two, []sumdbnote.Signer{c1, w.w2.At(time.Unix(math.MaxInt64/2, 0))}, quorum},
		"time beyond 2^63":      {two, []sumdbnote.Signer{c1, w.w2.At(wrapped)}, quorum},
		"at the end of skew":    {two, []sumdbnote.Signer{c1, w.w2.At(now)}, "accepted"},
		"in the future":         {two, []sumdbnote.Signer{c1, w.w2.At(now.Add(time.Second))}, quorum},
		"future first":          {two, []sumdbnote.Signer{w.w1.At(now.Add(time.Second)), c1, c2}, "accepted"},
		"nested":                {nested, []sumdbnote.Signer{c1, c3}, "accepted"},
		"nested, all of one":    {nested, []sumdbnote.Signer{c2, c3}, quorum},
		"nested, one missing":   {nested, []sumdbnote.Signer{c1}, quorum},
		"two keys, one name":    {twins, []sumdbnote.Signer{c1, twin.At(at)}, "accepted"},
		"one of two keys":       {twins, []sumdbnote.Signer{c1, w.w1.At(at.Add(1))}, quorum},
		"the log as a witness":  {ownPolicy, []sumdbnote.Signer{c1, own.At(at)}, quorum},
		"a single witness":      {w.policy(t, "quorum w2"), []sumdbnote.Signer{c2}, "accepted"},
		"another single one":    {w.policy(t, "quorum w2"), []sumdbnote.Signer{c1, c3}, quorum},
		"a log of other name":   {otherName, []sumdbnote.Signer{c1}, quorum},
		"a policy of other log": {otherLog, []sumdbnote.Signer{c1}, quorum},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(w.World, w.cosigned(t, c.by...))
			in.Witnesses = c.policy
			if got := reasonOf(t, w.World, w.TrustedRoot(), in); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestWitnessLines: one line per check, skipped where nothing was asked for, and a
// failure that says what to do.
func TestWitnessLines(t *testing.T) {
	w := newWitnesses(t)
	v := newVerifier(t, w.TrustedRoot())
	at := bundletest.Epoch.Add(time.Minute)
	status := func(in verify.Input) (got []string) {
		verdict := verdictOf(t, v, in)
		for _, c := range verdict.Checks {
			if strings.HasPrefix(string(c.ID), "witness-") {
				got = append(got, fmt.Sprintf("%s %s", c.Bundle, c.Status))
				if c.Detail == "" || c.Status == verify.StatusFail && (c.Expected == "" || c.Got == "" || c.Hint == "") {
					t.Errorf("explains nothing: %+v", c)
				}
			}
		}
		if len(verdict.Checks) != len(verify.CheckIDs()) {
			t.Errorf("got %d lines, want %d", len(verdict.Checks), len(verify.CheckIDs()))
		}
		return got
	}
	in := input(w.World, w.cosigned(t, w.w1.At(at), w.w2.At(at)))
	for name, c := range map[string]struct {
		policy *verify.WitnessPolicy
		age    time.Duration
		want   []string
	}{
		"not asked": {nil, 0, []string{"#1 skipped", "#1 skipped", "#1 skipped"}},
		"asked":     {w.twoOfThree(t), 0, []string{"#1 pass", "#1 pass", "#1 skipped"}},
		"with age":  {w.twoOfThree(t), 48 * time.Hour, []string{"#1 pass", "#1 pass", "#1 pass"}},
		"no quorum": {w.policy(t, "quorum w3"), 48 * time.Hour, []string{"#1 fail", "#1 skipped", "#1 skipped"}},
	} {
		in.Witnesses, in.MaxCheckpointAge = c.policy, c.age
		if got := status(in); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// TestWitnessTimes compares what witnesses say of time with what authorities say and with today.
func TestWitnessTimes(t *testing.T) {
	w := newWitnesses(t)
	epoch, skew := bundletest.Epoch, verify.DefaultTimestampSkew
	for name, c := range map[string]struct {
		first, second time.Duration // of the cosignatures after the timestamp
		delay, age    time.Duration
		want          string
	}{
		"soon after":               {time.Second, time.Second, 0, 0, "accepted"},
		"before, within the skew":  {-skew, -skew, 0, 0, "accepted"},
		"before":                   {-skew - time.Second, -skew - time.Second, 0, 0, "witness-time"},
		"the quorum is not before": {-48 * time.Hour, 0, 0, 0, "accepted"},
		"late":                     {20 * time.Hour, 20 * time.Hour, 0, 0, "accepted"},
		"as late as allowed":       {time.Hour, time.Hour, time.Hour, 0, "accepted"},
		"later than allowed":       {time.Second, time.Hour + time.Second, time.Hour, 0, "witness-time"},
		"one of them later":        {time.Hour + time.Second, time.Second, time.Hour, 0, "witness-time"},
		"as old as allowed":        {time.Hour, time.Hour, 0, 23 * time.Hour, "accepted"},
		"older than allowed":       {time.Hour, time.Hour, 0, 23*time.Hour - time.Second, "witness-age"},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(w.World, w.cosigned(t, w.w1.At(epoch.Add(c.first)), w.w2.At(epoch.Add(c.second))))
			in.Witnesses, in.MaxWitnessDelay, in.MaxCheckpointAge = w.twoOfThree(t), c.delay, c.age
			if got := reasonOf(t, w.World, w.TrustedRoot(), in); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestWitnessTimesOfTwoAuthorities: it is the later one that must not lie after the quorum, and the earlier one from
// which the delay counts.
func TestWitnessTimesOfTwoAuthorities(t *testing.T) {
	w := newWitnesses(t)
	const skew = verify.DefaultTimestampSkew
	for cosigned, want := range map[time.Duration]string{-time.Second: "witness-time", 0: "accepted", skew - 1: "accepted", skew + time.Second: "witness-time"} {
		in := input(w.World, w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows-none"),
			TSAs: []*bundletest.TSA{w.TSA, w.Foreign}, Times: []time.Time{bundletest.Epoch, bundletest.Epoch.Add(skew)},
			Checkpoint: func(l *bundletest.Log) string { return l.Checkpoint(t, w.w1.At(bundletest.Epoch.Add(cosigned))) }}))
		in.Witnesses, in.MaxWitnessDelay = w.policy(t, "quorum w1"), skew
		if got := reasonOf(t, w.World, w.TrustedRoot(), in); got != want {
			t.Errorf("cosigned %s after the first: got %s, want %s", cosigned, got, want)
		}
	}
}

// TestWitnessesOfSeveral: each bundle needs the quorum, also one whose statement does not count.
func TestWitnessesOfSeveral(t *testing.T) {
	w := newWitnesses(t)
	issue := func(checkpoint func(*bundletest.Log) string, oldNew ...string) []byte {
		return w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows-none", oldNew...), Checkpoint: checkpoint})
	}
	seen := func(l *bundletest.Log) string { return l.Checkpoint(t, w.w1.At(bundletest.Epoch)) }
	ended := []string{"2027-09-01T09:00:00Z", "2026-09-02T09:00:00Z"} // before the clock of the tests
	for name, c := range map[string]struct {
		bundles [][]byte
		use     verify.Use // of the first
		want    verify.Outcome
	}{
		"both seen":            {[][]byte{issue(seen, ended...), issue(seen)}, verify.UseNotInForce, verify.Accepted},
		"the ended one not":    {[][]byte{issue(nil, ended...), issue(seen)}, verify.UseNone, verify.Rejected},
		"the one in force not": {[][]byte{issue(seen, ended...), issue(nil)}, verify.UseNone, verify.Rejected},
	} {
		in := input(w.World, c.bundles...)
		in.Witnesses = w.policy(t, "quorum w1")
		verdict := verdictOf(t, newVerifier(t, w.TrustedRoot()), in)
		if verdict.Outcome != c.want || verdict.Bundles[0].Use != c.use {
			t.Errorf("%s: got %s, the first %s: %v", name, verdict.Outcome, verdict.Bundles[0].Use, verdict.Failures())
		}
	}
}

// TestWitnessEvidence: one cosignature a key, at its earliest time, and the time when the quorum was complete.
func TestWitnessEvidence(t *testing.T) {
	w := newWitnesses(t)
	at := func(minutes int) time.Time { return bundletest.Epoch.Add(time.Duration(minutes) * time.Minute) }
	in := input(w.World, w.cosigned(t, w.w3.At(at(3)), w.w2.At(at(9)), w.stranger.At(at(1)), w.w1.At(at(7)), w.w1.At(at(5)), w.w1.At(at(6))))
	for name, c := range map[string]struct {
		lines []string
		want  int // minutes
	}{
		"any":      {[]string{"group g any w1 w2 w3", "quorum g"}, 3},
		"two":      {[]string{"group g 2 w1 w2 w3", "quorum g"}, 5},
		"all":      {[]string{"group g all w1 w2 w3", "quorum g"}, 9},
		"nested":   {[]string{"group h all w2 w3", "group g any w1 h", "quorum g"}, 5},
		"one only": {[]string{"quorum w1"}, 5},
	} {
		in.Witnesses = w.policy(t, c.lines...)
		verdict := verdictOf(t, newVerifier(t, w.TrustedRoot()), in)
		if verdict.Outcome != verify.Accepted {
			t.Fatalf("%s: %v", name, verdict.Failures())
		}
		e := verdict.Evidence[0]
		if !e.WitnessedBy.Equal(at(c.want)) {
			t.Errorf("%s: witnessed by %s, want %s", name, e.WitnessedBy, at(c.want))
		}
		want := []verify.Cosignature{{Name: w.w3.Name, KeyID: w.w3.KeyID(), Time: at(3)},
			{Name: w.w1.Name, KeyID: w.w1.KeyID(), Time: at(5)}, {Name: w.w2.Name, KeyID: w.w2.KeyID(), Time: at(9)}}
		if !slices.Equal(e.Cosignatures, want) {
			t.Errorf("%s: got %v, want %v", name, e.Cosignatures, want)
		}
	}
	in.Witnesses = nil
	if e := verdictOf(t, newVerifier(t, w.TrustedRoot()), in).Evidence[0]; e.Cosignatures != nil || !e.WitnessedBy.IsZero() {
		t.Errorf("nobody was asked, and the evidence is %v", e)
	}
}

// TestForkedView: an operator shows one buyer a log of its own. Everything in it is signed with the log's real key,
// and the witnesses saw the other view.
func TestForkedView(t *testing.T) {
	w := newWitnesses(t)
	at := bundletest.Epoch.Add(time.Minute)
	fork := w.Log.Fork(3)
	for range 4 {
		w.Log.Append([]byte("an entry that all but one are shown"))
	}
	public := func() string { return w.Log.Checkpoint(t, w.w1.At(at), w.w2.At(at), w.w3.At(at)) }
	issue := func(checkpoint func(*bundletest.Log) string) []byte {
		return w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows-none"), Log: fork, Checkpoint: checkpoint})
	}
	pasted := func(l *bundletest.Log) string { // the witnesses' lines of the public view under the fork
		_, lines, _ := strings.Cut(public(), "\n\n")
		_, lines, _ = strings.Cut(lines, "\n")
		return l.Checkpoint(t) + lines
	}
	for name, c := range map[string]struct {
		bundle    []byte
		want      string // with the quorum
		unwatched string // without
	}{
		"not cosigned":          {issue(nil), "witness-quorum", "accepted"},
		"cosignatures pasted":   {issue(pasted), "witness-quorum", "accepted"},
		"the public checkpoint": {issue(func(*bundletest.Log) string { return public() }), "log-proof-fields", "log-proof-fields"},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(w.World, c.bundle)
			if got := reasonOf(t, w.World, w.TrustedRoot(), in); got != c.unwatched {
				t.Errorf("without witnesses: got %s, want %s", got, c.unwatched)
			}
			in.Witnesses = w.policy(t, "group g any w1 w2 w3", "quorum g")
			if got := reasonOf(t, w.World, w.TrustedRoot(), in); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestCosignatureBytes flips every bit of a cosignature's line: it never counts, and the other one still does.
func TestCosignatureBytes(t *testing.T) {
	w := newWitnesses(t)
	v := newVerifier(t, w.TrustedRoot())
	at := bundletest.Epoch.Add(time.Minute)
	both, first := w.policy(t, "group g all w1 w2", "quorum g"), w.policy(t, "quorum w1")
	good := w.Issue(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows-none"),
		Checkpoint: func(l *bundletest.Log) string { return l.Checkpoint(t, w.w1.At(at), w.w2.At(at)) }})
	note := good.GetVerificationMaterial().GetTlogEntries()[0].GetInclusionProof().GetCheckpoint()
	text := note.Envelope
	counted, stillFirst := 0, 0
	for i := strings.LastIndex(text[:len(text)-1], "\n") + 1; i < len(text); i++ {
		for bit := range 7 {
			changed := []byte(text)
			changed[i] ^= 1 << bit
			if i > 0 && !validUTF8(changed) {
				continue // no JSON string
			}
			note.Envelope = string(changed)
			in := input(w.World, bundletest.JSON(t, good))
			in.Witnesses = both
			if verdictOf(t, v, in).Outcome == verify.Accepted {
				t.Errorf("byte %d, bit %d: counts as %q", i, bit, changed[i])
			}
			counted++
			in.Witnesses = first
			verdict := verdictOf(t, v, in)
			switch {
			case verdict.Outcome == verify.Accepted:
				stillFirst++
			case verdict.Failures()[0].ID != verify.CheckCheckpoint: // no signed note any more
				t.Errorf("byte %d, bit %d: %s", i, bit, verdict.Failures()[0])
			}
		}
	}
	if counted < 600 || stillFirst < counted/2 {
		t.Errorf("%d changes, the other cosignature counted %d times", counted, stillFirst)
	}
}

func validUTF8(b []byte) bool { return strings.ToValidUTF8(string(b), "?") == string(b) }

// TestCosignatureSpelling: base64 has bits that mean nothing, and a line has one spelling all the same.
func TestCosignatureSpelling(t *testing.T) {
	w := newWitnesses(t)
	in := input(w.World, w.noted(t, func(l *bundletest.Log) string {
		text := l.Checkpoint(t, w.w1.At(bundletest.Epoch))
		i := strings.LastIndex(text, "==") - 1
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
		loose := text[:i] + string(alphabet[strings.IndexByte(alphabet, text[i])+1]) + text[i+1:]
		line := loose[strings.LastIndex(loose, " ")+1 : len(loose)-1]
		if _, err := base64.StdEncoding.DecodeString(line); err != nil {
			t.Fatal(err)
		}
		return loose
	}))
	in.Witnesses = w.policy(t, "quorum w1")
	if got := reasonOf(t, w.World, w.TrustedRoot(), in); got != "witness-quorum" {
		t.Errorf("got %s", got)
	}
}

func TestWitnessInput(t *testing.T) {
	w := newWitnesses(t)
	p := w.twoOfThree(t)
	for name, change := range map[string]func(*verify.Input){
		"zero policy":          func(in *verify.Input) { in.Witnesses = &verify.WitnessPolicy{} },
		"age without policy":   func(in *verify.Input) { in.MaxCheckpointAge = time.Hour },
		"delay without policy": func(in *verify.Input) { in.MaxWitnessDelay = time.Hour },
		"negative age":         func(in *verify.Input) { in.Witnesses, in.MaxCheckpointAge = p, -1 },
		"negative delay":       func(in *verify.Input) { in.Witnesses, in.MaxWitnessDelay = p, -1 },
	} {
		in := input(w.World, w.cosigned(t))
		change(&in)
		if _, err := newVerifier(t, w.TrustedRoot()).Verify(t.Context(), in); !errors.Is(err, verify.ErrInput) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// BenchmarkWitnesses is a verification that asks for two of three witnesses, of a bundle that the verifier has seen; "none" asks
// for no witness.
func BenchmarkWitnesses(b *testing.B) {
	w := newWitnesses(b)
	v := newVerifier(b, w.TrustedRoot())
	in := input(w.World, w.cosigned(b, w.w1.At(bundletest.Epoch), w.w2.At(bundletest.Epoch), w.w3.At(bundletest.Epoch)))
	for name, policy := range map[string]*verify.WitnessPolicy{"none": nil, "two-of-three": w.twoOfThree(b)} {
		b.Run(name, func(b *testing.B) {
			in.Witnesses = policy
			for b.Loop() {
				if verdict := verdictOf(b, v, in); verdict.Outcome != verify.Accepted {
					b.Fatal(verdict.Failures())
				}
			}
		})
	}
}
