package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/cmd/avow/internal/seen"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/standing"
)

// indexKeyFile is the name of the file, beside a trusted root, with the key of the index log.
const indexKeyFile = "index_log.vkey"

// maxKeyFileBytes is the largest file with a verifier key that is read.
const maxKeyFileBytes = 4 << 10

// defaultStaleness is how old a status may be if nothing else is said.
const defaultStaleness = 24 * time.Hour

// standingFlags are the flags of verify about how statements stand.
type standingFlags struct {
	file        string
	indexKey    string
	time        string
	staleness   time.Duration
	withdrawers []string
	arbiters    []string
	state       stateFlag

	at time.Time // --status-time
	// live says that statuses are fetched from a service, and there is no file.
	live bool
}

const statusHelp = `

With --status what was said about the statements since is looked at: a status file from the operator
(` + "`avow status`" + `) holds everything that withdraws, supersedes, disputes or assesses them, with the proof
that it is everything. A statement that is withdrawn, superseded, expired, of unknown standing, or
whose status is older than --max-staleness is rejected; one of which items were withdrawn, and one
with an open dispute, is accepted with a warning. As of when the status is, the witnesses of
--witness-policy say; without them you do, with --status-time, and the operator is trusted for it.`

func (f *standingFlags) register(c *cobra.Command) {
	o := c.Flags()
	o.StringVar(&f.file, "status", "", "`FILE` that shows how the statements stand (avow status)")
	o.StringVar(&f.time, "status-time", "",
		"`TIME` at which you got the status from the operator, as 2026-11-23T12:00:00Z; only without --witness-policy")
	o.StringVar(&f.state.path, "state", "",
		"`FILE` that remembers what both logs showed last, as that of avow status; a status of an older tree, or of another one, is refused then")
	f.registerJudged(c)
}

// registerJudged registers how a status is judged, wherever it comes from.
func (f *standingFlags) registerJudged(c *cobra.Command) {
	o := c.Flags()
	o.StringVar(&f.indexKey, "index-key", "",
		"`FILE|VKEY` with the key of the index log (default: "+indexKeyFile+" beside --trusted-root)")
	o.DurationVar(&f.staleness, "max-staleness", defaultStaleness, "`DURATION` since the time of the status, at most")
	o.StringArrayVar(&f.withdrawers, "withdrawer", nil,
		"`FILE` with a public key whose withdrawals count like the signer's: a successor's, or a recovery key; may be repeated")
	o.StringArrayVar(&f.arbiters, "arbiter", nil, "`FILE` with a public key that may reject a dispute to which it is no party; may be repeated")
}

// files are the files that are read.
func (f *standingFlags) files() []string {
	list := []string{f.file, f.indexKey}
	return append(append(list, f.withdrawers...), f.arbiters...)
}

// check refuses what cannot be asked, before anything is read. usesVerdict says that a signed verdict is to be relied on.
func (f *standingFlags) check(c *cobra.Command, witnessed, usesVerdict bool) error {
	refuse := ""
	if f.file == "" && !f.live {
		for _, name := range []string{"index-key", "status-time", "max-staleness", "withdrawer", "arbiter", "state"} {
			if c.Flags().Changed(name) {
				refuse = "--" + name + " is about a status: give --status"
			}
		}
	}
	switch {
	case refuse != "":
	case c.Flags().Changed("status") && f.file == "":
		refuse = "--status names no file"
	case f.file == "" && !f.live:
		return nil
	case usesVerdict:
		refuse = "--status needs the bundles: a signed verdict does not tell how they stand; leave --with-verdict out"
	case f.staleness <= 0:
		refuse = "--max-staleness must be more than 0"
	case witnessed && f.time != "":
		refuse = "--status-time is for when no witness says as of when the status is: leave it out, or --witness-policy"
	}
	if refuse != "" {
		return usageFailure(c.CommandPath(), errors.New(refuse))
	}
	if f.time == "" {
		return nil
	}
	var err error
	if f.at, err = time.Parse(time.RFC3339, f.time); err != nil || f.at.IsZero() {
		return failed("write --status-time as 2026-11-23T12:00:00Z", "--status-time %q is not a time", f.time)
	}
	return nil
}

// apply reads the status file and adds to the input how statements stand. The input has its time of verification.
func (f *standingFlags) apply(ctx context.Context, a *app, input *verify.Input, trust *verify.Trust, trustedRoot string) error {
	if f.file == "" {
		return nil
	}
	o, err := f.options(a, input.Witnesses, trust, trustedRoot)
	if err != nil {
		return err
	}
	o.AsOf, o.At = f.at, input.At
	if f.at.After(input.At.Add(verify.DefaultTimestampSkew)) {
		return failed("give the time at which you got the status; --at is the time of verification",
			"--status-time %s lies after the time of verification, %s", f.time, input.At.UTC().Format(time.RFC3339))
	}
	data, err := a.readLimited(f.file, standing.MaxSetBytes)
	if err != nil {
		return err
	}
	set, err := standing.ParseSet(data)
	if err != nil {
		return failed("fetch it again with `avow status`", "%s: %w", f.file, err)
	}
	if f.state.path != "" {
		if err := a.rememberStatuses(ctx, set, &f.state, trustedRoot, &o); err != nil {
			return err
		}
	}
	input.Standing = set.Func(o, trust)
	return nil
}

// rememberStatuses lets statuses be compared with what the logs showed before, and remembers what they show. Nobody is asked: that a larger
// tree contains what is remembered is looked at when a service is asked next.
func (a *app) rememberStatuses(ctx context.Context, set *standing.Set, state *stateFlag, trustedRoot string, o *standing.Options) error {
	m, err := a.memory(state)
	if err != nil || m == nil {
		return err
	}
	keys, err := a.logKeysOf(trustedRoot, o.IndexLog)
	if err != nil {
		return err
	}
	o.Seen = m.Newest
	for b := range set.All() {
		for _, h := range keys.heads(b) {
			err := m.See(ctx, h.key, h.checkpoint, nil)
			var c *follow.Caught
			switch {
			case errors.Is(err, seen.ErrState):
				return stateFailure(err)
			case errors.As(err, &c) && c.Code == follow.CodeFork:
				a.note("%s", text.Safe(sentence(m.caught(err)))) // the verdict says it, too
			}
		}
	}
	return m.keep(ctx)
}

// options reads what a status is judged by. The times are the caller's to add.
func (f *standingFlags) options(a *app, witnesses *verify.WitnessPolicy, trust *verify.Trust, trustedRoot string) (standing.Options, error) {
	o := standing.Options{Witnesses: witnesses, MaxStaleness: f.staleness}
	var err error
	if o.IndexLog, err = f.readIndexKey(a, trustedRoot); err != nil {
		return o, err
	}
	if o.Verifier, err = verify.New(verify.Config{Trust: trust, Clock: a.env.Now}); err != nil {
		return o, err
	}
	for _, list := range []struct {
		paths []string
		to    *[]verify.Signer
	}{{f.withdrawers, &o.Withdrawers}, {f.arbiters, &o.Arbiters}} {
		for _, path := range list.paths {
			public, err := a.readPublicKey(path)
			if err != nil {
				return o, err
			}
			*list.to = append(*list.to, verify.Signer{Name: path, Key: &verify.Key{PublicKey: public}})
		}
	}
	return o, nil
}

// readIndexKey finds the key of the index log: a file or the key itself, or the file beside the trusted root.
// With --trust it is that of the pin, if that holds one.
func (f *standingFlags) readIndexKey(a *app, trustedRoot string) (*verify.LogKey, error) {
	const hint = "`avow trust --server` writes it beside the trusted root; compare it with the operator's on another channel"
	name := f.indexKey
	switch {
	case name == "":
		name = filepath.Join(filepath.Dir(trustedRoot), indexKeyFile)
	case strings.Count(name, "+") >= 2:
		if _, err := os.Lstat(name); err != nil {
			key, err := verify.ParseLogKey(name)
			if err != nil {
				return nil, failed(hint, "--index-key: %w", err)
			}
			return key, nil
		}
	}
	data, err := a.readLimited(name, maxKeyFileBytes)
	if errors.Is(err, fs.ErrNotExist) && f.indexKey == "" {
		return nil, failed("give --index-key with the key of the index log; "+hint, "no key of the index log was given, and there is no %s", name)
	}
	if err != nil {
		return nil, err
	}
	key, err := verify.ParseLogKey(strings.TrimSuffix(string(data), "\n"))
	if err != nil {
		return nil, failed(hint, "%s: %w", name, err)
	}
	return key, nil
}

// writeIndexKey writes the key of the index log beside a trusted root.
func (a *app) writeIndexKey(trustedRoot, key string, force bool) error {
	if key == "" {
		return nil
	}
	if _, err := verify.ParseLogKey(key); err != nil {
		return failed("tell the operator of the service", "the service answered a key of its index log that cannot be used: %w", err)
	}
	if trustedRoot == "" {
		a.note("index log key %s", key)
		return nil
	}
	path := filepath.Join(filepath.Dir(trustedRoot), indexKeyFile)
	if err := replaceFile(path, fmt.Appendln(nil, key), force); err != nil {
		return err
	}
	a.note("index log key %s in %s", key, path)
	return nil
}
