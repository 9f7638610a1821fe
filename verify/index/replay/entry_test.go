package replay

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify/index"
)

const examples = "../../../testdata/vectors/v1/"

func parse(t *testing.T, file string) *predicate.Statement {
	t.Helper()
	data, err := os.ReadFile(filepath.FromSlash(examples + file))
	if err != nil {
		t.Fatal(err)
	}
	st, err := predicate.Parse(data, predicate.Consumption)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func sorted(keys ...index.Key) []index.Key {
	slices.SortFunc(keys, index.Key.Compare)
	return slices.Compact(keys)
}

// subjects are the keys of all digests of all subjects.
func subjects(st *predicate.Statement) (keys []index.Key) {
	for _, s := range st.Subjects {
		for alg, digest := range s.Digest {
			keys = append(keys, index.SubjectKey(alg, digest))
		}
	}
	return keys
}

func TestKeys(t *testing.T) {
	flows, withdrawal := parse(t, "data-flows/valid/minimal-data-flows.json"), parse(t, "withdrawal/valid/minimal-withdrawal.json")
	answer, digests := parse(t, "dispute/valid/dispute-answered.json"), parse(t, "data-flows/valid/subject-with-more-digests.json")
	successor := *flows
	changed := *flows.DataFlows
	changed.Common.Supersedes = []predicate.StatementRef{{Digest: map[string]string{"sha256": "aa"}}, {Digest: map[string]string{"sha256": "bb"}}}
	successor.DataFlows = &changed
	product := index.ProductKey("pkg:generic/example-gateway")
	for name, c := range map[string]struct {
		st   *predicate.Statement
		want []index.Key
	}{
		"data flows": {flows, append(subjects(flows), product)},
		"withdrawal": {withdrawal, append(subjects(withdrawal), index.TargetKey(withdrawal.Target().ID()))},
		"answer to a dispute": {answer, append(subjects(answer), index.TargetKey(answer.Target().ID()),
			index.TargetKey(answer.Dispute.Thread.ID()))},
		"more digests": {digests, append(subjects(digests), product)},
		"successor":    {&successor, append(subjects(flows), product, index.TargetKey("sha256:aa"), index.TargetKey("sha256:bb"))},
	} {
		if got := Keys(c.st); !slices.Equal(got, sorted(c.want...)) {
			t.Errorf("%s: got %v, want %v", name, got, sorted(c.want...))
		}
	}
	if n := len(Keys(digests)); n != 4 {
		t.Errorf("a subject with three digests and a product give %d keys, want 4", n)
	}
}

// TestUnresolvedEntry: what has no statement is listed under its signer alone, and as a whole once there is one.
func TestUnresolvedEntry(t *testing.T) {
	st := parse(t, "withdrawal/valid/minimal-withdrawal.json")
	signer := index.KeySigner("sha256:11")
	list, open, target := index.SignerKey(signer), index.UnresolvedKey(signer), index.TargetKey(st.Target().ID())
	var tree Tree
	tree.Index(LogEntry{Index: 7, Signer: signer})
	before := tree.Publish()
	tree.Index(LogEntry{Index: 8, Signer: signer, Statement: parse(t, "dispute/valid/minimal-dispute.json")})
	tree.Index(LogEntry{Index: 7, Signer: signer, Statement: st, Late: true})
	after := tree.Publish()
	unresolved, stated := index.Entry{LogIndex: 7, Kind: index.Unresolved}, index.Entry{LogIndex: 7}
	for _, c := range []struct {
		name string
		v    *Version
		key  index.Key
		want []index.Entry
	}{
		{"signer, before", before, list, []index.Entry{unresolved}},
		{"unresolved, before", before, open, []index.Entry{unresolved}},
		{"target, before", before, target, nil},
		{"signer, after", after, list, []index.Entry{unresolved, {LogIndex: 8}, stated}},
		{"unresolved, after", after, open, []index.Entry{unresolved, stated}},
		{"target, after", after, target, []index.Entry{{LogIndex: 8}, stated}},
	} {
		got, _ := c.v.Lookup(c.key)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
		if c.key == open && index.Resolved(got) != (c.v == after) {
			t.Errorf("%s: resolved %t", c.name, index.Resolved(got))
		}
	}
}
