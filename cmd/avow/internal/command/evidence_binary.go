package command

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest/evidence"
	"github.com/avow-dev/avow/attest/evidence/binscan"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
)

// evidenceBinaryFlags are the flags of evidence binary.
type evidenceBinaryFlags struct {
	declared string
	all      bool
	out      evidenceFlags
}

func (a *app) evidenceBinary() *cobra.Command {
	f := &evidenceBinaryFlags{}
	c := &cobra.Command{
		Use:   "binary FILE",
		Short: "Find hosts and credentials in a built program, and compare the hosts with the declared ones",
		Long: `Read a built program, of any language, without running it: the build info of Go programs, the
hosts, URLs and addresses that stand in its strings, and credentials that should not be there
(private keys, tokens of AWS, Google, GitHub, Slack and Stripe, passwords in URLs).

With --declared the hosts are compared with the endpoints of a data-flows statement, as rule W03
says: a host that is found and not declared is a likely omission. Hosts that are known to be no
peers, a licence's or an XML namespace, are listed with the reason (--all), never left out of the
document. Credentials are never printed: kind, place, length, and a fingerprint where it does not
help to guess them. What is put together at run time, compressed or encrypted is not found.

The statement is not verified here; verify does that.

Exit code 0: clean; 1: credentials, undeclared hosts, or more than a bound; 2: could not be read.` + evidenceHelp,
		Example: `  avow evidence binary app --declared data-flows.json
  avow evidence binary app --all -o strings.json --into no-backdoor.json`,
		Args: arguments(1, 1, "which file? give the built program"),
		RunE: func(c *cobra.Command, args []string) error { return a.runEvidenceBinary(c, args[0], f) },
	}
	o := c.Flags()
	o.StringVar(&f.declared, "declared", "", "`FILE` with the data-flows statement, or its bundle")
	o.BoolVar(&f.all, "all", false, "print the hosts of every class")
	f.out.register(c, "strings")
	return c
}

func (a *app) runEvidenceBinary(c *cobra.Command, path string, f *evidenceBinaryFlags) error {
	if err := f.out.check(c); err != nil {
		return err
	}
	options := binscan.Options{Tool: "avow " + buildVersion().Version}
	if f.declared != "" {
		statement, err := a.readStatement(f.declared)
		if err != nil {
			return about(f.declared, err)
		}
		if statement.DataFlows == nil {
			return failed("name the data-flows statement of the release", "%s is not a data-flows statement", f.declared)
		}
		options.Declared = statement
	}
	r, err := binscan.Scan(c.Context(), path, options)
	if err != nil {
		return err
	}
	document, err := r.JSON()
	if err != nil {
		return err
	}
	if f.out.format.json() {
		err = a.printDocument(document)
	} else {
		err = a.printBinary(r, path, f)
	}
	if err != nil {
		return err
	}
	if err := a.keep(&f.out, evidence.KindStatic, "application/json", document); err != nil {
		return err
	}
	if !r.Clean() {
		return no()
	}
	return nil
}

// readStatement reads a statement, bare or in a bundle, without verifying anything.
func (a *app) readStatement(path string) (*predicate.Statement, error) {
	data, err := a.readLimited(path, verify.MaxBundleBytes)
	if err != nil {
		return nil, err
	}
	if !isStatement(data) {
		u, err := readUnverified(data)
		if err != nil {
			return nil, err
		}
		data = u.payload
	}
	s, err := predicate.Parse(data, predicate.Consumption)
	if err != nil {
		return nil, failed("give a finished data-flows statement or its bundle", "%w", err)
	}
	return s, nil
}

func (a *app) printBinary(r *binscan.Result, path string, f *evidenceBinaryFlags) error {
	w := a.writer()
	w.Line("%s", w.Style(text.Bold, text.Safe(path)))
	w.Item("  ", 10, "file", fmt.Sprintf("%d bytes, sha256:%s", r.Size, r.SHA256))
	if b := r.Build; b != nil {
		w.Item("  ", 10, "built by", text.Safe(fmt.Sprintf("%s from %s, %d modules", b.Go, b.Main, len(b.Modules))))
	} else {
		w.Item("  ", 10, "built by", "unknown: no build info of Go")
	}
	count := map[binscan.Class]int{}
	for _, h := range r.Hosts {
		count[h.Class]++
	}
	if f.declared == "" {
		w.Item("  ", 10, "statement", "none: no host is declared")
	} else {
		w.Item("  ", 10, "statement", r.Statement)
	}
	w.Item("  ", 10, "hosts", fmt.Sprintf("%d undeclared, %d declared, %d documentation, %d pages of modules, %d local, %d not hosts",
		count[binscan.Undeclared], count[binscan.Declared], count[binscan.Documentation], count[binscan.ModulePage], count[binscan.Local],
		count[binscan.NotAHost]))
	if r.Truncated {
		w.Line("  %s", w.Style(text.Red, "INCOMPLETE: there is more than is listed"))
	}
	for _, h := range r.Hosts {
		if h.Class != binscan.Undeclared && !f.all {
			continue
		}
		label := string(h.Class)
		if h.Class == binscan.Undeclared && f.declared != "" {
			label = w.Style(text.Red, "W03")
		}
		parts := []string{h.Host, "(" + h.Via + " at " + strconv.FormatInt(h.Offset, 10) + ")", h.Example}
		if h.Why != "" {
			parts = append(parts, "-", h.Why)
		}
		w.Item("  ", 14, label, text.Safe(strings.Join(parts, " ")))
	}
	for _, s := range r.Secrets {
		fingerprint := "no fingerprint: it could be guessed"
		if s.Fingerprint != "" {
			fingerprint = "fingerprint " + s.Fingerprint
		}
		w.Item("  ", 14, w.Style(text.Red, "CREDENTIAL"), fmt.Sprintf("%s at %d, %d bytes, %s", s.Kind, s.Offset, s.Length, fingerprint))
	}
	return w.Err()
}
