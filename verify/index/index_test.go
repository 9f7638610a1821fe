package index_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
	"github.com/avow-dev/avow/verify/index"
)

func TestDependencies(t *testing.T) {
	deptest.AllowOnly(t, map[string]string{})
}

type vectors struct {
	Keys []struct {
		Kind  string
		Parts []string
		Key   string
	}
	Lists []struct {
		Entries []index.Entry
		Root    string
	}
	Proofs []struct {
		Name, Root, Key, Proof, Shows string
		List                          []index.Entry
	}
	Roots []struct {
		Name, Leaf, Code string
		Root             *struct{ Size, Keys uint64 }
	}
}

func readVectors(tb testing.TB) (v vectors) {
	tb.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(data, &v); err != nil {
		tb.Fatal(err)
	}
	if len(v.Keys) == 0 || len(v.Lists) == 0 || len(v.Proofs) < 100 {
		tb.Fatalf("%d keys, %d lists, %d proofs", len(v.Keys), len(v.Lists), len(v.Proofs))
	}
	return v
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestKeysAndLists(t *testing.T) {
	v := readVectors(t)
	for _, k := range v.Keys {
		var got index.Key
		switch k.Kind {
		case "subject":
			got = index.SubjectKey(k.Parts[0], k.Parts[1])
		case "target":
			got = index.TargetKey(k.Parts[0])
		case "signer":
			got = index.SignerKey(index.KeySigner(k.Parts[0]))
		case "unresolved":
			got = index.UnresolvedKey(index.KeySigner(k.Parts[0]))
		case "identity":
			got = index.SignerKey(index.IdentitySigner(k.Parts[0], k.Parts[1]))
		case "product":
			got = index.ProductKey(k.Parts[0])
		}
		if got.String() != k.Key {
			t.Errorf("%s %q: got %s, want %s", k.Kind, k.Parts, got, k.Key)
		}
	}
	if index.IdentitySigner("a", "bc") == index.IdentitySigner("ab", "c") {
		t.Error("two identities have one key")
	}
	if index.ProductKey("pkg:generic/x@1") != index.ProductKey("pkg:generic/x@2") {
		t.Error("two versions of a product have two keys")
	}
	for _, l := range v.Lists {
		root := index.ListValue(l.Entries).Root
		if hex.EncodeToString(root[:]) != l.Root {
			t.Errorf("%d entries: got %x, want %s", len(l.Entries), root, l.Root)
		}
	}
}

// judge is what a proof shows: "present", "absent", or the code of the error.
func judge(root index.Hash, k index.Key, proof []byte) (string, index.Value) {
	p, err := index.ParseProof(proof)
	if err != nil {
		return code(err), index.Value{}
	}
	value, err := p.Presence(root, k)
	absent := p.Absence(root, k)
	switch {
	case err == nil && absent == nil:
		return "both", value
	case err == nil:
		return "present", value
	case absent == nil:
		return "absent", index.Value{}
	}
	return code(err), index.Value{}
}

func code(err error) string {
	var e *index.Error
	if !errors.As(err, &e) {
		return "no code: " + err.Error()
	}
	return e.Code
}

func TestProofs(t *testing.T) {
	seen := map[string]int{}
	for _, p := range readVectors(t).Proofs {
		got, value := judge(index.Hash(unhex(t, p.Root)), index.Key(unhex(t, p.Key)), unhex(t, p.Proof))
		if got != p.Shows {
			t.Errorf("%s: got %s, want %s", p.Name, got, p.Shows)
		}
		if got == "present" && value != index.ListValue(p.List) {
			t.Errorf("%s: the value is not that of the list", p.Name)
		}
		seen[got]++
	}
	for _, want := range []string{"present", "absent", index.CodeMalformed, index.CodeRootMismatch, index.CodeNotShown} {
		if seen[want] == 0 {
			t.Errorf("no vector is for %s", want)
		}
	}
}

// TestEveryByteCounts: no change of a byte of a proof, of its root or of its key leaves what it shows as it was, save
// that a proof of absence also shows the absence of other keys.
func TestEveryByteCounts(t *testing.T) {
	for _, v := range readVectors(t).Proofs {
		if v.Shows != "present" && v.Shows != "absent" {
			continue
		}
		root, k, proof := unhex(t, v.Root), unhex(t, v.Key), unhex(t, v.Proof)
		for i := range proof {
			for _, mask := range []byte{0x01, 0x80, 0xff} {
				changed := slices.Clone(proof)
				changed[i] ^= mask
				if got, _ := judge(index.Hash(root), index.Key(k), changed); got == "present" || got == "absent" || got == "both" {
					t.Errorf("%s: byte %d changed by %#x: %s", v.Name, i, mask, got)
				}
			}
		}
		for i := range root {
			changed := slices.Clone(root)
			changed[i] ^= 1
			if got, _ := judge(index.Hash(changed), index.Key(k), proof); got != index.CodeRootMismatch {
				t.Errorf("%s: byte %d of the root changed: %s", v.Name, i, got)
			}
		}
		for i := range k {
			changed := slices.Clone(k)
			changed[i] ^= 1
			if got, _ := judge(index.Hash(root), index.Key(changed), proof); got == "present" || got == "both" {
				t.Errorf("%s: byte %d of the key changed: %s", v.Name, i, got)
			}
		}
	}
}

// TestFormIsChecked: each rule of the form has a proof that breaks it alone.
func TestFormIsChecked(t *testing.T) {
	steps := func(bits ...uint8) (s []index.Step) {
		for _, b := range bits {
			s = append(s, index.Step{Bit: b})
		}
		return s
	}
	leaf := index.Value{Count: 1}
	for name, c := range map[string]struct {
		proof index.Proof
		code  string
	}{
		"unknown terminal":        {index.Proof{Terminal: 4}, index.CodeMalformed},
		"steps in an empty tree":  {index.Proof{Steps: steps(1)}, index.CodeMalformed},
		"a bit twice":             {index.Proof{Steps: steps(3, 3), Terminal: index.TerminalKey, Value: leaf}, index.CodeMalformed},
		"bits that fall":          {index.Proof{Steps: steps(3, 2), Terminal: index.TerminalKey, Value: leaf}, index.CodeMalformed},
		"an empty list":           {index.Proof{Terminal: index.TerminalKey}, index.CodeMalformed},
		"another's empty list":    {index.Proof{Terminal: index.TerminalLeaf, Other: index.Key{1}}, index.CodeMalformed},
		"an end above the steps":  {index.Proof{Steps: steps(9), Terminal: index.TerminalInner, Bit: 9, Other: index.Key{0x80}}, index.CodeMalformed},
		"an end at bit 0":         {index.Proof{Terminal: index.TerminalInner}, index.CodeMalformed},
		"shared bits beyond":      {index.Proof{Terminal: index.TerminalInner, Bit: 3, Other: index.Key{0x10}}, index.CodeMalformed},
		"an end that does not go": {index.Proof{Terminal: index.TerminalInner, Bit: 3}, index.CodeNotShown},
		"an end off the path":     {index.Proof{Steps: steps(1), Terminal: index.TerminalInner, Bit: 3, Other: index.Key{0x80}}, index.CodeNotShown},
		"a leaf off the path":     {index.Proof{Steps: steps(1), Terminal: index.TerminalLeaf, Other: index.Key{0x40}, Value: leaf}, index.CodeNotShown},
		"the key's own leaf":      {index.Proof{Terminal: index.TerminalLeaf, Value: leaf}, index.CodeNotShown},
	} {
		if err := c.proof.Absence(index.EmptyRoot(), index.Key{}); code(err) != c.code {
			t.Errorf("%s: got %v, want %s", name, err, c.code)
		}
	}
}

func TestResolved(t *testing.T) {
	open, stated := index.Entry{LogIndex: 1, Kind: index.Unresolved}, index.Entry{LogIndex: 1}
	other := index.Entry{LogIndex: 2, Kind: index.Unresolved}
	for _, c := range []struct {
		list []index.Entry
		want bool
	}{
		{nil, true}, {[]index.Entry{open}, false}, {[]index.Entry{open, stated}, true}, {[]index.Entry{stated, open}, false},
		{[]index.Entry{open, other, stated}, false}, {[]index.Entry{{LogIndex: 1, Kind: 9}}, false},
	} {
		if got := index.Resolved(c.list); got != c.want {
			t.Errorf("%v: got %t", c.list, got)
		}
	}
}

func FuzzParseProof(f *testing.F) {
	for i, p := range readVectors(f).Proofs {
		if i%20 == 0 {
			f.Add(unhex(f, p.Proof))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := index.ParseProof(data)
		if err != nil {
			return
		}
		if again := p.Append(nil); !slices.Equal(again, data) {
			t.Errorf("%x is read as %x", data, again)
		}
	})
}
