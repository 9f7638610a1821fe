package command

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest/draft"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// draftFrom makes flows of the files of --from, and asks what they do not say.
func (a *app) draftFrom(c *cobra.Command, kind string, f *draftFlags) error {
	switch {
	case kind != "data-flows" && (len(f.from) > 0 || f.interact):
		return usageFailure(c.CommandPath(), errors.New("--from and --interactive are for data-flows"))
	case f.interact && len(f.from) == 0:
		return usageFailure(c.CommandPath(), errors.New("--interactive asks about the flows of --from"))
	case slices.Contains(f.from, "-") && f.interact:
		return usageFailure(c.CommandPath(), errors.New("--interactive reads the answers from standard input; --from - does not go with it"))
	case len(f.from) == 0:
		return nil
	}
	o := &f.options
	var sources []*draft.Findings
	used := map[string]bool{}
	for i := range o.Evidence {
		used[o.Evidence[i].ID] = true
	}
	for _, path := range f.from {
		findings, err := a.readSource(path, o, used)
		if err != nil {
			return about(path, err)
		}
		sources = append(sources, findings)
	}
	var err error
	if o.Flows, err = draft.Compose(sources); err != nil {
		return failed("give fewer files, or observe one program at a time", "%w", err)
	}
	if len(o.Flows) == 0 {
		return failed("without --from there is one flow as a pattern; a product without traffic has networkUse none", "nothing in %s is a flow",
			strings.Join(f.from, ", "))
	}
	seen := func(s *draft.Findings) bool { return s.Observed }
	if o.Like == nil && !slices.ContainsFunc(sources, func(s *draft.Findings) bool { return !s.AsShipped }) {
		o.Scope = &predicate.Scope{Configuration: "asShipped"}
	}
	if f.interact {
		if o.Scope == nil && o.Like == nil {
			o.Scope = &predicate.Scope{Configuration: predicate.PlaceholderOf("configuration", "")}
		}
		// What was seen is no proof of what is not there.
		o.Completeness = &predicate.Completeness{Level: "partial", Methods: []string{"designDocuments"}}
		if slices.ContainsFunc(sources, seen) {
			o.Completeness.Methods[0] = "flowCapture"
		}
		return a.interview(o)
	}
	return nil
}

// readSource reads one file, and names it as evidence.
func (a *app) readSource(path string, o *predicate.DraftOptions, used map[string]bool) (*draft.Findings, error) {
	data, err := a.readLimited(path, draft.MaxFileBytes)
	if err != nil {
		return nil, err
	}
	// A signed observation is taken out of its bundle: a draft believes nobody, so nobody is asked who signed it.
	if u, err := readUnverified(data); err == nil && observation.IsObservation(u.payload) {
		data = u.payload
	}
	findings, err := draft.Read(data)
	if err != nil {
		return nil, failed("give an observation, a CycloneDX document in JSON, a Threagile model or a HAR file", "%w", err)
	}
	if len(o.Subjects) == 0 {
		o.Subjects = findings.Subjects
	}
	for _, note := range findings.Notes {
		a.note("%s: %s", text.Safe(path), text.Safe(note))
	}
	if path == "-" {
		return findings, nil // nobody could name it again
	}
	digest := sha256.Sum256(data)
	name := filepath.Base(path)
	o.Evidence = append(o.Evidence, predicate.Evidence{ID: evidenceID(name, used), Kind: findings.Kind,
		Resource: &predicate.ResourceDescriptor{Name: name, Digest: map[string]string{"sha256": hex.EncodeToString(digest[:])}}})
	return findings, nil
}

// tries is how often a question is asked before its places are left open.
const tries = 3

// interview asks at the terminal. The end of the input leaves what is open open.
func (a *app) interview(o *predicate.DraftOptions) error {
	lines := bufio.NewScanner(a.env.Stdin)
	questions := draft.Questions(o)
	w := text.NewWriter(a.env.Stderr, false, a.env.Width)
	for n := range questions {
		q := &questions[n]
		w.Paragraph("", fmt.Sprintf("%d of %d: %s", n+1, len(questions), text.Safe(q.Text)))
		w.Paragraph("  ", text.Safe(q.Form))
		for try := 1; try <= tries; try++ {
			if !lines.Scan() {
				return lines.Err()
			}
			err := q.Answer(lines.Text())
			if err == nil {
				break
			}
			if a.note("  %s", text.Safe(err.Error())); try == tries {
				a.note("  left to fill in")
			}
		}
	}
	return nil
}
