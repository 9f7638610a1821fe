package replay

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/avow-dev/avow/verify/index"
)

var update = flag.Bool("update", false, "write the vectors anew")

// vectorsPath is where verify/index and the checker in JavaScript read them.
const vectorsPath = "../testdata/vectors.json"

type vectors struct {
	Note   string        `json:"note"`
	Keys   []keyVector   `json:"keys"`
	Lists  []listVector  `json:"lists"`
	Proofs []proofVector `json:"proofs"`
	Roots  []rootVector  `json:"roots"`
}

// rootVector is a leaf of the index log: its members, or the code of the error.
type rootVector struct {
	Name string      `json:"name"`
	Leaf string      `json:"leaf"`
	Code string      `json:"code,omitempty"`
	Root *rootMember `json:"root,omitempty"`
}

type rootMember struct {
	Origin     string   `json:"origin"`
	Size       uint64   `json:"size"`
	Tree       string   `json:"tree"`
	Index      string   `json:"index"`
	Keys       uint64   `json:"keys"`
	Late       []uint64 `json:"late"`
	Unresolved []uint64 `json:"unresolved"`
}

type keyVector struct {
	Kind  string   `json:"kind"`
	Parts []string `json:"parts"`
	Key   string   `json:"key"`
}

type listVector struct {
	Entries []index.Entry `json:"entries"`
	Root    string        `json:"root"`
}

// proofVector is a proof with what it shows: "present", "absent", or the code of the error.
type proofVector struct {
	Name  string        `json:"name"`
	Root  string        `json:"root"`
	Key   string        `json:"key"`
	Proof string        `json:"proof"`
	Shows string        `json:"shows"`
	List  []index.Entry `json:"list,omitempty"`
}

// TestVectors: the vectors are those of this tree.
func TestVectors(t *testing.T) {
	v := vectors{
		Note: "docs/index.md; hexadecimal digits. Made by TestVectors of verify/index/replay.",
		Keys: keyVectors(), Lists: listVectors(), Proofs: proofVectors(), Roots: rootVectors(),
	}
	got, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(vectorsPath, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(vectorsPath)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("the vectors differ: a change of the format needs another version of it; then go test ./verify/index/replay -run TestVectors -update")
	}
}

func keyVectors() []keyVector {
	digest, issuer := "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "https://ïssuer.example"
	product := func(s string) keyVector { return keyVector{"product", []string{s}, index.ProductKey(s).String()} }
	return []keyVector{
		{"subject", []string{"sha256", digest}, index.SubjectKey("sha256", digest).String()},
		{"target", []string{"sha256:" + digest}, index.TargetKey("sha256:" + digest).String()},
		{"signer", []string{"sha256:" + digest}, index.SignerKey(index.KeySigner("sha256:" + digest)).String()},
		{"unresolved", []string{"sha256:" + digest}, index.UnresolvedKey(index.KeySigner("sha256:" + digest)).String()},
		{"identity", []string{issuer, "release@acme.example"}, index.SignerKey(index.IdentitySigner(issuer, "release@acme.example")).String()},
		{"identity", []string{issuer, "ü@acme.example"}, index.SignerKey(index.IdentitySigner(issuer, "ü@acme.example")).String()},
		product("pkg:generic/acme/fw"), product("pkg:generic/acme/fw@1.2?arch=arm#x"), product("pkg:npm/%40scope/name@1"),
		product("cpe:2.3:o:acme:fw:1:*:*:*:*:*:*:*"),
	}
}

func listVectors() []listVector {
	var all []listVector
	var entries []index.Entry
	for n := range uint64(9) {
		entries = append(entries, index.Entry{LogIndex: n * n << 33, Kind: index.Kind(n % 3 / 2)})
		root := index.ListValue(entries).Root
		all = append(all, listVector{slices.Clone(entries), hex.EncodeToString(root[:])})
	}
	return all
}

// proofVectors are proofs of small trees, and the same proofs spoilt in every way that a checker has to notice.
func proofVectors() []proofVector {
	var all []proofVector
	near := index.Key{}
	for _, size := range []int{0, 1, 2, 9} {
		t := &Tree{}
		var keys []index.Key
		for i := range size {
			k := index.SubjectKey("sha256", fmt.Sprint(i))
			if i%4 == 1 { // a key that shares all but the last bits with the one before
				k = near
				k[31] ^= 1
			}
			near = k
			keys = append(keys, k)
			for n := range i%3 + 1 {
				t.Add(k, index.Entry{LogIndex: uint64(10*i + n), Kind: index.Kind(n % 2)}) // #nosec G115 -- small
			}
		}
		v := t.Publish()
		for i := range 4 {
			k := index.TargetKey(fmt.Sprint(i))
			if i < size {
				k[31] = keys[i][31]
				copy(k[:i], keys[i][:i]) // absent, but near
			}
			keys = append(keys, k)
		}
		for i, k := range keys {
			all = append(all, proofVectorsOf(v, fmt.Sprintf("%d keys, key %d", size, i), k)...)
		}
	}
	return all
}

func proofVectorsOf(v *Version, name string, k index.Key) []proofVector {
	list, p := v.Lookup(k)
	root := v.Root()
	judge := func(name string, k index.Key, proof []byte) proofVector {
		x := proofVector{Name: name, Root: hex.EncodeToString(root[:]), Key: k.String(), Proof: hex.EncodeToString(proof)}
		x.Shows, x.List = shows(root, k, proof, list)
		return x
	}
	good := p.Append(nil)
	all := []proofVector{judge(name, k, good)}
	other := k
	other[31] ^= 1
	all = append(all, judge(name+", of another key", other, good))
	if p.Terminal == index.TerminalLeaf || p.Terminal == index.TerminalInner {
		all = append(all, judge(name+", of a key at its end", p.Other, good))
	}
	for _, at := range []int{1, 3, 4, len(good) / 2, len(good) - 1} {
		if at >= 0 && at < len(good) {
			all = append(all, judge(fmt.Sprintf("%s, byte %d", name, at), k, flipped(good, at)))
		}
	}
	return append(all, judge(name+", cut", k, good[:len(good)-1]), judge(name+", longer", k, append(slices.Clone(good), 0)))
}

func shows(root index.Hash, k index.Key, proof []byte, list []index.Entry) (string, []index.Entry) {
	p, err := index.ParseProof(proof)
	if err == nil {
		var value index.Value
		if value, err = p.Presence(root, k); err == nil && value == index.ListValue(list) {
			return "present", list
		}
		if p.Absence(root, k) == nil {
			return "absent", nil
		}
	}
	var e *index.Error
	if !errors.As(err, &e) {
		return fmt.Sprint(err), nil
	}
	return e.Code, nil
}

// rootVectors are leaves of the index log, and the same spoilt.
func rootVectors() []rootVector {
	root := index.Root{Origin: "log.example", Size: 9, Tree: index.EmptyRoot(), Index: index.Hash{31: 1}, Keys: 12}
	plain := string(root.Append(nil))
	root.Unresolved = []uint64{7, 8}
	unresolved := string(root.Append(nil))
	root.Late = []uint64{0, 4}
	both := string(root.Append(nil))
	replaced := func(from, to string) string { return strings.Replace(both, from, to, 1) }
	var all []rootVector
	for _, c := range [][2]string{
		{"plain", plain}, {"unresolved", unresolved}, {"both", both}, {"empty", ""}, {"cut", both[:len(both)-1]}, {"longer", both + "\n"},
		{"another version", replaced("index 1", "index 2")}, {"no origin", replaced("log.example", "")}, {"a space", replaced("log.", "log ")},
		{"leading zero", replaced("\n9\n", "\n09\n")}, {"too large", replaced("\n9\n", "\n9223372036854775808\n")}, {"loose base64", replaced("AAE=", "AAF=")},
		{"short", replaced("AAAA", "")}, {"falling", replaced("7 8", "8 7")}, {"twice", replaced("7 8", "8 8")}, {"beyond", replaced("7 8", "7 9")},
		{"nothing late", replaced("late 0 4\n", "late \n")}, {"two spaces", replaced("0 4", "0  4")}, {"unknown list", replaced("late", "lost")},
		{"another order", replaced("late 0 4\nunresolved 7 8\n", "unresolved 7 8\nlate 0 4\n")}, {"carriage return", replaced("\n", "\r\n")},
		{"a list twice", both + "unresolved 7 8\n"}, {"negative", replaced("\n12\n", "\n-1\n")}, {"a plus sign", replaced("\n12\n", "\n+12\n")},
	} {
		v := rootVector{Name: c[0], Leaf: c[1]}
		r, err := index.ParseRoot([]byte(c[1]))
		var e *index.Error
		if errors.As(err, &e) {
			v.Code = e.Code
		} else {
			list := func(numbers []uint64) []uint64 { return append([]uint64{}, numbers...) }
			v.Root = &rootMember{r.Origin, r.Size, hex.EncodeToString(r.Tree[:]), hex.EncodeToString(r.Index[:]), r.Keys, list(r.Late), list(r.Unresolved)}
		}
		all = append(all, v)
	}
	return all
}
