package tlog_test

import (
	"bytes"
	"crypto/ed25519"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/avow-dev/avow/server/tlog"
)

func TestWitnessPolicy(t *testing.T) {
	vkey := func(i int, name string) string {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i)}, ed25519.SeedSize))
		v, err := note.NewEd25519VerifierKey(name, key.Public().(ed25519.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	a, b := "witness a "+vkey(1, "a.example"), "witness b "+vkey(2, "b.example")
	const at = " https://w.example/"
	for _, test := range []struct{ name, text, want string }{
		{"one witness", a + at + "\nquorum a\n", ""},
		{"a group", a + at + "1\n" + b + " http://127.0.0.1:1/\ngroup g 2 a b\nquorum g\n", ""},
		{"no quorum line", a + at + "\n", "must define a quorum"},
		{"quorum of nobody", a + at + "\nquorum none\n", "needs no witness"},
		{"group of nobody", a + at + "\ngroup g 0 a\nquorum g\n", "needs no witness"},
		{"inner group of nobody", a + at + "\ngroup h 0 a\ngroup g 1 h\nquorum g\n", "needs no witness"},
		{"more than there are", a + at + "\ngroup g 2 a\nquorum g\n", "cannot have threshold 2"},
		{"the same twice", a + at + "\ngroup g 2 a a\nquorum g\n", "counts twice"},
		{"in two groups", a + at + "1\n" + b + at + "2\ngroup g 1 a\ngroup h 2 a b\ngroup q 2 g h\nquorum q\n", "counts twice"},
		{"one key under two names", a + at + "1\nwitness b " + vkey(1, "b.example") + at + "2\ngroup g 2 a b\nquorum g\n", "have one key"},
		{"one name with two keys", a + at + "1\nwitness b " + vkey(2, "a.example") + at + "2\ngroup g 2 a b\nquorum g\n", "counts twice"},
		{"one address", a + at + "\n" + b + at + "\ngroup g 2 a b\nquorum g\n", "have one URL"},
		{"no address", a + "\nquorum a\n", "invalid witness definition"},
		{"plain http elsewhere", a + " http://w.example/\nquorum a\n", "https, or http on this machine"},
		{"another scheme", a + " file:///etc/\nquorum a\n", "must have a host"},
		{"user information", a + " https://u:p@w.example/\nquorum a\n", "user information"},
		{"too large", strings.Repeat("#\n", tlog.MaxWitnessPolicyBytes), "bytes, want at most"},
		{"garbage", "\x00\xff", "unknown keyword"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := testConfig(t.TempDir())
			cfg.WitnessPolicy = []byte(test.text)
			err := cfg.Validate()
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantCode(t, err, tlog.CodeInvalidConfig)
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	cfg := testConfig(filepath.Join(t.TempDir()))
	cfg.WitnessTimeout = time.Minute
	wantCode(t, cfg.Validate(), tlog.CodeInvalidConfig)
}

// FuzzWitnessPolicy asserts that a policy that is accepted asks for somebody, and that an uncosigned checkpoint never
// satisfies it.
func FuzzWitnessPolicy(f *testing.F) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	v, err := note.NewEd25519VerifierKey("a.example", key.Public().(ed25519.PublicKey))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("witness a " + v + " https://w.example/\nquorum a\n"))
	f.Add([]byte("witness a " + v + " https://w.example/\ngroup g any a # c\nquorum g\n"))
	f.Add([]byte("quorum none\n"))
	cfg := testConfig("/nowhere")
	f.Fuzz(func(t *testing.T, text []byte) {
		cfg := cfg
		cfg.WitnessPolicy = text
		w, err := tlog.NewWitnesses(t.Context(), cfg)
		if (err == nil) != (cfg.Validate() == nil) {
			t.Fatalf("%q: %v, validated: %v", text, err, cfg.Validate())
		}
		if err != nil || len(text) == 0 {
			return
		}
		defer w.Close()
		if w.SatisfiedForTest([]byte("a.example\n0\n\n\n")) {
			t.Errorf("%q needs nobody", text)
		}
	})
}

// TestNoWitnesses: a log without a policy connects to nobody.
func TestNoWitnesses(t *testing.T) {
	s := newWitnessServer(t, 1)
	for _, policy := range [][]byte{nil, policyOf(1, newWitnessServer(t, 2))} {
		cfg := testConfig(t.TempDir())
		cfg.WitnessPolicy = policy
		w, err := tlog.NewWitnesses(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		resp, err := w.Client().Get("http://" + s.addr + "/add-checkpoint")
		if err == nil {
			resp.Body.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "not the URL of a witness") {
			t.Errorf("got %v", err)
		}
	}
}
