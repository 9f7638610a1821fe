package command

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/evidence"
	"github.com/avow-dev/avow/attest/evidence/layout"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// evidenceLayoutFlags are the flags of evidence layout verify.
type evidenceLayoutFlags struct {
	options layout.Options
	out     evidenceFlags
}

func (a *app) evidenceLayout() *cobra.Command {
	c := &cobra.Command{
		Use:   "layout",
		Short: "Verify in-toto layouts",
		Long: `An in-toto layout says who may do which step of a supply chain, and what each step may take from
the one before; links, signed by those who did the steps, show that it was so.`,
		Example: `  avow evidence layout verify --layout root.layout --layout-key owner.pub --links links/`,
		Args:    knownCommand,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.evidenceLayoutVerify())
	return c
}

func (a *app) evidenceLayoutVerify() *cobra.Command {
	f := &evidenceLayoutFlags{}
	c := &cobra.Command{
		Use:   "verify",
		Short: "Verify an in-toto layout and its links, without running anything",
		Long: `Verify an in-toto layout: that every given owner's key has signed it, that it has not expired, that
each step has links signed by enough of those who may do it, and that its rules about materials and
products hold. With --artifact the file must be a product of the last step.

Verifying a layout by in-toto's own tools runs its inspections: commands that whoever wrote the
layout chose, on your machine. Here nothing is run. A layout with inspections is refused
(LAYOUT_INSPECTIONS), and so are sublayouts, parameters that nobody substitutes, steps named like a
path or a pattern, and certificate constraints. docs/evidence.md lists the codes.

Exit code 0: it holds; 1: it does not; 2: refused, or could not be read.

--into names the layout itself, as evidence of kind document.`,
		Example: `  avow evidence layout verify --layout root.layout --layout-key owner.pub --links links/
  avow evidence layout verify --layout root.layout --layout-key owner.pub --links links/ \
      --artifact app --into no-backdoor.json`,
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error { return evidenceFailure(a.runEvidenceLayout(c, f)) },
	}
	o := c.Flags()
	o.StringVar(&f.options.Layout, "layout", "", "`FILE` with the layout")
	o.StringArrayVar(&f.options.Keys, "layout-key", nil, "PEM `FILE` with the public key of an owner; may be repeated, all must have signed")
	o.StringVar(&f.options.Links, "links", "", "`DIR` with the links")
	o.StringVar(&f.options.Artifact, "artifact", "", "`FILE` that must be a product of the last step")
	o.StringVar(&f.out.into, "into", "", "draft `FILE` to append the evidence entry to")
	o.StringVar(&f.out.id, "id", "layout", "`ID` of the evidence entry")
	f.out.format.register(c)
	return c
}

func (a *app) runEvidenceLayout(c *cobra.Command, f *evidenceLayoutFlags) error {
	if f.options.Layout == "" || f.options.Links == "" || len(f.options.Keys) == 0 {
		return usageFailure(c.CommandPath(), errors.New("give --layout, --layout-key and --links"))
	}
	f.options.Now = a.env.Now()
	r, err := layout.Verify(f.options)
	if err != nil {
		return err
	}
	if f.out.format.json() {
		err = a.printJSON(r)
	} else {
		err = a.printLayout(r, f.options.Layout)
	}
	if err != nil {
		return err
	}
	found, err := attest.ReadInToto(f.options.Layout)
	if err != nil {
		return err
	}
	if found.SHA256 != r.SHA256 {
		return failed("run it again", "%s changed while it was verified", f.options.Layout)
	}
	return a.named(&f.out, predicate.Evidence{ID: f.out.id, Kind: evidence.KindDocument, Resource: found.Resource()})
}

func (a *app) printLayout(r *layout.Result, path string) error {
	w := a.writer()
	w.Line("%s  %s", w.Style(text.Green, "HOLDS"), text.Safe(path))
	w.Item("  ", 10, "layout", "sha256:"+r.SHA256)
	w.Item("  ", 10, "until", text.Safe(r.Expires))
	for _, s := range r.Steps {
		line := fmt.Sprintf("%s: by %d of %d needed (%s)", s.Name, len(s.Functionaries), s.Threshold, strings.Join(s.Functionaries, ", "))
		if s.OtherCommand {
			line += "; another command was run than the layout expects"
		}
		w.Item("  ", 10, "step", text.Safe(line))
	}
	if r.Artifact != "" {
		w.Item("  ", 10, "artifact", "sha256:"+r.Artifact)
	}
	return w.Err()
}
