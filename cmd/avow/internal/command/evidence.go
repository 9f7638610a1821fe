package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest/evidence"
	"github.com/avow-dev/avow/attest/evidence/layout"
	"github.com/avow-dev/avow/attest/evidence/reach"
	"github.com/avow-dev/avow/attest/evidence/rebuild"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// evidenceHelp is the part of the help that these commands share.
const evidenceHelp = `

-o writes the answer as a JSON document and prints the entry by which a statement names it, with
its digest; --into appends that entry to the evidence of a draft, once. Keep the document: a
buyer compares it with the digest. Nothing is sent anywhere.`

func (a *app) evidence() *cobra.Command {
	c := &cobra.Command{
		Use:   "evidence",
		Short: "Make evidence of a no-backdoor statement from source, binaries and supply chains",
		Long: `A claim is worth more with something behind it that others can repeat. These commands look at
source, at the built program and at how it came to be, without running any of it, and write
documents that a statement names by digest as evidence:

  go       what the program can do: network, programs, files, unsafe, ... by package
  diff     what a release gained against the one before
  binary   hosts and credentials in a built program, against the declared data flows
  rebuild  whether the source gives exactly this binary
  layout   whether an in-toto supply chain was followed`,
		Example: `  avow evidence go ./cmd/app -o capabilities.json --into no-backdoor.json
  avow evidence binary app --declared data-flows.json -o strings.json --into no-backdoor.json
  avow evidence rebuild ./cmd/app --binary app -o rebuild.json --into no-backdoor.json`,
		Args: knownCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },

		SuggestionsMinimumDistance: 2,
	}
	c.AddCommand(a.evidenceGo(), a.evidenceDiff(), a.evidenceBinary(), a.evidenceRebuild(), a.evidenceLayout())
	return c
}

// evidenceFlags are the flags about the document and its entry.
type evidenceFlags struct {
	output, into, id string
	force            bool
	format           format
}

func (f *evidenceFlags) register(c *cobra.Command, id string) {
	o := c.Flags()
	o.StringVarP(&f.output, "output", "o", "", "`FILE` to write the document to")
	o.StringVar(&f.into, "into", "", "draft `FILE` to append the evidence entry to")
	o.StringVar(&f.id, "id", id, "`ID` of the evidence entry")
	o.BoolVar(&f.force, "force", false, "replace the file of -o")
	f.format.register(c)
}

// check refuses flags that cannot go together, before any work.
func (f *evidenceFlags) check(c *cobra.Command) error {
	if f.into != "" && (f.output == "" || f.output == "-") {
		return usageFailure(c.CommandPath(), errors.New("--into names the document by digest: write it with -o FILE"))
	}
	return nil
}

// keep writes the document, prints its entry and puts it into the draft.
func (a *app) keep(f *evidenceFlags, kind, mediaType string, document []byte) error {
	if f.output == "" {
		return nil
	}
	if err := replaceFile(f.output, document, f.force); err != nil {
		return err
	}
	e := evidence.Entry(f.id, kind, filepath.Base(f.output), mediaType, document)
	return a.named(f, e)
}

// named prints an entry and puts it into the draft.
func (a *app) named(f *evidenceFlags, e predicate.Evidence) error {
	if f.format.json() {
		a.note("evidence %s: %s sha256:%s", e.ID, e.Kind, e.Resource.Digest["sha256"])
	} else {
		fmt.Fprintln(a.env.Stdout, "\nEvidence entry:")
		if err := a.printJSON(e); err != nil {
			return err
		}
	}
	if f.into == "" {
		return nil
	}
	return a.insert(f.into, e)
}

// insert appends an entry to the evidence of the draft in a file, once.
func (a *app) insert(path string, e predicate.Evidence) error {
	draft, err := a.readLimited(path, predicate.MaxStatementBytes)
	if err != nil {
		return err
	}
	changed, did, err := evidence.Into(draft, e)
	if err != nil {
		return failed("give a draft as `avow draft` writes it", "%s: %w", path, err)
	}
	if !did {
		a.note("%s names this document already", text.Safe(path))
		return nil
	}
	if err := writeFile(path, changed, 0o644); err != nil {
		return err
	}
	a.note("appended the entry to %s", text.Safe(path))
	return nil
}

// evidenceFailure gives the errors of the packages of evidence their exit code and hint.
func evidenceFailure(err error) error {
	var (
		source *reach.Error
		again  *rebuild.Error
		chain  *layout.Error
	)
	switch {
	case errors.As(err, &source):
		return &failure{code: exitError, err: err, hint: source.Hint}
	case errors.As(err, &again):
		return &failure{code: exitError, err: fmt.Errorf("%s: %w", again.Code, err), hint: again.Hint}
	case errors.As(err, &chain):
		code := exitError
		if chain.Answered() {
			code = exitNo
		}
		return &failure{code: code, err: fmt.Errorf("%s: %w", chain.Code, err), hint: chain.Hint}
	}
	return err
}

// printDocument prints a document as it is written to files, but for characters that a terminal could obey.
func (a *app) printDocument(document []byte) error {
	_, err := a.env.Stdout.Write([]byte(text.EscapeJSON(string(document))))
	return err
}

// indentedJSON is the form of the documents.
func indentedJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// short is a digest's beginning, for people.
func short(sha256 string) string { return "sha256:" + sha256[:min(16, len(sha256))] + "..." }

// joined is a path of a call graph, on one line.
func joined(path []string) string { return text.Safe(strings.Join(path, " > ")) }
