package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/remote"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/internal/wholefile"
)

// maxSilence is how long nothing may come from a service, which says every 30 seconds how far it is.
const maxSilence = 90 * time.Second

// maxWatchStateBytes is the size of the largest state file.
const maxWatchStateBytes = 4 << 10

// watchFlags are the flags of watch.
type watchFlags struct {
	server     serverFlags
	statements []string
	vendors    []string
	products   []string
	keyIDs     []string
	from       uint64
	state      string
	once       bool
	format     format
	guard      guardFlags
}

func (a *app) watchCommand() *cobra.Command {
	f := &watchFlags{}
	c := &cobra.Command{
		Use:   "watch [FILE|sha256:HEX...] --server HOST:PORT",
		Short: "Be told of every statement that can change an answer, within about a second",
		Long: `Print every statement that concerns what is watched, as soon as the service's complete index
covers it: withdrawals, disputes, assessments, successors, and whatever else is said about it.
Without anything to watch it is every statement.

A FILE or sha256:HEX is an artifact. --statement is a statement: what is said about it, and what
else its signer signs about the same artifacts. --vendor, --key-id and --product are what somebody
signs, and what is about a product, whatever its version. All are combined: one that matches will do.

An entry whose statement is missing is told as unresolved: it may be a withdrawal, and until it is
resolved nobody can say how the statements of its signer stand. It is told again when it comes.

With --state the place is kept in a file, and the next run goes on there; --from begins at an
index of the log. A broken connection is made again and goes on where it was. An event that was
told just before may be told twice, and none is left out. What is printed is the service's word:
verify a bundle before you rely on it.

With --once everything that there is is told, and the command ends.` + guardHelp + serverHelp,
		Example: `  avow watch app.tar.gz --server avow.example:8443
  avow watch --vendor acme --state watch.json --server avow.example:8443 --format json
  avow watch --statement sha256:13f3...8fe9 --from 0 --once --server avow.example:8443
  avow watch --manifest SHA256SUMS --bundles bundles/ --policy policy.yaml --trusted-root trusted_root.json \
      --key vendor.pub --server avow.example:8443
  avow watch --manifest SHA256SUMS --bundles bundles/ --policy policy.yaml --trusted-root trusted_root.json \
      --key vendor.pub --server avow.example:8443 --exec ./quarantine -- --reason withdrawn`,
		Args: arguments(0, -1, ""),
		RunE: func(c *cobra.Command, args []string) error {
			if f.guard.verify.manifest.path != "" {
				return a.runGuard(c, args, f)
			}
			if err := f.guard.absent(c); err != nil {
				return err
			}
			return a.runWatch(c, args, f)
		},
	}
	f.register(c)
	return c
}

func (f *watchFlags) register(c *cobra.Command) {
	o := c.Flags()
	o.StringArrayVar(&f.statements, "statement", nil, "`ID` of a statement to watch; may be repeated")
	o.StringArrayVar(&f.vendors, "vendor", nil, "`NAME` of a registered vendor to watch; may be repeated")
	o.StringArrayVar(&f.products, "product", nil, "product `IDENTIFIER` to watch, whatever its version; may be repeated")
	o.StringArrayVar(&f.keyIDs, "key-id", nil, "`ID` of a signer to watch; may be repeated")
	o.Uint64Var(&f.from, "from", 0, "`INDEX` of the log to begin at (default: what comes next)")
	o.StringVar(&f.state, "state", "", "`FILE` that keeps the place; made if it is not there")
	o.BoolVar(&f.once, "once", false, "end when everything that there is was told")
	f.format.registerAs(c, "`FORMAT` of the events: text, or json for one object a line", "text", "json")
	f.server.register(c)
	f.guard.register(c)
	_ = o.MarkHidden("timeout") // a stream has no end: what is silent for too long is begun again
}

// watchState is the content of a state file.
type watchState struct {
	// NextLogIndex is where to go on.
	NextLogIndex uint64 `json:"nextLogIndex"`
}

func (a *app) runWatch(c *cobra.Command, args []string, f *watchFlags) error {
	req, err := a.watchRequest(c, args, f)
	if err != nil {
		return err
	}
	connection, err := a.dial(&f.server)
	if err != nil {
		return err
	}
	defer connection.Close()
	w := &watching{request: req, client: avowv1.NewStandingServiceClient(connection), once: f.once,
		log:   avowv1.NewLogServiceClient(connection),
		event: func(_ context.Context, e *avowv1.StatementEvent) error { return a.printEvent(e, &f.format) },
		progress: func(_ context.Context, p *avowv1.WatchProgress) error {
			return saveWatchState(f.state, watchState{NextLogIndex: p.GetNextLogIndex()})
		}}
	return stoppedOr(c.Context(), a.retrier(connection).Follow(c.Context(), w.follow))
}

// stoppedOr is nil if the command was stopped, as a command that has no end is meant to be.
func stoppedOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// watchRequest is what the flags and arguments say.
func (a *app) watchRequest(c *cobra.Command, args []string, f *watchFlags) (*avowv1.WatchRequest, error) {
	req := &avowv1.WatchRequest{StatementIds: f.statements, Vendors: f.vendors, Products: f.products, KeyIds: f.keyIDs}
	for _, arg := range args {
		digest, err := a.artifactDigest(arg)
		if err != nil {
			return nil, err
		}
		req.ArtifactSha256S = append(req.ArtifactSha256S, digest)
	}
	for _, id := range append(f.statements[:len(f.statements):len(f.statements)], f.keyIDs...) {
		if !digestArgument.MatchString(id) {
			return nil, failed("an id is sha256: and 64 hexadecimal digits", "%.80q is no id", id)
		}
	}
	if c.Flags().Changed("from") {
		req.FromLogIndex = &f.from
	}
	if f.state == "" {
		return req, nil
	}
	state, found, err := a.readWatchState(f.state)
	switch {
	case err != nil:
		return nil, err
	case found && req.FromLogIndex != nil:
		return nil, usageFailure(c.CommandPath(), fmt.Errorf("%s says where to go on, and --from says it, too; remove one", f.state))
	case found:
		req.FromLogIndex = &state.NextLogIndex
	}
	return req, nil
}

func (a *app) readWatchState(path string) (s watchState, found bool, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return s, false, nil
	}
	data, err := a.readLimited(path, maxWatchStateBytes)
	if err != nil {
		return s, false, err
	}
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil || d.More() {
		return s, false, failed("remove the file to begin with what comes next, or give the right one", "%s is no state of avow watch", path)
	}
	return s, true, nil
}

func saveWatchState(path string, s watchState) error {
	if path == "" {
		return nil
	}
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return wholefile.Replace(path, append(data, '\n'), 0o600)
}

// watching follows a stream, from one connection to the next.
type watching struct {
	request *avowv1.WatchRequest
	client  avowv1.StandingServiceClient
	log     avowv1.LogServiceClient
	once    bool
	until   uint64 // where to end, once it is known
	// begin, which may be nil, is told that a stream begins; event and progress are told what comes, in its order.
	begin    func()
	event    func(context.Context, *avowv1.StatementEvent) error
	progress func(context.Context, *avowv1.WatchProgress) error
}

// follow reads one stream to its end. What the progress says is where the next one begins.
func (w *watching) follow(ctx context.Context, alive func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(maxSilence, func() { cancel(remote.ErrSilent) })
	defer silence.Stop()
	if err := w.limit(ctx); err != nil {
		return err
	}
	if w.begin != nil {
		w.begin()
	}
	stream, err := w.client.Watch(ctx, w.request)
	for err == nil {
		var m *avowv1.WatchResponse
		if m, err = stream.Recv(); err != nil {
			break
		}
		silence.Reset(maxSilence)
		alive()
		if e := m.GetStatement(); e != nil {
			if err := w.event(ctx, e); err != nil {
				return err
			}
		}
		p := m.GetProgress()
		if p == nil {
			continue
		}
		if err := w.progress(ctx, p); err != nil {
			return err
		}
		next := p.GetNextLogIndex()
		w.request.FromLogIndex = &next
		if w.once && next >= w.until {
			return remote.ErrDone
		}
	}
	if cause := context.Cause(ctx); errors.Is(cause, remote.ErrSilent) {
		return cause
	}
	return err
}

// limit finds out where to end, if there is to be an end: what is logged when the command begins is told.
func (w *watching) limit(ctx context.Context) error {
	if !w.once || w.until > 0 {
		return nil
	}
	c, err := w.log.GetCheckpoint(ctx, &avowv1.GetCheckpointRequest{})
	w.until = c.GetTreeSize()
	return err
}

// printEvent prints one event.
func (a *app) printEvent(e *avowv1.StatementEvent, f *format) error {
	if f.json() {
		data, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(e)
		if err != nil {
			return err
		}
		return a.printLine(data)
	}
	w := a.writer()
	if e.GetUnresolved() {
		w.Line("entry %d: unresolved", e.GetLogIndex())
		w.Item("  ", 10, "signer", text.Safe(e.GetKeyId()))
		w.Item("  ", 10, "meaning", "its statement is missing, and may be a withdrawal: how the signer's statements stand is unknown")
		return w.Err()
	}
	w.Line("entry %d: %s by %s", e.GetLogIndex(), text.Safe(plain.TypeName(e.GetPredicateType())), text.Safe(e.GetVendor()))
	w.Item("  ", 10, "statement", text.Safe(e.GetStatementId()))
	w.Item("  ", 10, "signer", text.Safe(e.GetKeyId()))
	for _, id := range e.GetTargets() {
		w.Item("  ", 10, "about", text.Safe(id))
	}
	for _, id := range e.GetContradicts() {
		w.Item("  ", 10, "against", text.Safe(id))
	}
	for _, s := range e.GetStandings() {
		w.Item("  ", 10, "standing", fmt.Sprintf("%s: %s", text.Safe(s.GetStatementId()), standingName(s.GetResult().GetStanding())))
	}
	return w.Err()
}

// standingName is the standing in words.
func standingName(s avowv1.Standing) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(s.String(), "STANDING_")), "_", " ")
}

// printLine prints a JSON document on one line. protojson puts spaces where it likes, so that nobody depends on them.
func (a *app) printLine(data []byte) error {
	line, err := json.Marshal(json.RawMessage(data))
	if err != nil {
		return err
	}
	_, err = a.env.Stdout.Write(append(line, '\n'))
	return err
}
