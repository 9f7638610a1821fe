package tlog

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"

	formatsnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// FuzzWitnessAnswer asserts that no bytes of a witness count as a cosignature without its key, that a size is never larger
// than the log's, and that what is refused has a reason in words of this package.
func FuzzWitnessAnswer(f *testing.F) {
	public, _ := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize)).Public().(ed25519.PublicKey)
	vkey, err := note.NewEd25519VerifierKey("w.example", public)
	if err != nil {
		f.Fatal(err)
	}
	key, err := formatsnote.NewVerifierForCosignatureV1(vkey)
	if err != nil {
		f.Fatal(err)
	}
	id := testIdentity(f, "log.example", 1)
	checkpoint := testCheckpoint(f, id, 7, hash{1})
	f.Add(200, "text/plain", []byte("— w.example AAAA\n"))
	f.Add(409, "text/x.tlog.size", []byte("7\n"))
	f.Add(409, "text/x.tlog.size", []byte("18446744073709551615\n"))
	f.Add(422, "", []byte{})
	f.Fuzz(func(t *testing.T, status int, kind string, body []byte) {
		a := answer{status: status, kind: kind, body: body}
		a.judge(key, checkpoint)
		switch {
		case a.outcome == outcomeCosigned:
			t.Errorf("%d %q counts as a cosignature", status, body)
		case a.outcome == outcomeBehind:
			if s := strings.TrimSpace(string(body)); status != 409 || strings.TrimLeft(s, "0+") > "7" || len(strings.TrimLeft(s, "0+")) > 1 {
				t.Errorf("%d %q is taken for a size", status, body)
			}
		case a.outcome == outcomeNone || a.reason == "" || strings.ContainsAny(a.reason, "\x00\x1b\n"):
			t.Errorf("%d %q: outcome %q, reason %q", status, body, a.outcome, a.reason)
		}
	})
}
