package command

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/cmd/avow/internal/auditor"
	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// proveFlags are the flags of prove-misbehaviour.
type proveFlags struct {
	trustedRoot, indexKey, replay, ca string
}

func (a *app) proveMisbehaviour() *cobra.Command {
	f := &proveFlags{}
	c := &cobra.Command{
		Use:   "prove-misbehaviour EVIDENCE|CHECKPOINT CHECKPOINT --trusted-root ROOT [--index-key KEY]",
		Short: "Check evidence that a log misbehaved, offline",
		Long: `Check an evidence file that ` + "`avow monitor` or `avow audit`" + ` wrote, with nothing but the file and the
log's key in the trusted root; what concerns the index needs the key of the index log as well. Who
wrote the file does not matter: what is proven is proven by the logs' own signatures.

Proven can be that a log signed two trees of one size, that it signed a tree that does not contain
an earlier one, that its tree holds an invalid entry, or that a leaf of the index log is not what the
leaf before it, the entries and their statements give. What a server answered, or did not answer, is
signed by nobody: a withheld statement, a smaller tree or a wrong tile is for you to look into, and
no proof. A step of the index that is too large for a file is named in it: --replay URL replays the
service's index and says whether the same leaf differs.

Two files are two checkpoints of one log, wherever they come from: one that a client kept, and one
from the log line of a witness that refused to cosign it. They prove it if the log signed both, for
one size, with two roots.

Exit code 0: it proves misbehaviour; 1: it does not, with the reason; 2: it cannot be read or checked.`,
		Example: `  avow prove-misbehaviour monitor/evidence-fork-7a0c41f2d5b96e38.json --trusted-root trusted_root.json
  avow prove-misbehaviour audit/evidence-index-differs-5d2be10f6a7c9438.json --trusted-root trusted_root.json \
      --index-key index.vkey
  avow prove-misbehaviour kept.checkpoint refused.checkpoint --trusted-root trusted_root.json`,
		Args: arguments(1, 2, "which evidence? give the file that avow monitor or avow audit wrote, or two checkpoints"),
		RunE: func(c *cobra.Command, args []string) error {
			if f.trustedRoot == "" {
				return usageFailure(c.CommandPath(), errors.New("--trusted-root is needed"))
			}
			return a.runProve(c.Context(), args, f)
		},
	}
	o := c.Flags()
	o.StringVar(&f.trustedRoot, "trusted-root", "", "`FILE` with the trusted root (trusted_root.json)")
	o.StringVar(&f.indexKey, "index-key", "", "`KEY` of the index log, NAME+HASH+BASE64 (C2SP signed-note), or a file with it")
	o.StringVar(&f.replay, "replay", "", "`URL` of the service's HTTP port, to replay an index whose step is not in the file")
	o.StringVar(&f.ca, "ca", "", "`FILE` with the PEM certificates of the service's authority, for --replay")
	return c
}

func (a *app) runProve(ctx context.Context, paths []string, f *proveFlags) error {
	root, err := a.readLimited(f.trustedRoot, maxExpectBytes)
	if err != nil {
		return err
	}
	logs, err := follow.ParseLogs(root)
	if err != nil {
		return about(f.trustedRoot, err)
	}
	evidence, err := a.readEvidence(paths)
	if err != nil {
		return err
	}
	var indexLogs *follow.Logs
	if f.indexKey != "" {
		if indexLogs, err = a.readIndexKey(f.indexKey); err != nil {
			return err
		}
	} else if evidence.NeedsIndexKey() {
		return failed("add --index-key", "%s is about the index, and the key of the index log was not given", paths[0])
	}
	w := a.writer()
	proven, err := evidence.Check(logs, indexLogs)
	if errors.Is(err, follow.ErrReplay) && f.replay != "" {
		proven, err = a.replayEvidence(ctx, f, evidence)
		if err != nil && !errors.Is(err, follow.ErrNotProven) {
			return auditFailure(err)
		}
	}
	if err != nil {
		w.Line("%s: %s", text.Safe(string(evidence.Code)), text.Safe(err.Error()))
		return errors.Join(w.Err(), no())
	}
	w.Line("%s: proven: %s", text.Safe(string(evidence.Code)), text.Safe(proven))
	return w.Err()
}

// readEvidence reads an evidence file, or makes evidence of two checkpoints. Nothing of it is believed yet.
func (a *app) readEvidence(paths []string) (*follow.Evidence, error) {
	var files [][]byte
	for _, path := range paths {
		data, err := a.readLimited(path, follow.MaxEvidenceBytes)
		if err != nil {
			return nil, err
		}
		files = append(files, data)
	}
	if len(files) == 2 {
		return &follow.Evidence{Kind: follow.KindFork, Code: follow.CodeFork, First: files[0], Second: files[1]}, nil
	}
	evidence, err := follow.ParseEvidence(files[0])
	if err != nil {
		return nil, failed("give an evidence file that `avow monitor` or `avow audit` wrote, or two checkpoints", "%s: %w", paths[0], err)
	}
	return evidence, nil
}

// replayEvidence audits the whole index, and compares what it finds with what the evidence names.
func (a *app) replayEvidence(ctx context.Context, f *proveFlags, e *follow.Evidence) (proven string, err error) {
	dir, err := os.MkdirTemp("", "avow-replay-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	out := &findings{app: a, ctx: ctx}
	au, err := a.newAuditor(ctx, &auditFlags{server: f.replay, ca: f.ca, trustedRoot: f.trustedRoot, indexKey: f.indexKey, state: dir,
		fromScratch: true, parallel: auditor.DefaultWorkers}, out)
	if err != nil {
		return "", err
	}
	var found *follow.Evidence
	au.Report = func(f follow.Finding) error {
		data, err := os.ReadFile(filepath.Join(dir, f.Evidence))
		if err == nil {
			found, err = follow.ParseEvidence(data)
		}
		return err
	}
	if _, err := au.Run(ctx); err != nil {
		return "", err
	}
	return e.Confirmed(found)
}
