package command

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest/evidence"
	"github.com/avow-dev/avow/attest/evidence/capability"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

func (a *app) evidenceDiff() *cobra.Command {
	f := &evidenceFlags{}
	c := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Show what packages of a Go program gained or lost between two releases",
		Long: `Compare two documents of ` + "`avow evidence go`" + `, usually of two releases: which packages can do
something now that they could not before, and which cannot any more. A package that now does
itself what it could only reach before has gained it too. The program as a whole is named first.

Both must be of the same program, platform and kind of analysis; others are refused, because what
is missing on another platform was not lost.

Exit code 0: nothing was gained; 1: something was gained; 2: could not be compared.` + evidenceHelp,
		Example: `  avow evidence diff 1.2.3/capabilities.json capabilities.json`,
		Args:    arguments(2, 2, "which documents? give the old one and the new one"),
		RunE:    func(c *cobra.Command, args []string) error { return a.runEvidenceDiff(c, args, f) },
	}
	f.register(c, "capabilities-diff")
	return c
}

func (a *app) runEvidenceDiff(c *cobra.Command, args []string, f *evidenceFlags) error {
	if err := f.check(c); err != nil {
		return err
	}
	before, _, err := a.readCapabilities(args[0])
	if err != nil {
		return err
	}
	after, _, err := a.readCapabilities(args[1])
	if err != nil {
		return err
	}
	d, err := capability.Compare(before, after)
	if err != nil {
		return failed("compare documents of one program, made with the same flags", "%w", err)
	}
	document, err := indentedJSON(d)
	if err != nil {
		return err
	}
	if f.format.json() {
		err = a.printDocument(document)
	} else {
		err = a.printCapabilityDiff(d, before)
	}
	if err != nil {
		return err
	}
	if err := a.keep(f, evidence.KindCapabilities, "application/json", document); err != nil {
		return err
	}
	if d.Gained() {
		return no()
	}
	return nil
}

func (a *app) printCapabilityDiff(d *capability.Difference, r *capability.Report) error {
	w := a.writer()
	gained := 0
	for _, change := range d.Changes {
		if change.Gained {
			gained++
		}
	}
	w.Line("%s", w.Style(text.Bold, text.Safe(r.Main)))
	w.Line("%d gained, %d lost", gained, len(d.Changes)-gained)
	last := "-"
	for _, change := range d.Changes {
		if change.Package != last {
			last = change.Package
			name := []string{text.Safe(change.Package)}
			switch {
			case change.Package == "":
				name[0] = "the whole program"
			case change.NewPackage:
				name = append(name, "(new)")
			case change.Removed:
				name = append(name, "(gone)")
			}
			w.Blank()
			w.Line("%s", strings.Join(name, " "))
		}
		label := "lost"
		if change.Gained {
			label = w.Style(text.Red, "GAINED")
		}
		how := "reaches "
		if change.Direct {
			how = "uses "
		}
		w.Item("  ", 8, label, how+string(change.Capability)+": "+joined(change.Path))
	}
	return w.Err()
}
