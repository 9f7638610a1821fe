package standing_test

import (
	"bytes"
	"crypto/ecdsa"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/standing"
)

func signerOfKey(key *ecdsa.PrivateKey) verify.Signer {
	return verify.Signer{Key: &verify.Key{PublicKey: &key.PublicKey}}
}

// TestWithdrawers: what a stranger withdraws makes the standing unknown, unless the caller names him; his successor is none.
func TestWithdrawers(t *testing.T) {
	const san, issuer = "https://acme.example/recovery", "https://issuer.example"
	one := declaration(t, 1)
	for name, c := range map[string]struct {
		payload       []byte
		identity      bool
		unnamed, want standing.Standing
	}{
		"withdrawal":             {withdrawal(t, one), false, standing.Unknown, standing.Withdrawn},
		"withdrawal by identity": {withdrawal(t, one), true, standing.Unknown, standing.Withdrawn},
		"an item":                {withdrawal(t, one, `"reason"`, `"items": ["F1"], "reason"`), false, standing.Unknown, standing.PartlyWithdrawn},
		"successor":              {successor(t, 2, one), false, standing.InForce, standing.Superseded},
	} {
		w := newWorld(t)
		target := w.evidence(w.issue(one, w.Vendor), w.Vendor)
		named := signerOfKey(w.other)
		if c.identity {
			w.issueAs(c.payload, san, issuer)
			named = verify.Signer{Identity: &verify.Identity{SAN: san, Issuer: issuer}}
		} else {
			w.issue(c.payload, w.other)
		}
		w.publish()
		b, o := w.status(target, now), w.options()
		if r := check(t, b, target, o); r.Standing != c.unnamed || r.Standing == standing.Unknown && r.Reason != standing.ReasonForeign || r.Said[0].Own {
			t.Errorf("%s, unnamed: %+v", name, r)
		}
		o.Withdrawers = []verify.Signer{signerOfKey(bundletest.NewKey(t)), named}
		if r := check(t, b, target, o); r.Standing != c.want || r.Said[0].Own {
			t.Errorf("%s, named: %+v", name, r)
		}
		o.Withdrawers = nil
		for _, yes := range []bool{true, false} {
			o.InPlace = func(all []standing.Said, said *standing.Said) bool {
				return yes && len(all) == 1 && said.Signer == all[0].Signer && !said.Own
			}
			want := c.unnamed
			if yes {
				want = c.want
			}
			if r := check(t, b, target, o); r.Standing != want || r.Said[0].Own {
				t.Errorf("%s, in the signer's place: %v: %+v", name, yes, r)
			}
		}
	}
}

// TestForeignIsWeaker: what the signer itself withdrew stays withdrawn beside a stranger's withdrawal, and what is superseded by a
// statement that may be withdrawn by a stranger is unknown.
func TestForeignIsWeaker(t *testing.T) {
	w := newWorld(t)
	one := declaration(t, 1)
	target := w.evidence(w.issue(one, w.Vendor), w.Vendor)
	w.issue(withdrawal(t, one), w.other)
	w.issue(successor(t, 2, one), w.Vendor)
	w.publish()
	want(t, check(t, w.status(target, now), target, w.options()), standing.Unknown, standing.ReasonForeign)
	w.issue(withdrawal(t, one), w.Vendor)
	w.publish()
	want(t, check(t, w.status(target, now), target, w.options()), standing.Withdrawn, standing.ReasonWithdrawal)
	for name, wrong := range map[string][]verify.Signer{
		"neither": {{}}, "both": {{Key: &verify.Key{PublicKey: &w.other.PublicKey}, Identity: &verify.Identity{}}}, "no key": {{Key: &verify.Key{}}},
		"too many": make([]verify.Signer, standing.MaxSigners+1),
	} {
		o := w.options()
		o.Withdrawers = wrong
		if _, err := standing.Check(t.Context(), w.status(target, now), target, o); !errors.Is(err, verify.ErrInput) {
			t.Errorf("%s: %v", name, err)
		}
		o.Withdrawers, o.Arbiters = nil, wrong
		if _, err := standing.Check(t.Context(), w.status(target, now), target, o); !errors.Is(err, verify.ErrInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// dispute is a step of a dispute about a statement.
func dispute(tb testing.TB, i int, target []byte, event string, thread []byte) []byte {
	edits := []string{withdrawalTarget, digestOf(target), "00000000-0000-4000-8000-000000000006", "00000000-0000-4000-8000-" + hexOf(i), `"opened"`, `"` + event + `"`}
	if thread != nil {
		edits = append(edits, `"event"`, `"thread": {"digest": {"sha256": "`+digestOf(thread)+`"}, "predicateType": "https://w3id.org/avow/dispute/v1"}, "event"`)
	}
	return bundletest.Statement(tb, "dispute", edits...)
}

// TestOpenDisputes: a dispute is open until whoever opened it settles it, or an arbiter of the caller's, who is no party, rejects it.
func TestOpenDisputes(t *testing.T) {
	one := declaration(t, 1)
	opened := dispute(t, 1, one, "opened", nil)
	const opener, signer, third = 0, 1, 2
	type step struct {
		event string
		by    int
	}
	for name, c := range map[string]struct {
		steps    []step
		arbiters []int
		open     int
	}{
		"opened":                               {nil, nil, 1},
		"answered":                             {[]step{{"answered", signer}}, nil, 1},
		"settled by the opener":                {[]step{{"answered", signer}, {"settled", opener}}, nil, 0},
		"rejected by the opener":               {[]step{{"rejected", opener}}, nil, 1},
		"upheld":                               {[]step{{"upheld", third}}, []int{third}, 1},
		"settled by the signer":                {[]step{{"settled", signer}}, nil, 1},
		"rejected by the signer":               {[]step{{"rejected", signer}}, nil, 1},
		"rejected by the arbiter":              {[]step{{"rejected", third}}, []int{third}, 0},
		"rejected by a stranger":               {[]step{{"rejected", third}}, nil, 1},
		"settled by the arbiter":               {[]step{{"settled", third}}, []int{third}, 1},
		"rejected by an arbiter who signed it": {[]step{{"rejected", signer}}, []int{signer}, 1},
		"rejected by an arbiter who opened it": {[]step{{"rejected", opener}}, []int{opener}, 1},
		"upheld and then settled":              {[]step{{"upheld", third}, {"settled", opener}}, []int{third}, 0},
		"evidence after the close":             {[]step{{"settled", opener}, {"evidenceAdded", opener}}, nil, 0},
	} {
		w := newWorld(t)
		keys := []*ecdsa.PrivateKey{w.other, w.Vendor, bundletest.NewKey(t)}
		target := w.evidence(w.issue(one, w.Vendor), w.Vendor)
		w.issue(opened, w.other)
		for i, s := range c.steps {
			w.issue(dispute(t, i+2, one, s.event, opened), keys[s.by])
		}
		w.publish()
		o := w.options()
		for _, a := range c.arbiters {
			o.Arbiters = append(o.Arbiters, signerOfKey(keys[a]))
		}
		r := check(t, w.status(target, now), target, o)
		want(t, r, standing.InForce, standing.ReasonNothing)
		if len(r.OpenDisputes) != c.open || len(r.Said) != 1+len(c.steps) {
			t.Errorf("%s: %d open of %d", name, len(r.OpenDisputes), len(r.Said))
		}
	}
	w := newWorld(t)
	target := w.evidence(w.issue(one, w.Vendor), w.Vendor)
	w.issue(dispute(t, 2, one, "evidenceAdded", opened), w.other) // of a dispute that began elsewhere
	w.issue(dispute(t, 3, one, "answered", opened), w.Vendor)
	w.publish()
	if r := check(t, w.status(target, now), target, w.options()); len(r.OpenDisputes) != 1 {
		t.Errorf("%d open", len(r.OpenDisputes))
	}
}

// fleet is a world with two signed statements, of which one is by two signers, and their status.
func fleet(tb testing.TB) (*world, []*verify.Evidence, *statusv1.StatusSet) {
	tb.Helper()
	w := newWorld(tb)
	one, two := declaration(tb, 1), declaration(tb, 2)
	places := []uint64{w.issue(one, w.Vendor), w.issue(one, w.other), w.issue(two, w.Vendor)}
	delete(w.Payloads, w.issue(withdrawal(tb, two), w.other)) // the other signer has something unresolved
	w.publish()
	targets := []*verify.Evidence{w.evidence(places[0], w.Vendor), w.evidence(places[1], w.other), w.evidence(places[2], w.Vendor)}
	set := &statusv1.StatusSet{}
	for _, e := range targets {
		set.Entries = append(set.Entries, &statusv1.StatusEntry{KeyId: e.KeyID, Status: w.status(e, now)})
	}
	return w, targets, set
}

// TestSet: a status file in all its forms, and which of its entries count.
func TestSet(t *testing.T) {
	w, targets, set := fleet(t)
	wanted := []standing.Standing{standing.InForce, standing.Unknown, standing.InForce}
	binary, err := standing.MarshalSet(set)
	if err != nil {
		t.Fatal(err)
	}
	text, err := standing.MarshalSetJSON(set)
	if err != nil {
		t.Fatal(err)
	}
	lying := proto.CloneOf(set) // ids help to find, and decide nothing
	for i, e := range lying.GetEntries() {
		e.KeyId = set.GetEntries()[(i+1)%3].GetKeyId()
	}
	slices.Reverse(lying.GetEntries())
	lies, err := standing.MarshalSet(lying)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"binary": binary, "JSON": text, "wrong ids": lies} {
		s, err := standing.ParseSet(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i, e := range targets {
			r, err := s.Check(t.Context(), e, w.options())
			if err != nil || r.Standing != wanted[i] || s.Len() != 3 {
				t.Errorf("%s, %d: %+v, %v", name, i, r, err)
			}
		}
	}
	for _, marshal := range []func(*statusv1.StatusBundle) ([]byte, error){standing.Marshal, func(b *statusv1.StatusBundle) ([]byte, error) { return protojson.Marshal(b) }} {
		data, err := marshal(set.GetEntries()[0].GetStatus())
		if err != nil {
			t.Fatal(err)
		}
		s, err := standing.ParseSet(data)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := s.Check(t.Context(), targets[0], w.options()); err != nil || r.Standing != standing.InForce {
			t.Errorf("%+v, %v", r, err)
		}
		if _, err := s.Check(t.Context(), targets[2], w.options()); code(err) != standing.CodeAbsent {
			t.Errorf("another statement: %v", err)
		}
		if _, err := s.Check(t.Context(), targets[1], w.options()); code(err) != standing.CodeProof {
			t.Errorf("another signer: %v", err)
		}
	}
}

// TestNewestCounts: an older status beside a newer one takes nothing back, wherever it stands.
func TestNewestCounts(t *testing.T) {
	w := newWorld(t)
	one := declaration(t, 1)
	target := w.evidence(w.issue(one, w.Vendor), w.Vendor)
	w.publish()
	old := &statusv1.StatusEntry{KeyId: target.KeyID, Status: w.status(target, now)}
	w.issue(withdrawal(t, one), w.Vendor)
	w.publish()
	newer := &statusv1.StatusEntry{Status: w.status(target, now)}
	broken := proto.CloneOf(newer)
	broken.Status.IndexRoot += "x"
	for _, list := range [][]*statusv1.StatusEntry{{old, newer}, {newer, old}, {broken, old, newer}} {
		data, err := standing.MarshalSet(&statusv1.StatusSet{Entries: list})
		if err != nil {
			t.Fatal(err)
		}
		s, err := standing.ParseSet(data)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Check(t.Context(), target, w.options())
		if err != nil {
			t.Fatal(err)
		}
		want(t, r, standing.Withdrawn, standing.ReasonWithdrawal)
	}
}

// TestFunc: what is refused is unknown with its code, what cannot be asked is an error, and the log's key is the trusted root's.
func TestFunc(t *testing.T) {
	w, targets, set := fleet(t)
	data, err := standing.MarshalSet(&statusv1.StatusSet{Entries: set.GetEntries()[:1]})
	if err != nil {
		t.Fatal(err)
	}
	s, err := standing.ParseSet(data)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := verify.ParseTrust(w.TrustedRoot())
	if err != nil {
		t.Fatal(err)
	}
	o := w.options()
	o.Log = nil
	ask := s.Func(o, trust)
	if r, err := ask(t.Context(), targets[0]); err != nil || r.Standing != standing.InForce {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := ask(t.Context(), targets[2]); err != nil || r.Standing != standing.Unknown || r.Reason != standing.CodeAbsent || r.Detail == "" {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := ask(t.Context(), targets[1]); err != nil || r.Standing != standing.Unknown || r.Reason != standing.CodeProof {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := s.Func(o, nil)(t.Context(), targets[0]); !errors.Is(err, verify.ErrInput) {
		t.Errorf("without the log's key: %v", err)
	}
	elsewhere := *targets[0]
	elsewhere.LogID = []byte{1}
	if _, err := ask(t.Context(), &elsewhere); !errors.Is(err, verify.ErrInput) {
		t.Errorf("a log that is not in the trusted root: %v", err)
	}
}

func TestParseSetIsStrict(t *testing.T) {
	_, _, set := fleet(t)
	binary, err := standing.MarshalSet(set)
	if err != nil {
		t.Fatal(err)
	}
	text, err := standing.MarshalSetJSON(set)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := proto.Marshal(set.GetEntries()[0])
	if err != nil {
		t.Fatal(err)
	}
	same := &statusv1.StatusSet{}
	for range standing.MaxSetSame + 1 {
		same.Entries = append(same.Entries, set.GetEntries()[0])
	}
	tooMany, err := standing.MarshalSet(same)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"empty": nil, "no entries": []byte(`{"entries":[]}`), "not a list": []byte(`{"entries":{}}`), "an entry without a status": []byte(`{"entries":[{}]}`),
		"unknown JSON": []byte(`{"entries":[{"x":1}]}`), "another member": append(bytes.TrimSuffix(text, []byte("}")), []byte(`,"x":1}`)...),
		"entries twice": append(bytes.TrimSuffix(text, []byte("}")), append([]byte(","), text[1:]...)...),
		"JSON twice":    append(slices.Clone(text), text...), "cut JSON": text[:len(text)-2], "cut": binary[:len(binary)-1],
		"an unknown field": append(slices.Clone(binary), 0x78, 1), "another field": append(slices.Clone(binary), 0x12, 0),
		"a long tag": append([]byte{0x8a, 0x00}, binary[1:]...), "an unknown field in an entry": slices.Concat([]byte{0x0a, byte(len(entry)+2)&0x7f | 0x80, byte((len(entry) + 2) >> 7)}, entry, []byte{0x78, 1}),
		"too many about one": tooMany, "too large": make([]byte, standing.MaxSetBytes+1), "one too large": slices.Concat([]byte(`{"entries":["`), bytes.Repeat([]byte("x"), standing.MaxBytes), []byte(`"]}`)),
	} {
		if _, err := standing.ParseSet(data); code(err) != standing.CodeMalformed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSetEntries: the number of entries is bounded before all of them are made.
func TestSetEntries(t *testing.T) {
	var list bytes.Buffer
	list.WriteString(`{"entries":[`)
	for i := range standing.MaxSetEntries + 1 {
		if i > 0 {
			list.WriteByte(',')
		}
		list.WriteString(`{"status":{"about":{},"unresolved":{},"target":"`)
		list.WriteString(strings.Repeat("x", i%997))
		list.WriteString(string(rune('a'+i/997%26)) + string(rune('a'+i/997/26)) + `"}}`)
	}
	list.WriteString(`]}`)
	_, err := standing.ParseSet(list.Bytes())
	if code(err) != standing.CodeMalformed || !strings.Contains(err.Error(), "more than 65536") {
		t.Error(err)
	}
}

func FuzzParseSet(f *testing.F) {
	w, targets, set := fleet(f)
	for _, marshal := range []func(*statusv1.StatusSet) ([]byte, error){standing.MarshalSet, standing.MarshalSetJSON} {
		data, err := marshal(set)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"entries":[{"keyId":"x","status":{"target":"x"}}]}`))
	o := w.options()
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := standing.ParseSet(data)
		if err != nil {
			if code(err) != standing.CodeMalformed {
				t.Error(err)
			}
			return
		}
		for i, e := range targets {
			r, err := s.Check(t.Context(), e, o)
			if err == nil && i == 1 && r.Standing == standing.InForce {
				t.Errorf("%x: %+v", data, r)
			}
		}
	})
}
