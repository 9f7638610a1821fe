package command

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

func (a *app) proveMisbehaviour() *cobra.Command {
	var trustedRoot string
	c := &cobra.Command{
		Use:   "prove-misbehaviour EVIDENCE --trusted-root ROOT",
		Short: "Check evidence that a log misbehaved, offline",
		Long: `Check an evidence file that ` + "`avow monitor`" + ` wrote, with nothing but the file and the log's key in
the trusted root. Who wrote the file does not matter: what is proven is proven by the log's own
signatures.

Proven can be that the log signed two trees of one size, that it signed a tree that does not
contain an earlier one, or that its tree holds an invalid entry. What a server answered, or did
not answer, is signed by nobody: a withheld statement, a smaller tree or a wrong tile is for you
to look into, and no proof.

Exit code 0: it proves misbehaviour; 1: it does not, with the reason; 2: it cannot be read.`,
		Example: `  avow prove-misbehaviour monitor/evidence-fork-7a0c41f2d5b96e38.json --trusted-root trusted_root.json`,
		Args:    arguments(1, 1, "which evidence? give the file that avow monitor wrote"),
		RunE: func(c *cobra.Command, args []string) error {
			if trustedRoot == "" {
				return usageFailure(c.CommandPath(), errors.New("--trusted-root is needed"))
			}
			return a.runProve(args[0], trustedRoot)
		},
	}
	c.Flags().StringVar(&trustedRoot, "trusted-root", "", "`FILE` with the trusted root (trusted_root.json)")
	return c
}

func (a *app) runProve(path, trustedRoot string) error {
	root, err := a.readLimited(trustedRoot, maxExpectBytes)
	if err != nil {
		return err
	}
	logs, err := follow.ParseLogs(root)
	if err != nil {
		return about(trustedRoot, err)
	}
	data, err := a.readLimited(path, follow.MaxEvidenceBytes)
	if err != nil {
		return err
	}
	evidence, err := follow.ParseEvidence(data)
	if err != nil {
		return failed("give an evidence file that `avow monitor` wrote", "%s: %w", path, err)
	}
	w := a.writer()
	proven, err := evidence.Check(logs)
	if err != nil {
		w.Line("%s: %s", text.Safe(string(evidence.Code)), text.Safe(err.Error()))
		return errors.Join(w.Err(), no())
	}
	w.Line("%s: proven: %s", text.Safe(string(evidence.Code)), text.Safe(proven))
	return w.Err()
}
