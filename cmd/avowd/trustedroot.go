package main

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"text/template"
	"time"

	"github.com/avow-dev/avow/internal/trustroot"
	"github.com/avow-dev/avow/server"
	"github.com/avow-dev/avow/server/authority"
	"github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/spf13/cobra"
)

// rootEdit is what trusted-root is asked for.
type rootEdit struct {
	output, retire, end, add string
	remove                   []string
	show, inPlace            bool
}

func newTrustedRootCommand() *cobra.Command {
	var config string
	e := &rootEdit{}
	cmd := &cobra.Command{
		Use:   "trusted-root --config F [--show | --retire REF --end TIME | --remove REF | --add ROOT] [-o FILE | --in-place]",
		Short: "Show, extend and edit what buyers need to verify",
		Long: `Write the configured trusted root with this log's key and every authority of the configuration added where it is missing.
What changes is said in words on standard error; the root goes to standard output, to a new file with -o, or with --in-place over the
configured one. Restart the service afterwards.

--show lists the entries with their windows and states: announced, in use, ended.
--retire REF --end TIME closes a window: what was signed until then goes on verifying.
--remove REF takes a stolen key out: nothing that it ever signed verifies any more.
--add ROOT adds the entries of another trusted root, for example of another shard.

REF is log:, tsa:, ca: or ctlog: and an id as --show prints it, the first 8 digits of it, or the name. With --retire, --remove and --add
nothing else is added.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := e.check(); err != nil {
				return err
			}
			c, err := loadConfig(config)
			if err != nil {
				return err
			}
			if e.show {
				return c.showRoot(cmd.OutOrStdout(), time.Now())
			}
			return e.run(c, time.Now().UTC().Truncate(time.Second), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	addConfigFlag(cmd, &config)
	f := cmd.Flags()
	f.StringVarP(&e.output, "output", "o", "", "new file to write instead of standard output")
	f.BoolVar(&e.inPlace, "in-place", false, "replace the configured trusted root")
	f.BoolVar(&e.show, "show", false, "list the entries with their windows and states")
	f.StringVar(&e.retire, "retire", "", "entry whose window to close, with --end")
	f.StringVar(&e.end, "end", "", "when the retired entry ends, as 2027-01-01T00:00:00Z, or now")
	f.StringArrayVar(&e.remove, "remove", nil, "entry to take out; may be repeated")
	f.StringVar(&e.add, "add", "", "trusted root whose entries to add")
	return cmd
}

// check refuses flags that contradict each other.
func (e *rootEdit) check() error {
	given := func(flags ...bool) (n int) {
		for _, f := range flags {
			if f {
				n++
			}
		}
		return n
	}
	switch {
	case given(e.show, e.retire != "", len(e.remove) > 0, e.add != "") > 1:
		return usageError{errors.New("--show, --retire, --remove and --add are given together"), "one at a time: each says what it changes"}
	case given(e.show, e.inPlace, e.output != "") > 1:
		return usageError{errors.New("--show, --in-place and --output are given together"), "choose one"}
	case (e.retire == "") != (e.end == ""):
		return usageError{errors.New("--retire and --end belong together"), "avowd trusted-root --retire log:HOST --end 2027-01-01T00:00:00Z"}
	}
	return nil
}

// readRoot reads the configured trusted root.
func (c *Config) readRoot() (*trustroot.Root, error) { return readRootFile(c.path(c.TrustedRoot)) }

func readRootFile(path string) (*trustroot.Root, error) {
	data, err := readLimited(path, maxTrustedRootBytes)
	if err != nil {
		return nil, err
	}
	root, err := trustroot.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return root, nil
}

// showRoot lists the entries of the configured root.
func (c *Config) showRoot(out io.Writer, now time.Time) error {
	root, err := c.readRoot()
	if err != nil {
		return err
	}
	for _, e := range root.Entries() {
		fmt.Fprintf(out, "%-9s  %s, %s\n           %s\n", e.State(now), e.Label(), e.Window(), e.Ref())
	}
	return nil
}

func (e *rootEdit) run(c *Config, now time.Time, out, errOut io.Writer) error {
	old, err := c.readRoot()
	if err != nil {
		return err
	}
	root := old.Clone()
	if err := e.edit(c, root, now); err != nil {
		return err
	}
	data, err := root.JSON()
	if err != nil {
		return err
	}
	changes := trustroot.Diff(old, root)
	switch {
	case e.output != "":
		err = writeNew(e.output, data, 0o644)
	case e.inPlace && len(changes) > 0:
		err = replaceFile(c.path(c.TrustedRoot), data)
	case !e.inPlace:
		_, err = out.Write(data)
	}
	if err != nil {
		return err
	}
	for _, change := range changes {
		fmt.Fprintln(errOut, change)
	}
	if len(changes) == 0 {
		fmt.Fprintln(errOut, "nothing changes")
	}
	return nil
}

// edit does what the flags say, or adds what is missing.
func (e *rootEdit) edit(c *Config, root *trustroot.Root, now time.Time) error {
	const hint = "avowd trusted-root --show lists the entries"
	switch {
	case e.retire != "":
		end, err := parseTime("--end", e.end, now)
		if err != nil {
			return err
		}
		if err := root.Retire(e.retire, end); err != nil {
			return usageError{err, hint}
		}
		return nil
	case len(e.remove) > 0:
		for _, ref := range e.remove {
			if err := root.Remove(ref); err != nil {
				return usageError{err, hint}
			}
		}
		return nil
	case e.add != "":
		added, err := readRootFile(e.add)
		if err != nil {
			return err
		}
		return root.Merge(added)
	}
	own, err := trustedRoot(c, now)
	if err != nil {
		return err
	}
	added, err := trustroot.Parse(own)
	if err != nil {
		return err
	}
	return root.Merge(added)
}

// logKey is the log's public key and its id in checkpoints and trusted roots.
func (c *Config) logKey() (ed25519.PublicKey, []byte, error) {
	tc, err := c.tlogConfig(slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	public, ok := tc.Signer.Public().(ed25519.PublicKey)
	if !ok {
		return nil, nil, fmt.Errorf("log key: got %T", tc.Signer.Public())
	}
	_, id, err := note.KeyHash(c.Origin, public)
	return public, id, err
}

// trustedRoot exports the public half of the configuration's keys. start is the time from which the log's key is valid.
func trustedRoot(c *Config, start time.Time) ([]byte, error) {
	public, id, err := c.logKey()
	if err != nil {
		return nil, err
	}
	authorities, err := c.trustedAuthorities()
	if err != nil {
		return nil, err
	}
	rc := server.TrustedRootConfig{Origin: c.Origin, LogKey: public, LogID: id, LogStart: start, Authorities: authorities}
	if err := c.trustCertificates(&rc); err != nil {
		return nil, err
	}
	root, err := server.TrustedRoot(rc)
	if err != nil {
		return nil, err
	}
	return c.addExternal(root)
}

// trustedAuthorities names the embedded authority by the address under which this service would answer for it.
func (c *Config) trustedAuthorities() ([]server.TrustedAuthority, error) {
	type source struct{ url, chain string }
	var sources []source
	if e := c.Timestamps.Embedded; e.Chain != "" {
		sources = append(sources, source{"https://" + c.Origin + "/api/v1/timestamp", e.Chain})
	}
	for _, x := range c.Timestamps.External {
		sources = append(sources, source{x.URL, x.Chain})
	}
	var all []server.TrustedAuthority
	for _, s := range sources {
		chain, err := readChain(c.path(s.chain), authority.ParseChain)
		if err != nil {
			return nil, err
		}
		all = append(all, server.TrustedAuthority{URI: s.url, Chain: chain})
	}
	return all, nil
}

// execute renders a template into memory, so that nothing is written when it is wrong.
func execute(t *template.Template, data any) ([]byte, error) {
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
