package command

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/in-toto/in-toto-golang/in_toto"
	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest/evidence"
	"github.com/avow-dev/avow/attest/evidence/rebuild"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// evidenceRebuildFlags are the flags of evidence rebuild.
type evidenceRebuildFlags struct {
	options  rebuild.Options
	key, dir string
	out      evidenceFlags
}

func (a *app) evidenceRebuild() *cobra.Command {
	f := &evidenceRebuildFlags{}
	c := &cobra.Command{
		Use:   "rebuild PACKAGE --binary FILE",
		Short: "Build a Go program again and say whether the same bytes come out",
		Long: `Build a Go program from the source in this directory, with the toolchain and flags that the
binary's build info names, and compare the two byte by byte. Where they differ, the build info and
the sections that do are listed.

Only a fixed list of settings is taken from the binary, in a fixed form each; a binary with any
other is refused, so it cannot have the compiler called with arguments of its choice. The binary must
have been built with -trimpath. What such a build info does not say are linker flags: give --strip
for -s -w, and --define for -X. The environment is clean, the toolchain is the one on the path, and
modules are not downloaded without --download.

The document of -o is an in-toto statement over the rebuilt file with in-toto's link predicate; it is
written only if the two are equal. With --link-key the step is also recorded as a signed in-toto link
(rebuild.KEYID.link) for layouts.

Exit code 0: equal; 1: different; 2: could not be tried.` + evidenceHelp,
		Example: `  avow evidence rebuild ./cmd/app --binary app --strip -o rebuild.json --into no-backdoor.json
  avow evidence rebuild ./cmd/app --binary app --define main.version=1.2.3 --link-key functionary.pem`,
		Args: arguments(1, 1, "which program? give the directory of its main package"),
		RunE: func(c *cobra.Command, args []string) error {
			f.options.Pattern = args[0]
			return evidenceFailure(a.runEvidenceRebuild(c, f))
		},
	}
	o := c.Flags()
	o.StringVar(&f.options.Binary, "binary", "", "`FILE` to compare with")
	o.StringVarP(&f.options.Dir, "directory", "C", "", "`DIR` of the module (default the current one)")
	o.BoolVar(&f.options.Strip, "strip", false, "link with -s -w")
	o.StringArrayVar(&f.options.Definitions, "define", nil, "`PACKAGE.NAME=VALUE` for the linker's -X; may be repeated")
	o.BoolVar(&f.options.Download, "download", false, "let the go command download modules")
	o.BoolVar(&f.options.CGO, "cgo", false, "rebuild a program that was built with cgo, by this machine's C compiler")
	o.StringVar(&f.key, "link-key", "", "`FILE` with the PEM private key of an in-toto functionary")
	o.StringVar(&f.dir, "link-dir", ".", "`DIR` for the link")
	f.out.register(c, "rebuild")
	return c
}

func (a *app) runEvidenceRebuild(c *cobra.Command, f *evidenceRebuildFlags) error {
	if err := f.out.check(c); err != nil {
		return err
	}
	if f.options.Binary == "" {
		return usageFailure(c.CommandPath(), errors.New("compare with which file? give --binary"))
	}
	f.options.Environ = a.env.Environ
	r, err := rebuild.Run(c.Context(), f.options)
	if err != nil {
		return err
	}
	if err := a.printRebuild(r, f); err != nil {
		return err
	}
	if !r.Equal {
		return no()
	}
	if err := a.writeLink(r, f); err != nil {
		return err
	}
	document, err := r.Statement()
	if err != nil {
		return err
	}
	return a.keep(&f.out, evidence.KindRebuild, "application/vnd.in-toto+json", document)
}

func (a *app) printRebuild(r *rebuild.Result, f *evidenceRebuildFlags) error {
	if f.out.format.json() {
		return a.printJSON(r)
	}
	w := a.writer()
	if r.Equal {
		w.Line("%s  %s is what the source gives", w.Style(text.Green, "EQUAL"), text.Safe(f.options.Binary))
	} else {
		w.Line("%s  %s is not what the source gives", w.Style(text.Red, "DIFFERENT"), text.Safe(f.options.Binary))
	}
	w.Item("  ", 10, "package", text.Safe(r.Package))
	w.Item("  ", 10, "command", text.Safe(strings.Join(r.Command, " ")))
	w.Item("  ", 10, "with", text.Safe(r.Go+" "+strings.Join(r.Environment, " ")))
	w.Item("  ", 10, "binary", "sha256:"+r.Binary)
	w.Item("  ", 10, "rebuilt", "sha256:"+r.Rebuilt)
	for _, d := range r.Differences {
		w.Item("  ", 10, d.Part, text.Safe(fmt.Sprintf("%s: binary %q, rebuilt %q", d.Name, d.Binary, d.Rebuilt)))
	}
	return w.Err()
}

// writeLink writes the signed link, where there is a key.
func (a *app) writeLink(r *rebuild.Result, f *evidenceRebuildFlags) error {
	if f.key == "" {
		return nil
	}
	var key in_toto.Key
	if err := key.LoadKeyDefaults(f.key); err != nil {
		return failed("give an unencrypted PEM private key (PKCS #8), as in-toto functionaries have", "%s: %w", f.key, err)
	}
	if key.KeyVal.Private == "" {
		return failed("give the private key", "%s holds no private key", f.key)
	}
	link, name, err := r.Link(key)
	if err != nil {
		return err
	}
	path := filepath.Join(f.dir, name)
	if err := link.Dump(path); err != nil {
		return err
	}
	a.note("wrote %s", path)
	return nil
}
