package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/cmd/avow/internal/auditor"
	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/verify"
)

// indexPrefix is where a service publishes its index log.
const indexPrefix = "/index"

// auditFlags are the flags of audit.
type auditFlags struct {
	server      string
	ca          string
	trustedRoot string
	indexKey    string
	witnesses   string
	state       string
	fromScratch bool
	parallel    int
	maxLag      time.Duration
	webhook     string
	format      format
}

func (a *app) audit() *cobra.Command {
	f := &auditFlags{}
	c := &cobra.Command{
		Use:   "audit --server URL --trusted-root ROOT --index-key KEY --state DIR",
		Short: "Replay a service's whole index and report the first leaf that differs",
		Long: `A service answers what was said about a statement from its index, and proves that it is everything
under a root in its index log. That the roots are right shows whoever replays them: audit reads the
statement log, every statement, and every leaf of the index log, makes each step again, and
compares. An entry that was left out, added or put elsewhere changes the root of its step.

The first run reads everything, later ones what is new since: --state DIR holds both logs'
checkpoints and the index as of the last leaf. --from-scratch replays all of it again. Both logs
must contain what was seen of them before.

A finding leaves an evidence file in that directory, which ` + "`avow prove-misbehaviour`" + ` checks
anywhere. What cannot be reached is an outage and accuses nobody. No redirect is followed; only this
address, and that of --webhook, are spoken to.

Exit codes, as those of avow monitor: 0 every root is right; 2 it could not be checked; 3 a finding:
a log misbehaved.`,
		Example: `  avow audit --server https://avow.example --trusted-root trusted_root.json \
      --index-key index.avow.example+c6060138+AUVt4VRtLfJ+eUxAqzpBoY917zeEqEOUnw8pGDXuig2k --state audit/
  avow audit --server https://avow.example --trusted-root trusted_root.json --index-key index.vkey \
      --state audit/ --witness-policy policy.txt --format json --webhook https://ops.example/hook  # daily, by cron`,
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error { return a.runAudit(c, f) },
	}
	f.register(c)
	return c
}

func (f *auditFlags) register(c *cobra.Command) {
	o := c.Flags()
	o.StringVar(&f.server, "server", "", "`URL` of the service's HTTP port; http:// for this machine only")
	o.StringVar(&f.server, "server-url", "", "as monitor calls --server")
	_ = o.MarkHidden("server-url") // it is there
	o.StringVar(&f.ca, "ca", "", "`FILE` with the PEM certificates of the service's authority")
	o.StringVar(&f.trustedRoot, "trusted-root", "", "`FILE` with the trusted root (trusted_root.json), for the key of the statement log")
	o.StringVar(&f.indexKey, "index-key", "", "`KEY` of the index log, NAME+HASH+BASE64 (C2SP signed-note), or a file with it")
	o.StringVar(&f.witnesses, "witness-policy", "", "`FILE` that says which witnesses must have cosigned both logs (C2SP tlog-policy)")
	o.StringVar(&f.state, "state", "", "`DIR` for what is remembered and for evidence; made if it is not there")
	o.BoolVar(&f.fromScratch, "from-scratch", false, "replay from the first leaf on, whatever was audited before")
	o.IntVar(&f.parallel, "parallel", auditor.DefaultWorkers, "`NUMBER` of requests at a time, 1 to 64")
	o.DurationVar(&f.maxLag, "max-lag", time.Hour,
		"`DURATION` after which entries that are not indexed count as an outage; 0 is never")
	o.StringVar(&f.webhook, "webhook", "", "`URL` that every finding is posted to as JSON; http:// for this machine only")
	f.format.registerAs(c, "`FORMAT` of the findings: text, or json for one object a line", "text", "json")
}

func (a *app) runAudit(c *cobra.Command, f *auditFlags) error {
	switch {
	case f.server == "" || f.trustedRoot == "" || f.indexKey == "" || f.state == "":
		return usageFailure(c.CommandPath(), errors.New("--server, --trusted-root, --index-key and --state are needed"))
	case f.parallel < 1 || f.parallel > 64:
		return usageFailure(c.CommandPath(), fmt.Errorf("--parallel is %d, want 1 to 64", f.parallel))
	case f.maxLag < 0:
		return usageFailure(c.CommandPath(), fmt.Errorf("--max-lag is %s, want 0 or more", f.maxLag))
	}
	out := &findings{app: a, ctx: c.Context(), format: f.format, told: map[string]bool{}, once: true, dir: f.state}
	au, err := a.newAuditor(c.Context(), f, out)
	if err != nil {
		return err
	}
	bar := a.newProgress("replaying")
	au.Progress = func(done, total uint64) { bar.count(int(done), int(total)) } // #nosec G115 -- at most 2^40 entries
	sum, err := au.Run(c.Context())
	bar.done()
	switch {
	case out.worst != exitYes:
		return errors.Join(err, &failure{code: out.worst})
	case err != nil:
		told := out.tell(follow.Finding{Code: follow.CodeUnavailable, Class: follow.Unchecked, Detail: err.Error()})
		return auditFailure(errors.Join(err, told))
	}
	return out.audited(sum)
}

// auditFailure gives an error of a run its hint.
func auditFailure(err error) error {
	if errors.Is(err, auditor.ErrState) {
		return &failure{code: exitError, err: err, hint: "restore the directory from a backup, or give an empty one to audit everything again"}
	}
	return monitorFailure(err)
}

// audited says what was compared. It is no finding and is not posted.
func (o *findings) audited(s auditor.Summary) error {
	f := follow.Finding{Code: follow.CodeChecked, Class: follow.Notice, Origin: s.IndexOrigin, Size: s.Leaves,
		Detail: fmt.Sprintf("%s: %d leaves, %d of them new, over %d of %d entries of %s; %d keys, %d entries unresolved; every root is right",
			s.IndexOrigin, s.Leaves, s.Leaves-s.FromLeaf, s.Size, s.LogSize, s.Origin, s.Keys, s.Unresolved)}
	line, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return o.print(f, line)
}

// newAuditor reads everything that the flags name, before anything is asked.
func (a *app) newAuditor(ctx context.Context, f *auditFlags, out *findings) (*auditor.Auditor, error) {
	base, err := follow.ParseServerURL(f.server)
	if err != nil {
		return nil, failed("give --server as in https://avow.example", "--server: %w", err)
	}
	root, err := a.readLimited(f.trustedRoot, maxExpectBytes)
	if err != nil {
		return nil, err
	}
	au := &auditor.Auditor{Dir: f.state, FromScratch: f.fromScratch, Workers: f.parallel, MaxLag: f.maxLag, Report: out.tell, Now: a.env.Now,
		Note: func(s string) { a.note("%s", s) }}
	if au.Logs, err = follow.ParseLogs(root); err != nil {
		return nil, about(f.trustedRoot, err)
	}
	if au.Index, err = a.readIndexKey(f.indexKey); err != nil {
		return nil, err
	}
	if f.witnesses != "" {
		if au.Quorum, err = a.quorum(f.witnesses, au.Logs.With(au.Index)); err != nil {
			return nil, err
		}
	}
	transport, err := a.transport(f.ca)
	if err != nil {
		return nil, err
	}
	if f.webhook != "" {
		u, err := follow.ParseWebhookURL(f.webhook)
		if err != nil {
			return nil, failed("give --webhook as in https://HOST/PATH", "--webhook: %w", err)
		}
		out.webhook = &follow.Webhook{URL: u, Transport: http.DefaultTransport, Sleep: a.env.Sleep}
	}
	if err := os.MkdirAll(f.state, 0o700); err != nil {
		return nil, err
	}
	var one sync.Mutex // several requests wait at a time
	notify := func(cause error, pause time.Duration) {
		one.Lock()
		defer one.Unlock()
		out.waiting(cause, pause)
	}
	au.Statements = &follow.Client{Base: base, Transport: transport, Sleep: a.env.Sleep, Notify: notify}
	au.Roots = &follow.Client{Base: base, Prefix: indexPrefix, Transport: transport, Sleep: a.env.Sleep, Notify: notify}
	return au, ctx.Err()
}

// readIndexKey reads the key of an index log: itself, or a file with it.
func (a *app) readIndexKey(s string) (*follow.Logs, error) {
	if logs, err := follow.ParseLogKey(s); err == nil {
		return logs, nil
	}
	data, err := a.readUpTo(s, 4<<10)
	if err != nil {
		return nil, failed("give the key as NAME+HASH+BASE64, or a file with it", "--index-key: %w", err)
	}
	logs, err := follow.ParseLogKey(strings.TrimSpace(string(data)))
	if err != nil {
		return nil, failed("the file holds one line, NAME+HASH+BASE64", "%s: %w", s, err)
	}
	return logs, nil
}

// quorum reads a witness policy, for checkpoints of these logs.
func (a *app) quorum(path string, logs *follow.Logs) (func(*follow.Head) error, error) {
	data, err := a.readUpTo(path, verify.MaxWitnessPolicyBytes+1)
	if err != nil {
		return nil, err
	}
	policy, err := verify.ParseWitnessPolicy(data)
	if err != nil {
		return nil, about(path, err)
	}
	return func(h *follow.Head) error {
		key, err := logs.Key(h)
		if err != nil {
			return err
		}
		_, err = verify.OpenCheckpoint(string(h.Raw), key, policy, a.env.Now().Add(verify.DefaultTimestampSkew))
		return err
	}, nil
}
