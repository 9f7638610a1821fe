package standing_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/standing"
)

func check(t testing.TB, b *statusv1.StatusBundle, target *verify.Evidence, o standing.Options) *standing.Result {
	t.Helper()
	r, err := standing.Check(t.Context(), b, target, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func want(t testing.TB, r *standing.Result, s standing.Standing, why standing.Reason) {
	t.Helper()
	if r.Standing != s || r.Reason != why {
		t.Errorf("got %s (%s: %s), want %s (%s)", r.Standing, r.Reason, r.Detail, s, why)
	}
}

func TestInForceAndTime(t *testing.T) {
	w := newWorld(t)
	target := w.evidence(w.issue(declaration(t, 1), w.Vendor), w.Vendor)
	w.publish()
	seen := now.Add(-time.Hour)
	b, o := w.status(target, seen), w.options()
	r := check(t, b, target, o)
	want(t, r, standing.InForce, standing.ReasonNothing)
	if !r.AsOf.Equal(seen) || !r.Witnessed || len(r.Cosignatures) != 3 || r.TreeSize != 6 {
		t.Errorf("%+v", r)
	}
	late := o
	late.MaxStaleness = 30 * time.Minute
	want(t, check(t, b, target, late), standing.Stale, standing.ReasonOld)
	late = o
	late.At = now.AddDate(2, 0, 0)
	want(t, check(t, b, target, late), standing.Expired, standing.ReasonPeriod)
	alone := o
	alone.Witnesses = nil
	want(t, check(t, b, target, alone), standing.Unknown, standing.ReasonNoTime)
	alone.AsOf = now.Add(-time.Minute)
	if r := check(t, b, target, alone); r.Standing != standing.InForce || r.Witnessed {
		t.Errorf("%+v", r)
	}
	alone.AsOf = now.Add(-48 * time.Hour)
	want(t, check(t, b, target, alone), standing.Stale, standing.ReasonOld)
	for name, change := range map[string]func(*standing.Options){
		"no log": func(o *standing.Options) { o.Log = nil }, "one log twice": func(o *standing.Options) { o.IndexLog = o.Log },
		"no time": func(o *standing.Options) { o.At = time.Time{} }, "no limit": func(o *standing.Options) { o.MaxStaleness = 0 },
		"the future":      func(o *standing.Options) { o.AsOf = now.Add(time.Hour) },
		"an empty policy": func(o *standing.Options) { o.Witnesses = &verify.WitnessPolicy{} },
	} {
		wrong := o
		change(&wrong)
		if _, err := standing.Check(t.Context(), b, target, wrong); err == nil || !strings.Contains(err.Error(), verify.ErrInput.Error()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if (standing.Result{}).Standing != standing.Unknown {
		t.Error("the zero result is not unknown")
	}
}

// TestSaid: what was said about a statement, by whom, and what it does to its standing.
func TestSaid(t *testing.T) {
	one := declaration(t, 1)
	effective := []string{"neverValid", "fromEffectiveAt"}
	future := []string{"neverValid", "fromEffectiveAt", "2026-11-12", "2026-12-12"}
	items := func(id string) []string {
		return []string{`"reason"`, `"items": ["` + id + `"], "reason"`}
	}
	for name, c := range map[string]struct {
		payload []byte
		foreign bool
		want    standing.Standing
		why     standing.Reason
	}{
		"withdrawal":                {withdrawal(t, one), false, standing.Withdrawn, standing.ReasonWithdrawal},
		"withdrawal in effect":      {withdrawal(t, one, effective...), false, standing.Withdrawn, standing.ReasonWithdrawal},
		"withdrawal to come":        {withdrawal(t, one, future...), false, standing.InForce, standing.ReasonNothing},
		"never valid, dated ahead":  {withdrawal(t, one, "2026-11-12", "2026-12-12"), false, standing.Withdrawn, standing.ReasonWithdrawal},
		"withdrawal by a stranger":  {withdrawal(t, one), true, standing.Unknown, standing.ReasonForeign},
		"stranger's, to come":       {withdrawal(t, one, future...), true, standing.InForce, standing.ReasonNothing},
		"all of its items":          {withdrawal(t, one, items("U-NOTIFY-CHANGE")...), false, standing.Withdrawn, standing.ReasonWithdrawal},
		"another item":              {withdrawal(t, one, items("F1")...), false, standing.PartlyWithdrawn, standing.ReasonWithdrawal},
		"an item, by a stranger":    {withdrawal(t, one, items("U-NOTIFY-CHANGE")...), true, standing.Unknown, standing.ReasonForeign},
		"successor":                 {successor(t, 2, one), false, standing.Superseded, standing.ReasonSuccessor},
		"successor of a stranger's": {successor(t, 2, one), true, standing.InForce, standing.ReasonNothing},
	} {
		w := newWorld(t)
		at, key := w.issue(one, w.Vendor), w.Vendor
		if c.foreign {
			key = w.other
		}
		by := w.issue(c.payload, key)
		w.publish()
		target, o := w.evidence(at, w.Vendor), w.options()
		b := w.status(target, now)
		r := check(t, b, target, o)
		t.Log(name)
		want(t, r, c.want, c.why)
		if len(r.Said) != 1 || r.Said[0].LogIndex != by || r.Said[0].Own == c.foreign {
			t.Errorf("said: %+v", r.Said)
		}
		b.GetAbout().GetEntries()[0].Bundle = nil
		want(t, check(t, b, target, o), standing.Unknown, standing.ReasonUndelivered)
		b.GetAbout().GetEntries()[0].Bundle = w.Bundles[at] // verifies, and is another entry
		want(t, check(t, b, target, o), standing.Unknown, standing.ReasonUnverified)
		b = w.status(target, now)
		o.Verifier = nil
		want(t, check(t, b, target, o), standing.Unknown, standing.ReasonUnverified)
		o = w.options()
		o.At, o.MaxStaleness = now.Add(48*time.Hour), time.Hour
		if r := check(t, b, target, o); c.want == standing.Withdrawn && r.Standing != c.want || r.Standing == standing.InForce {
			t.Errorf("an old bundle: %s", r.Standing)
		}
	}
}

// TestIdentity: an identity stays the same whatever key it was certified for, and another issuer makes it another.
func TestIdentity(t *testing.T) {
	const san, issuer = "https://acme.example/release", "https://issuer.example"
	one := declaration(t, 1)
	for by, wanted := range map[string]standing.Standing{issuer: standing.Withdrawn, "https://other.example": standing.Unknown} {
		w := newWorld(t)
		target := w.evidenceOf(w.issueAs(one, san, issuer), san, issuer)
		w.issueAs(withdrawal(t, one), san, by)
		w.publish()
		b := w.status(target, now)
		b.Unresolved = w.List(index.UnresolvedKey(index.IdentitySigner(issuer, san)), false)
		if r := check(t, b, target, w.options()); r.Standing != wanted {
			t.Errorf("by %s: %s (%s), want %s", by, r.Standing, r.Detail, wanted)
		}
	}
}

func TestUnresolvedAndNotCovered(t *testing.T) {
	w := newWorld(t)
	one := declaration(t, 1)
	at := w.issue(one, w.Vendor)
	hidden := w.issue(withdrawal(t, one), w.Vendor)
	payload := w.Payloads[hidden]
	delete(w.Payloads, hidden)
	w.issue(declaration(t, 3), w.other)
	w.publish()
	target, o := w.evidence(at, w.Vendor), w.options()
	want(t, check(t, w.status(target, now), target, o), standing.Unknown, standing.ReasonUnresolved)
	theirs := w.evidence(hidden+1, w.other) // whom the vendor's entry does not concern
	want(t, check(t, w.status(theirs, now), theirs, o), standing.InForce, standing.ReasonNothing)
	w.Payloads[hidden] = payload
	w.publish()
	want(t, check(t, w.status(target, now), target, o), standing.Withdrawn, standing.ReasonWithdrawal)
	newer := newWorld(t)
	newer.issue(one, newer.Vendor)
	newer.publish()
	o = newer.options()
	ahead := newer.evidence(5, newer.Vendor)
	ahead.LogIndex = 6
	want(t, check(t, newer.status(ahead, now), ahead, o), standing.Unknown, standing.ReasonNotCovered)
}

// TestCheats: what an operator can serve is refused, each with its reason, or stale.
func TestCheats(t *testing.T) {
	w := newWorld(t)
	one := declaration(t, 1)
	at := w.issue(one, w.Vendor)
	w.publish()
	target, o := w.evidence(at, w.Vendor), w.options()
	old := w.status(target, now.Add(-48*time.Hour))
	by := []uint64{w.issue(withdrawal(t, one), w.Vendor), w.issue(withdrawal(t, one), w.other)}
	w.publish()
	good := w.status(target, now)
	want(t, check(t, good, target, o), standing.Withdrawn, standing.ReasonWithdrawal)
	want(t, check(t, old, target, o), standing.Stale, standing.ReasonOld)
	few := func(l interface {
		Checkpoint(testing.TB, ...sumSigner) string
	}, n int) string {
		return l.Checkpoint(t, w.Cosigners(now)[:n]...)
	}
	foreign := newWorld(t)
	for name, c := range map[string]struct {
		change func(b *statusv1.StatusBundle)
		code   string
	}{
		"another target": {func(b *statusv1.StatusBundle) { b.Target = "sha256:" + strings.Repeat("0", 64) }, standing.CodeTarget},
		"an old leaf, new checkpoint": {func(b *statusv1.StatusBundle) {
			b.IndexRoot, b.IndexRootProof = old.GetIndexRoot(), w.Roots.Proof(w.Roots.Size()-2)
		}, standing.CodeRoot},
		"an old index, new log": {func(b *statusv1.StatusBundle) {
			b.IndexRoot, b.IndexRootProof, b.IndexCheckpoint = old.GetIndexRoot(), old.GetIndexRootProof(), old.GetIndexCheckpoint()
		}, standing.CodeTree},
		"an old log, new index": {func(b *statusv1.StatusBundle) { b.Checkpoint = old.GetCheckpoint() }, standing.CodeTree},
		"not a root":            {func(b *statusv1.StatusBundle) { b.IndexRoot = "avow index 2\n" }, standing.CodeRoot},
		"another log's key":     {func(b *statusv1.StatusBundle) { b.Checkpoint = foreign.Log.Checkpoint(t) }, standing.CodeCheckpoint},
		"logs exchanged": {func(b *statusv1.StatusBundle) {
			b.Checkpoint, b.IndexCheckpoint = b.GetIndexCheckpoint(), b.GetCheckpoint()
		}, standing.CodeCheckpoint},
		"no quorum of the log":   {func(b *statusv1.StatusBundle) { b.Checkpoint = few(w.Log, 1) }, standing.CodeQuorum},
		"no quorum of the index": {func(b *statusv1.StatusBundle) { b.IndexCheckpoint = few(w.Roots, 1) }, standing.CodeQuorum},
		"cosigned in the future": {func(b *statusv1.StatusBundle) {
			b.IndexCheckpoint = w.Roots.Checkpoint(t, w.Cosigners(now.Add(time.Hour))...)
		}, standing.CodeQuorum},
		"two roots for a size": {func(b *statusv1.StatusBundle) {
			fork := w.Roots.Fork(w.Roots.Size() - 1)
			fork.Append([]byte(old.GetIndexRoot()))
			b.IndexCheckpoint = few(fork, 0)
		}, standing.CodeQuorum},
		"an old list":          {func(b *statusv1.StatusBundle) { b.About = old.GetAbout() }, standing.CodeProof},
		"an entry left out":    {func(b *statusv1.StatusBundle) { b.About.Entries = b.GetAbout().GetEntries()[:1] }, standing.CodeList},
		"all entries left out": {func(b *statusv1.StatusBundle) { b.About.Entries = nil }, standing.CodeProof},
		"an entry added": {func(b *statusv1.StatusBundle) {
			b.About.Entries = append(b.GetAbout().GetEntries(), b.GetAbout().GetEntries()[0])
		}, standing.CodeList},
		"entries reordered":      {func(b *statusv1.StatusBundle) { slices.Reverse(b.GetAbout().GetEntries()) }, standing.CodeList},
		"another kind":           {func(b *statusv1.StatusBundle) { b.GetAbout().GetEntries()[0].Kind = 1 }, standing.CodeList},
		"an unknown kind":        {func(b *statusv1.StatusBundle) { b.GetAbout().GetEntries()[0].Kind = 2 }, standing.CodeMalformed},
		"an unresolved invented": {func(b *statusv1.StatusBundle) { b.Unresolved.Entries = []*statusv1.ListEntry{{LogIndex: by[0]}} }, standing.CodeProof},
		"no proof":               {func(b *statusv1.StatusBundle) { b.Unresolved.Proof = nil }, standing.CodeProof},
		"the other's proof": {func(b *statusv1.StatusBundle) {
			b.Unresolved = w.List(index.UnresolvedKey("key:x"), false)
			b.Unresolved.Proof[4] ^= 1
		}, standing.CodeProof},
		"no list":                {func(b *statusv1.StatusBundle) { b.Unresolved = nil }, standing.CodeMalformed},
		"a bundle of unresolved": {func(b *statusv1.StatusBundle) { b.Unresolved.Entries = []*statusv1.ListEntry{{Bundle: []byte("x")}} }, standing.CodeMalformed},
		"a short hash":           {func(b *statusv1.StatusBundle) { b.IndexRootProof = [][]byte{{1}} }, standing.CodeMalformed},
		"too long a path":        {func(b *statusv1.StatusBundle) { b.IndexRootProof = make([][]byte, verify.MaxProofHashes+1) }, standing.CodeMalformed},
	} {
		b := proto.CloneOf(good)
		c.change(b)
		r, err := standing.Check(t.Context(), b, target, o)
		if r != nil || code(err) != c.code {
			t.Errorf("%s: %v, %v, want %s", name, r, err, c.code)
		}
	}
}

// TestEveryByteCounts: a byte that is changed makes the bundle refused, or what was said unknown, or changes nothing that is shown.
func TestEveryByteCounts(t *testing.T) {
	w := newWorld(t)
	one := declaration(t, 1)
	at := w.issue(one, w.Vendor)
	w.issue(declaration(t, 2), w.other)
	w.publish()
	quiet := w.evidence(at, w.Vendor)
	undisputed := w.status(quiet, now)
	w.issue(withdrawal(t, one), w.Vendor)
	w.publish()
	withdrawn := w.status(quiet, now)
	for name, b := range map[string]*statusv1.StatusBundle{"undisputed": undisputed, "withdrawn": withdrawn} {
		binary, err := standing.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		text, err := protojson.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		o := w.options()
		wanted := check(t, b, quiet, o)
		seen := map[string]int{}
		for _, data := range [][]byte{binary, text} {
			stride := 1 + len(data)/4000 // the bundles of what was said are verified whole each time
			for i := 0; i < len(data); i += stride {
				changed := slices.Clone(data)
				changed[i] ^= []byte{0x01, 0x80, 0xff, 0x20}[i/stride%4]
				var r *standing.Result
				got, err := standing.Parse(changed)
				if err == nil {
					r, err = standing.Check(t.Context(), got, quiet, o)
				}
				switch {
				case err != nil:
					seen[code(err)]++
				case r.Standing == standing.Unknown && r.Reason == standing.ReasonUnverified:
					seen[string(r.Reason)]++
				case r.Standing == wanted.Standing && r.Reason == wanted.Reason && r.TreeSize == wanted.TreeSize && len(r.Said) == len(wanted.Said):
					seen["the same"]++ // a cosignature less, a letter of unsigned white space
				default:
					t.Fatalf("%s: byte %d: %s %s", name, i, r.Standing, r.Reason)
				}
			}
		}
		t.Logf("%s: %d and %d bytes: %v", name, len(binary), len(text), seen)
		for _, c := range []string{standing.CodeMalformed, standing.CodeTarget, standing.CodeCheckpoint, standing.CodeRoot, standing.CodeProof} {
			if seen[c] == 0 {
				t.Errorf("%s: no byte is for %s", name, c)
			}
		}
		for c := range seen {
			if c != "the same" && c != string(standing.ReasonUnverified) && !slices.Contains(standing.Codes(), c) {
				t.Errorf("%s: %s", name, c)
			}
		}
	}
}

func TestParseIsStrict(t *testing.T) {
	w := newWorld(t)
	at := w.issue(declaration(t, 1), w.Vendor)
	w.publish()
	b := w.status(w.evidence(at, w.Vendor), now)
	good, err := standing.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := standing.Parse(good); err != nil || !proto.Equal(got, b) {
		t.Fatal(err)
	}
	text, err := protojson.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"empty": nil, "an unknown field": append(slices.Clone(good), 0x78, 1), "a default value": append(slices.Clone(good), 0x0a, 0),
		"a field twice": slices.Concat(good, good), "cut": good[:len(good)-1], "unknown JSON": []byte(`{"x":1}`), "null": []byte(`{}`),
		"JSON twice": append(slices.Clone(text), text...), "too large": make([]byte, standing.MaxBytes+1),
	} {
		if _, err := standing.Parse(data); code(err) != standing.CodeMalformed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	w := newWorld(f)
	at := w.issue(declaration(f, 1), w.Vendor)
	w.publish()
	target, o := w.evidence(at, w.Vendor), w.options()
	b := w.status(target, now)
	good, err := standing.Marshal(b)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"target":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := standing.Parse(data)
		if err != nil {
			return
		}
		r, err := standing.Check(t.Context(), b, target, o)
		if err == nil && r.Standing != standing.InForce {
			t.Errorf("%x: %+v", data, r)
		}
	})
}

// TestRandomHistories holds the answers against a naive model: a list of all that was said, gone through from the beginning.
func TestRandomHistories(t *testing.T) {
	seen := map[standing.Standing]int{}
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(t)
		keys := []*keyOf{{w.Vendor}, {w.other}}
		var said []deed
		for i := range 12 {
			d := deed{by: rng.IntN(2), kind: rng.IntN(4)}
			if len(said) == 0 {
				d.kind = 0
			} else {
				d.of = rng.IntN(len(said))
				for said[d.of].kind != 0 && said[d.of].kind != 3 {
					d.of--
				}
			}
			d.payload = d.statement(t, i, said)
			at := w.issue(d.payload, keys[d.by].key)
			if d.at = at; rng.IntN(10) == 0 {
				d.hidden = true
				delete(w.Payloads, at)
			}
			said = append(said, d)
			if rng.IntN(3) == 0 {
				w.publish()
			}
		}
		w.publish()
		o := w.options()
		for i, d := range said {
			target := w.evidence(d.at, keys[d.by].key)
			r := check(t, w.status(target, now), target, o)
			if wanted := model(said, i); r.Standing != wanted {
				t.Errorf("seed %d, statement %d: %s (%s), want %s", seed, i, r.Standing, r.Detail, wanted)
			}
			seen[r.Standing]++
		}
	}
	t.Logf("standings: %v", seen)
	for _, s := range []standing.Standing{standing.Unknown, standing.InForce, standing.Withdrawn, standing.Superseded, standing.PartlyWithdrawn} {
		if seen[s] == 0 {
			t.Errorf("no statement is %s", s)
		}
	}
}
