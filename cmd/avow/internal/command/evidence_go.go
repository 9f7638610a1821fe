package command

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest/evidence"
	"github.com/avow-dev/avow/attest/evidence/capability"
	"github.com/avow-dev/avow/attest/evidence/reach"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// evidenceGoFlags are the flags of evidence go.
type evidenceGoFlags struct {
	options reach.Options
	all     bool
	out     evidenceFlags
}

func (a *app) evidenceGo() *cobra.Command {
	f := &evidenceGoFlags{}
	c := &cobra.Command{
		Use:   "go PACKAGE",
		Short: "Find what a Go program can do, by package, from its source",
		Long: `Find which packages of a Go program can reach the network, start programs, write files, use
unsafe memory, system calls, reflection, plugins, C or assembly, and by which path of calls.

The answer is an upper bound: everything that some run could do is found, and ways that no run
takes may be among it. "uses" marks what a package does itself, "reaches" what it does through
others. What Go's standard library does is a table, and not followed: otherwise every program
that prints a line reaches a system call. docs/evidence.md says exactly what is followed.

The go command of the path lists and compiles the packages; nothing of them is run. Modules are
not downloaded without --download. The same source, flags and Go version give the same document,
byte for byte. --imports looks at imports alone: a second instead of a minute, and coarser.

Exit code 0: analysed; 2: could not be analysed.` + evidenceHelp,
		Example: `  avow evidence go ./cmd/app -o capabilities.json --into no-backdoor.json
  avow evidence go ./cmd/app --goos windows --tags netgo --all
  avow evidence go ./cmd/app --imports --format json`,
		Args: arguments(1, 1, "which program? give the directory of its main package"),
		RunE: func(c *cobra.Command, args []string) error {
			f.options.Pattern = args[0]
			return evidenceFailure(a.runEvidenceGo(c, f))
		},
	}
	o := c.Flags()
	o.StringVarP(&f.options.Dir, "directory", "C", "", "`DIR` of the module (default the current one)")
	o.StringSliceVar(&f.options.Tags, "tags", nil, "build `TAGS`, with commas")
	o.StringVar(&f.options.GOOS, "goos", "", "operating `SYSTEM` of the build (default this one)")
	o.StringVar(&f.options.GOARCH, "goarch", "", "`ARCHITECTURE` of the build (default this one)")
	o.BoolVar(&f.options.CGO, "cgo", false, "analyse the build with cgo, which needs a C compiler")
	o.BoolVar(&f.options.Imports, "imports", false, "look at imports alone")
	o.BoolVar(&f.options.Download, "download", false, "let the go command download modules")
	o.BoolVar(&f.all, "all", false, "print every package, also those that only reach a capability through others")
	f.out.register(c, "capabilities")
	return c
}

func (a *app) runEvidenceGo(c *cobra.Command, f *evidenceGoFlags) error {
	if err := f.out.check(c); err != nil {
		return err
	}
	f.options.Environ, f.options.Tool = a.env.Environ, "avow "+buildVersion().Version
	r, err := reach.Analyze(c.Context(), f.options)
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
		err = a.printCapabilities(r, f.all)
	}
	if err != nil {
		return err
	}
	return a.keep(&f.out, evidence.KindCapabilities, "application/json", document)
}

func (a *app) printCapabilities(r *capability.Report, all bool) error {
	w := a.writer()
	w.Line("%s can", w.Style(text.Bold, text.Safe(r.Main)))
	w.Item("  ", 14, "build", text.Safe(strings.Join([]string{r.Go, r.GOOS + "/" + r.GOARCH, strings.Join(r.Tags, ",")}, " ")))
	w.Item("  ", 14, "source", short(r.Sources))
	if len(r.Capabilities) == 0 {
		w.Line("  nothing that is looked for")
	}
	for _, u := range r.Capabilities {
		w.Item("  ", 14, string(u.Capability), joined(u.Path))
	}
	for _, p := range r.Packages {
		var uses, reaches []string
		for _, u := range p.Capabilities {
			if u.Direct {
				uses = append(uses, string(u.Capability))
			} else {
				reaches = append(reaches, string(u.Capability))
			}
		}
		if len(uses) == 0 && (!all || len(reaches) == 0) {
			continue
		}
		w.Blank()
		w.Line("%s", text.Safe(p.Path))
		if len(uses) > 0 {
			w.Item("  ", 14, "uses", strings.Join(uses, ", "))
		}
		if all && len(reaches) > 0 {
			w.Item("  ", 14, "reaches", strings.Join(reaches, ", "))
		}
	}
	return w.Err()
}

// readCapabilities reads a report.
func (a *app) readCapabilities(path string) (*capability.Report, []byte, error) {
	data, err := a.readLimited(path, capability.MaxReportBytes)
	if err != nil {
		return nil, nil, err
	}
	r, err := capability.Parse(data)
	if err != nil {
		return nil, nil, failed("give a document that `avow evidence go -o` wrote", "%s: %w", path, err)
	}
	return r, data, nil
}
