package verify_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
)

func TestOpenCheckpoint(t *testing.T) {
	log, other := bundletest.NewLog(t, "index.example.test", bundletest.Start), bundletest.NewLog(t, "other.example.test", bundletest.Start)
	w := bundletest.NewWitness("witness.example.test")
	policy := func(lines ...string) *verify.WitnessPolicy {
		p, err := verify.ParseWitnessPolicy([]byte(strings.Join(append(lines, "witness w "+w.VKey(), "quorum w"), "\n") + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	key, err := verify.ParseLogKey(log.VKey(t))
	if err != nil || key.Origin() != log.Origin {
		t.Fatal(err)
	}
	cosigned := log.Checkpoint(t, w.At(bundletest.Epoch))
	cp, err := verify.OpenCheckpoint(cosigned, key, policy("log "+log.VKey(t)), bundletest.Epoch)
	if err != nil || cp.Size != uint64(log.Size()) || string(cp.Root[:]) != string(log.Root()) || !cp.WitnessedBy.Equal(bundletest.Epoch) || len(cp.Cosignatures) != 1 {
		t.Errorf("%v: %+v", err, cp)
	}
	if cp, err := verify.OpenCheckpoint(cosigned, key, nil, bundletest.Epoch); err != nil || !cp.WitnessedBy.IsZero() {
		t.Errorf("without a policy: %v, %+v", err, cp)
	}
	for name, c := range map[string]struct {
		text   string
		policy *verify.WitnessPolicy
		want   error
	}{
		"another log": {other.Checkpoint(t), nil, verify.ErrCheckpoint}, "empty": {"", nil, verify.ErrCheckpoint},
		"not canonical": {log.SignNote(t, strings.Replace(strings.SplitAfter(cosigned, "\n\n")[0], "\n5\n", "\n05\n", 1)), nil, verify.ErrCheckpoint},
		"too large":     {cosigned + strings.Repeat("x", verify.MaxCheckpointBytes), nil, verify.ErrCheckpoint},
		"no quorum":     {log.Checkpoint(t), policy(), verify.ErrQuorum}, "too late": {log.Checkpoint(t, w.At(bundletest.Epoch.Add(1e9))), policy(), verify.ErrQuorum},
		"another log's policy": {cosigned, policy("log " + other.VKey(t)), verify.ErrQuorum}, "an empty policy": {cosigned, &verify.WitnessPolicy{}, verify.ErrInput},
	} {
		if _, err := verify.OpenCheckpoint(c.text, key, c.policy, bundletest.Epoch); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for _, vkey := range []string{"", w.VKey(), log.VKey(t) + "x", "x" + log.VKey(t)} {
		if _, err := verify.ParseLogKey(vkey); !errors.Is(err, verify.ErrInput) {
			t.Errorf("%q: %v", vkey, err)
		}
	}
}

// TestCheckpointHasOneSpelling: every other spelling of the log's signature is refused, by whatever line it comes; the lines of others
// are their own.
func TestCheckpointHasOneSpelling(t *testing.T) {
	log := bundletest.NewLog(t, "index.example.test", bundletest.Start)
	key, err := verify.ParseLogKey(log.VKey(t))
	if err != nil {
		t.Fatal(err)
	}
	text := log.Checkpoint(t)
	if !strings.HasSuffix(text, "=\n") {
		t.Fatalf("the signature of 68 bytes ends without padding: %q", text)
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	last := len(text) - len("x=\n")
	loose := 0
	for _, c := range alphabet {
		m := text[:last] + string(c) + text[last+1:]
		_, err := verify.OpenCheckpoint(m, key, nil, bundletest.Epoch)
		switch same := strings.IndexRune(alphabet, c)/4 == strings.IndexByte(alphabet, text[last])/4; {
		case m == text && err != nil:
			t.Error(err)
		case m != text && !errors.Is(err, verify.ErrCheckpoint):
			t.Errorf("%q: %v, want %v", m[last:], err, verify.ErrCheckpoint)
		case m != text && same:
			loose++
			if !strings.Contains(err.Error(), "not in canonical base64") {
				t.Errorf("%q: %v", m[last:], err)
			}
		}
	}
	if loose != 3 {
		t.Errorf("%d other spellings of the same bytes were tried, want 3", loose)
	}
	_, line, _ := strings.Cut(text, "\n\n")
	other := text[:last] + string(alphabet[strings.IndexByte(alphabet, text[last])^1]) + text[last+1:]
	_, otherLine, _ := strings.Cut(other, "\n\n")
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"the line twice": {text + line, true}, "and in another spelling": {text + otherLine, false}, "first in another spelling": {other + line, false},
		"another name's": {text + strings.Replace(otherLine, log.Origin, "witness.example.test", 1), true},
	} {
		if _, err := verify.OpenCheckpoint(c.text, key, nil, bundletest.Epoch); (err == nil) != c.ok {
			t.Errorf("%s: %v, want it taken: %v", name, err, c.ok)
		}
	}
}

// TestCheckpointAgain: a checkpoint that was opened before is that one alone, and witnesses are asked about it each time.
func TestCheckpointAgain(t *testing.T) {
	log, w := bundletest.NewLog(t, "index.example.test", bundletest.Start), bundletest.NewWitness("witness.example.test")
	key, err := verify.ParseLogKey(log.VKey(t))
	if err != nil {
		t.Fatal(err)
	}
	policy, err := verify.ParseWitnessPolicy([]byte("witness w " + w.VKey() + "\nquorum w\n"))
	if err != nil {
		t.Fatal(err)
	}
	text := log.Checkpoint(t)
	for range 2 {
		cp, err := verify.OpenCheckpoint(text, key, nil, bundletest.Epoch)
		if err != nil || cp.Size != uint64(log.Size()) || string(cp.Root[:]) != string(log.Root()) {
			t.Fatalf("%v: %+v", err, cp)
		}
		if _, err := verify.OpenCheckpoint(text, key, policy, bundletest.Epoch); !errors.Is(err, verify.ErrQuorum) {
			t.Errorf("without its witness: %v", err)
		}
		for _, other := range []string{text[:len(text)-1], strings.Replace(text, "\n5\n", "\n6\n", 1), text + " "} {
			if _, err := verify.OpenCheckpoint(other, key, nil, bundletest.Epoch); !errors.Is(err, verify.ErrCheckpoint) {
				t.Errorf("%q after it: %v", other, err)
			}
		}
	}
	log.Append([]byte("one more"))
	if cp, err := verify.OpenCheckpoint(log.Checkpoint(t, w.At(bundletest.Epoch)), key, policy, bundletest.Epoch); err != nil || cp.Size != uint64(log.Size()) {
		t.Errorf("the next one: %v: %+v", err, cp)
	}
}
