package main

import (
	"encoding/json"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/mod/sumdb/note"

	"github.com/avow-dev/avow/internal/bundletest"
)

// cosign is `cosign BUNDLE POLICY TIME N NAME...`: new witnesses cosign the bundle's checkpoint at a time, and POLICY is the
// policy that asks for N of them. One whose name begins with "-" is in the policy and does not answer.
func cosign(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 5 {
		ts.Fatalf("usage: cosign BUNDLE POLICY TIME N NAME...")
	}
	at, err := time.Parse(time.RFC3339, args[2])
	ts.Check(err)
	var b struct {
		Material struct {
			Entries []struct {
				Proof struct {
					Checkpoint struct{ Envelope string }
				} `json:"inclusionProof"`
			} `json:"tlogEntries"`
		} `json:"verificationMaterial"`
	}
	data := ts.ReadFile(args[0])
	ts.Check(json.Unmarshal([]byte(data), &b))
	checkpoint := b.Material.Entries[0].Proof.Checkpoint.Envelope
	body, _, _ := strings.Cut(checkpoint, "\n\n")
	var policy, members, lines strings.Builder
	for _, name := range args[4:] {
		bare := strings.TrimPrefix(name, "-")
		w := bundletest.NewWitness(bare)
		policy.WriteString("witness " + bare + " " + w.VKey() + "\n")
		members.WriteString(" " + bare)
		if bare != name {
			continue
		}
		signed, err := note.Sign(&note.Note{Text: body + "\n"}, w.At(at))
		ts.Check(err)
		lines.WriteString(strings.TrimPrefix(string(signed), body+"\n\n"))
	}
	policy.WriteString("group all-of-them " + args[3] + members.String() + "\nquorum all-of-them\n")
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(policy.String()), 0o600))
	old, err := json.Marshal(checkpoint)
	ts.Check(err)
	cosigned, err := json.Marshal(checkpoint + lines.String())
	ts.Check(err)
	if strings.Count(data, string(old)) != 1 {
		ts.Fatalf("%s does not hold its checkpoint as %s", args[0], old)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(data, string(old), string(cosigned), 1)), 0o600))
}
