package attest

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"testing"
)

// TestOwnFormReadsAsTheParser changes an envelope at every byte, and cuts and extends it: what the shortcut takes, the parser
// takes too, and reads the same.
func TestOwnFormReadsAsTheParser(t *testing.T) {
	payload, signature := []byte(`{"_type":"https://in-toto.io/Statement/v1"}`), bytes.Repeat([]byte{0x30, 0xfb}, 35)
	own := appendOwnForm(nil, payload, signature)
	if _, _, ok := decodeOwnForm(own); !ok {
		t.Fatal("the shortcut does not take its own form")
	}
	mutants := [][]byte{own, own[1:], own[:len(own)-1], append([]byte(" "), own...), append(bytes.Clone(own), '\n')}
	random := rand.New(rand.NewPCG(1, 2)) // #nosec G404 -- reproducible mutants
	for i := range own {
		for _, c := range []byte{own[i] ^ 1, own[i] ^ 0x20, '"', '\\', '=', 'A', byte(random.Uint32())} {
			m := bytes.Clone(own)
			m[i] = c
			mutants = append(mutants, m, append(bytes.Clone(own[:i]), own[i+1:]...))
		}
	}
	taken := 0
	for _, m := range mutants {
		p1, s1, ok := decodeOwnForm(m)
		if !ok {
			continue
		}
		taken++
		p2, s2, err := parseEnvelope(m)
		if err != nil || !bytes.Equal(p1, p2) || !bytes.Equal(s1, s2) {
			t.Errorf("%s: shortcut reads %q, %x; parser reads %q, %x, %v", m, p1, s1, p2, s2, err)
		}
	}
	if taken < 100 { // a changed base64 digit is another envelope, not an ill-formed one
		t.Errorf("the shortcut took %d mutants, want some hundreds: the comparison is empty", taken)
	}
	loose := bytes.Replace(own, []byte(base64.StdEncoding.EncodeToString(payload)), []byte(base64.RawStdEncoding.EncodeToString(payload)), 1)
	if _, _, ok := decodeOwnForm(loose); ok != bytes.Equal(loose, own) {
		t.Error("the shortcut takes base64 without padding")
	}
}
