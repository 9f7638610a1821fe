package command

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/cmd/avow/internal/pin"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/internal/trustroot"
)

// statusFlags are the flags of trust status.
type statusFlags struct {
	store  storeFlag
	within days
	format format
}

// days is a duration that may be written in days: 7d, 36h.
type days struct{ time.Duration }

// String, Set and Type make days a pflag.Value.
func (d *days) String() string {
	if d.Duration%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d.Duration/(24*time.Hour))
	}
	return d.Duration.String()
}

// Set takes a number of days or a duration.
func (d *days) Set(s string) error {
	if n, ok := strings.CutSuffix(s, "d"); ok {
		count, err := strconv.ParseUint(n, 10, 16)
		d.Duration = time.Duration(count) * 24 * time.Hour
		return err
	}
	var err error
	if d.Duration, err = time.ParseDuration(s); err == nil && d.Duration < 0 {
		err = fmt.Errorf("%s is negative", s)
	}
	return err
}

// Type names the kind of value for help texts.
func (d *days) Type() string { return "duration" }

func (a *app) trustStatus() *cobra.Command {
	f := &statusFlags{}
	c := &cobra.Command{
		Use:     "status [NAME...]",
		Aliases: []string{"list"},
		Short:   "Show what is pinned, what is in it, and when it expires",
		Long: `Show what is pinned: address, fingerprint, version of the TUF root, the logs and authorities with
their windows, when each metadata expires, and when the pin was last known to be current. Nothing is
asked: only the pin's files are read.

Exit code 0: fine; 1: something has expired or will within --warn-within, or no log is in use; 2:
could not be read. For cron: ` + "`avow trust update && avow trust status --warn-within 3d`" + `.`,
		Example: `  avow trust status
  avow trust status acme --format json --warn-within 7d`,
		RunE: func(_ *cobra.Command, args []string) error { return a.runTrustStatus(args, f) },
	}
	c.Flags().Var(&f.within, "warn-within", "`TIME` before an expiry from which on to warn, as 7d or 36h")
	f.format.register(c)
	f.store.register(c)
	return c
}

// pinStatus is the JSON form of a pin's status. Members are added, and never change.
type pinStatus struct {
	Name        string               `json:"name"`
	Kind        string               `json:"kind"`
	Address     string               `json:"address"`
	Fingerprint string               `json:"fingerprint"`
	RootVersion int64                `json:"rootVersion,omitempty"`
	PinnedAt    time.Time            `json:"pinnedAt"`
	UpdatedAt   time.Time            `json:"updatedAt"`
	Expires     map[string]time.Time `json:"expires,omitempty"`
	TrustedRoot string               `json:"trustedRoot"`
	SHA256      string               `json:"trustedRootSha256"`
	IndexLogKey string               `json:"indexLogKey,omitempty"`
	Entries     []entryStatus        `json:"entries"`
	Warnings    []string             `json:"warnings"`
}

type entryStatus struct {
	Ref   string     `json:"ref"`
	Name  string     `json:"name"`
	State string     `json:"state"`
	Start time.Time  `json:"start"`
	End   *time.Time `json:"end,omitempty"`
}

func (a *app) runTrustStatus(names []string, f *statusFlags) error {
	store, err := a.store(&f.store)
	if err != nil {
		return err
	}
	if names, err = someNames(store, names); err != nil {
		return err
	}
	all := make([]pinStatus, 0, len(names))
	fine := true
	w := a.writer()
	for i, name := range names {
		p, err := store.Load(name)
		if err != nil {
			return err
		}
		s, root, err := a.statusOf(p, f.within.Duration)
		if err != nil {
			return err
		}
		all = append(all, *s)
		fine = fine && len(s.Warnings) == 0
		if f.format.json() {
			continue
		}
		if i > 0 {
			w.Blank()
		}
		a.printPin(w, s, root)
	}
	if f.format.json() {
		err = a.printJSON(all)
	} else {
		err = w.Err()
	}
	if err == nil && !fine {
		return no()
	}
	return err
}

// statusOf judges a pin at the present time.
func (a *app) statusOf(p *pin.Pin, within time.Duration) (*pinStatus, *trustroot.Root, error) {
	data, err := p.TrustedRoot()
	if err != nil {
		return nil, nil, err
	}
	root, err := trustroot.Parse(data)
	if err != nil {
		return nil, nil, about(p.TrustedRootPath(), err)
	}
	now := a.env.Now()
	s := &pinStatus{Name: p.Name, Kind: p.Kind, Address: p.Address, Fingerprint: p.Fingerprint, RootVersion: p.RootVersion,
		PinnedAt: p.PinnedAt, UpdatedAt: p.UpdatedAt, Expires: p.Expires, TrustedRoot: p.TrustedRootPath(), SHA256: p.TrustedRootSHA256, IndexLogKey: p.IndexLogKey,
		Warnings: []string{}}
	inUse := map[trustroot.Kind]int{}
	for _, e := range root.Entries() {
		entry := entryStatus{Ref: e.Ref(), Name: e.Name, State: string(e.State(now)), Start: e.Start}
		if !e.End.IsZero() {
			entry.End = &e.End
		}
		s.Entries = append(s.Entries, entry)
		if e.State(now.Add(within)) == trustroot.InUse {
			inUse[e.Kind]++
		}
	}
	for _, x := range p.Expired(now.Add(within)) {
		verb := "expires"
		if x.At.Before(now) {
			verb = "expired"
		}
		s.Warnings = append(s.Warnings, fmt.Sprintf("%s %s at %s", x.Role, verb, x.At.UTC().Format(time.RFC3339)))
	}
	for _, x := range []struct {
		kind trustroot.Kind
		what string
	}{{trustroot.KindLog, "log"}, {trustroot.KindTSA, "timestamp authority"}} {
		if inUse[x.kind] == 0 {
			s.Warnings = append(s.Warnings, fmt.Sprintf("no %s is in use at %s", x.what, now.Add(within).UTC().Format(time.RFC3339)))
		}
	}
	return s, root, nil
}

func (a *app) printPin(w *text.Writer, s *pinStatus, root *trustroot.Root) {
	w.Line("%s", w.Style(text.Bold, s.Name))
	w.Item("  ", 13, "address", s.Kind+" "+text.Safe(s.Address))
	w.Item("  ", 13, "fingerprint", s.Fingerprint)
	w.Item("  ", 13, "trusted root", "sha256:"+s.SHA256)
	w.Item("  ", 13, "index log", text.Safe(s.IndexLogKey))
	w.Item("  ", 13, "pinned", s.PinnedAt.UTC().Format(time.RFC3339))
	w.Item("  ", 13, "current at", s.UpdatedAt.UTC().Format(time.RFC3339))
	if s.Kind == pin.KindTUF {
		w.Item("  ", 13, "root version", strconv.FormatInt(s.RootVersion, 10))
	}
	for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
		if at, ok := s.Expires[role]; ok {
			w.Item("  ", 13, role, "expires "+at.UTC().Format(time.RFC3339))
		}
	}
	for _, line := range entryLines(root, a.env.Now()) {
		w.Line("%s", line)
	}
	for _, warning := range s.Warnings {
		w.Line("  %s", w.Style(text.Yellow, "warning: "+warning))
	}
}
