package verify_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	fnote "github.com/transparency-dev/formats/note"

	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
)

func TestParseWitnessPolicy(t *testing.T) {
	log := bundletest.NewLog(t, "log.example.test", bundletest.Start).VKey(t)
	var keys []string
	for i := range verify.MaxWitnesses + 1 {
		keys = append(keys, bundletest.NewWitness(fmt.Sprintf("w%d.example.test", i)).VKey())
	}
	a, b, c := "witness a "+keys[0], "witness b "+keys[1], "witness c "+keys[2]
	renamed := func(vkey, name string) string { _, rest, _ := strings.Cut(vkey, "+"); return name + "+" + rest }
	many := func(n int, format string) (lines []string) {
		for i := range n {
			lines = append(lines, fmt.Sprintf(format, i, keys[i]))
		}
		return lines
	}
	chain := func(n int) (lines []string) { // of groups, each with the one before
		for i := range n {
			lines = append(lines, fmt.Sprintf("group g%d all g%d", i+1, i))
		}
		return lines
	}
	var logs []string
	for i := range verify.MaxWitnesses + 1 {
		logs = append(logs, "log "+bundletest.NewLog(t, fmt.Sprintf("l%d.example.test", i), bundletest.Start).VKey(t))
	}
	logKey := strings.SplitN(log, "+", 3)[2]
	mldsa, _, err := generateMLDSA("w.example.test")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		lines []string
		want  string // part of the error; empty if it is a policy
	}{
		"one witness":               {[]string{a, "quorum a"}, ""},
		"as in the specification":   {[]string{"log " + log, "", a, b, c, "group x 2 a b", "group y any c", "group z all x y", "quorum z"}, ""},
		"URLs":                      {[]string{"log " + log + " u", a + " http://[::1", "quorum a"}, ""},
		"tabs, spaces and comments": {[]string{" \t", "# \xff", "\t # x", "\twitness \t a  " + keys[0] + " ", "quorum a\t"}, ""},
		"names are octets":          {[]string{"witness \xe2\x84\xaa " + keys[0], "witness K " + keys[1], "witness \xff " + keys[2], "group # all K \xff", "quorum #"}, ""},
		"keywords as names":         {[]string{"witness any " + keys[0], "group all all any", "quorum all"}, ""},
		"a line after the quorum":   {[]string{a, "quorum a", b}, ""},
		"the most witnesses":        {append(many(verify.MaxWitnesses, "witness w%d %s"), "quorum w0"), ""},

		"nothing":                 {nil, "got 0 bytes"},
		"too much":                {[]string{"#" + strings.Repeat(" ", verify.MaxWitnessPolicyBytes)}, "want 1 to 65536"},
		"no quorum":               {[]string{a}, "no quorum line"},
		"quorum none":             {[]string{a, "quorum none"}, "line 2: quorum none asks for nothing"},
		"two quorums":             {[]string{a, "quorum a", "quorum a"}, "line 3: a second quorum line"},
		"quorum above":            {[]string{"quorum a", a}, `line 1: quorum "a" is not defined`},
		"unknown keyword":         {[]string{a, "quorums a"}, `line 2: unknown keyword "quorums"`},
		"keyword in capitals":     {[]string{a, "Quorum a"}, `line 2: unknown keyword`},
		"comment after a value":   {[]string{a, "quorum a # b"}, "line 2: quorum with 3 values"},
		"no name":                 {[]string{"witness " + keys[0], "quorum a"}, "line 1: witness with 1 values"},
		"two URLs":                {[]string{a + " u v", "quorum a"}, "line 1: witness with 4 values"},
		"two URLs of a log":       {[]string{"log " + log + " u v"}, "line 1: log with 3 values"},
		"an empty group":          {[]string{"group g all", "quorum g"}, "line 1: group with 2 values"},
		"threshold zero":          {[]string{a, "group g 0 a", "quorum g"}, `line 2: threshold "0"`},
		"threshold above members": {[]string{a, b, "group g 3 a b", "quorum g"}, `line 3: threshold "3" of a group with 2 members, want 1 to 2`},
		"threshold with a sign":   {[]string{a, "group g +1 a", "quorum g"}, `threshold "+1"`},
		"threshold with a zero":   {[]string{a, "group g 01 a", "quorum g"}, `threshold "01"`},
		"threshold in words":      {[]string{a, "group g most a", "quorum g"}, `threshold "most"`},
		"threshold too long":      {[]string{a, "group g 18446744073709551617 a", "quorum g"}, "threshold"},
		"a name twice":            {[]string{a, "witness a " + keys[1]}, `line 2: name "a" is taken`},
		"a group named as one":    {[]string{a, "group a all a"}, `line 2: name "a" is taken`},
		"a witness named none":    {[]string{"witness none " + keys[0]}, `line 1: name "none" is taken`},
		"none as a member":        {[]string{"group g all none"}, `line 1: member "none" is not defined`},
		"a key twice":             {[]string{a, "witness b " + keys[0]}, `line 2: the key of "w0.example.test" is listed already`},
		"a key under two names":   {[]string{a, "witness b " + rename(t, keys[0], "other.example.test")}, "line 2: the key of"},
		"a log twice":             {[]string{"log " + log, "log " + log}, "line 2: the key of"},
		"a log as a witness":      {[]string{"log " + log, "witness a " + asWitness(t, log)}, "line 2: the key of"},
		"a member twice":          {[]string{a, "group g 2 a a"}, `line 2: "a" is a member of a group already`},
		"a member of two groups":  {[]string{a, b, "group g any a b", "group h any a"}, `line 4: "a" is a member of a group already`},
		"a group in itself":       {[]string{"group g any g"}, `line 1: member "g" is not defined`},
		"groups in a circle":      {[]string{a, "group g any h", "group h any g"}, `line 2: member "h" is not defined`},
		"a key that is none":      {[]string{"witness a b"}, `line 1: key "b" is not NAME+HASH+BASE64`},
		"a log's key":             {[]string{"witness a " + log}, "line 1: key of \"log.example.test\" is of type 0x01, want 0x04"},
		"a witness's key":         {[]string{"log " + keys[0]}, "is of type 0x04, want 0x01"},
		"an ML-DSA key":           {[]string{"witness a " + mldsa}, "is of type 0x06, want 0x04"},
		"a short key":             {[]string{"witness a n+00000000+BAAA"}, "has 2 bytes, want 32"},
		"another name":            {[]string{"witness a " + renamed(keys[0], "x")}, `line 1: key hash of "x" is`},
		"hash in capitals":        {[]string{"witness a w+ABCDEF01+" + "BA" + logKey[2:]}, "key hash of"},
		"loose base64":            {[]string{"witness a " + loosen(t, bundletest.NewWitness("w").VKey())}, "is not NAME+HASH+BASE64"},
		"a key without a name":    {[]string{"witness a " + rename(t, keys[0], "")}, `key of ""`},
		"carriage return":         {[]string{a + "\r", "quorum a\r"}, "line 1: control character 0x0d"},
		"NUL":                     {[]string{a, "quorum a\x00"}, "line 2: control character 0x00"},
		"delete":                  {[]string{"#\x7f"}, "line 1: control character 0x7f"},
		"too many logs":           {logs, "line 65: more than 64 logs"},
		"too many groups":         {append([]string{a, "group g0 any a"}, chain(verify.MaxWitnesses)...), "line 66: more than 64 groups"},
		"the deepest groups":      {append(append([]string{a, "group g0 any a"}, chain(verify.MaxWitnesses-1)...), "quorum g63"), ""},
		"too many witnesses":      {many(verify.MaxWitnesses+1, "witness w%d %s"), "line 65: more than 64 witnesses"},
	} {
		t.Run(name, func(t *testing.T) {
			text := ""
			if test.lines != nil {
				text = strings.Join(test.lines, "\n") + "\n"
			}
			p, err := verify.ParseWitnessPolicy([]byte(text))
			if test.want == "" {
				if err != nil || p.Digest() == [32]byte{} {
					t.Errorf("got %v", err)
				}
				return
			}
			if p != nil || !errors.Is(err, verify.ErrWitnessPolicy) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	if _, err := verify.ParseWitnessPolicy([]byte(a + "\nquorum a")); err == nil || !strings.Contains(err.Error(), "line 2: does not end") {
		t.Errorf("no line feed at the end: got %v", err)
	}
}

// keyParts splits a vkey into its name and its key.
func keyParts(t testing.TB, vkey string) (string, []byte) {
	t.Helper()
	parts := strings.SplitN(vkey, "+", 3)
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	return parts[0], raw
}

// rename is the key under another name, with the hash that belongs to it.
func rename(t testing.TB, vkey, name string) string {
	t.Helper()
	_, raw := keyParts(t, vkey)
	return bundletest.VKey(name, raw)
}

// asWitness is a log's key written as a witness's.
func asWitness(t testing.TB, vkey string) string {
	t.Helper()
	name, raw := keyParts(t, vkey)
	return bundletest.VKey(name, append([]byte{0x04}, raw[1:]...))
}

// loosen sets a bit of base64 that means nothing. 33 bytes have none, so that the key grows by a byte.
func loosen(t testing.TB, vkey string) string {
	t.Helper()
	name, raw := keyParts(t, vkey)
	v := bundletest.VKey(name, append(raw, 0))
	return strings.TrimSuffix(v, "A==") + "B=="
}

func generateMLDSA(name string) (vkey, skey string, err error) {
	skey, vkey, err = fnote.GenerateMLDSAKey(name)
	return vkey, skey, err
}

// FuzzParseWitnessPolicy: whatever is a policy asks for something. A checkpoint without cosignatures never meets it, and one
// that all its possible witnesses cosigned is another matter; the text means the same with comments between its lines.
func FuzzParseWitnessPolicy(f *testing.F) {
	w := newWitnesses(f)
	x, y := "witness a "+w.w1.VKey()+"\n", "witness b "+w.w2.VKey()+" https://w.example.test\n"
	for _, seed := range []string{"", "quorum none\n", x + "quorum a\n", x + y + "group g 1 a b\nquorum g\n",
		"log " + w.Log.VKey(f) + "\n" + x + y + "# c\n\ngroup g all a\ngroup h any g b\nquorum h\n", x + "group g 0 a\nquorum g\n"} {
		f.Add([]byte(seed))
	}
	v := newVerifier(f, w.TrustedRoot())
	bare := w.cosigned(f)
	all := w.cosigned(f, w.w1.At(bundletest.Epoch), w.w2.At(bundletest.Epoch.Add(time.Second)))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := verify.ParseWitnessPolicy(text)
		if (p == nil) != (err != nil) || err != nil && !errors.Is(err, verify.ErrWitnessPolicy) {
			t.Fatalf("got %v, %v", p, err)
		}
		if err != nil {
			return
		}
		in := input(w.World, bare)
		in.Witnesses = p
		if verdictOf(t, v, in).Outcome == verify.Accepted {
			t.Fatalf("met by nothing: %q", text)
		}
		again, err := verify.ParseWitnessPolicy(bytes.ReplaceAll(text, []byte("\n"), []byte("\n#\n")))
		if err != nil {
			if len(text) < verify.MaxWitnessPolicyBytes/4 {
				t.Fatalf("with comments: %v", err)
			}
			return
		}
		in = input(w.World, all)
		in.Witnesses = p
		outcome := verdictOf(t, v, in).Outcome
		if in.Witnesses = again; verdictOf(t, v, in).Outcome != outcome {
			t.Fatalf("another meaning with comments: %q", text)
		}
	})
}

// TestDocumentedPolicy: the example in the documentation is a policy.
func TestDocumentedPolicy(t *testing.T) {
	_, rest, _ := strings.Cut(string(readFile(t, "../docs/witnesses.md")), "```text\n")
	text, _, found := strings.Cut(rest, "```")
	if _, err := verify.ParseWitnessPolicy([]byte(text)); err != nil || !found {
		t.Errorf("%v: %s", err, text)
	}
}
