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
