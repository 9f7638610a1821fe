package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/cmd/avow/internal/seen"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/internal/filelock"
	"github.com/avow-dev/avow/verify"
)

// noState is the value of --state that remembers nothing.
const noState = "none"

// stateTries is how often a state file that another process writes is tried, and statePause the time between.
const (
	stateTries = 50
	statePause = 100 * time.Millisecond
)

// stateHelp is the part of the help of commands that remember.
const stateHelp = `

What both logs showed last is remembered in a state file, by default avow/seen.json in the user's
configuration; --state none remembers nothing. A log that shows less than before, or what does not
contain it, is caught: exit code 3, with an evidence file beside the state file.`

// stateFlag says where it is remembered what logs showed.
type stateFlag struct {
	path string
}

func (s *stateFlag) register(c *cobra.Command) {
	c.Flags().StringVar(&s.path, "state", "", "`FILE` that remembers what both logs showed last, or none (default avow/seen.json in the user's configuration)")
}

// memory reads what is remembered; nil if nothing is to be. Read it before asking for what is compared with it.
func (a *app) memory(s *stateFlag) (*memory, error) {
	path := s.path
	switch path {
	case noState:
		return nil, nil
	case "":
		dir, err := os.UserConfigDir()
		if err != nil {
			a.note("what the logs show is not remembered: %s; give --state FILE", text.Safe(err.Error()))
			return nil, nil //nolint:nilerr // it was said, and a proof needs no memory
		}
		path = filepath.Join(dir, "avow", "seen.json")
	}
	m, err := seen.Open(path)
	if err != nil {
		return nil, stateFailure(err)
	}
	return &memory{a: a, Memory: m, dir: filepath.Dir(path)}, nil
}

func stateFailure(err error) error {
	return &failure{code: exitError, err: err,
		hint: "restore the file from a backup; if you remove it, nothing is compared with what the logs showed before"}
}

// memory is what is remembered of logs. Nil remembers nothing.
type memory struct {
	*seen.Memory
	a   *app
	dir string
}

// signedHead is a checkpoint of a log.
type signedHead struct {
	key        *verify.LogKey
	checkpoint string
}

// compare compares checkpoints that were verified with what is remembered, and remembers them.
func (m *memory) compare(ctx context.Context, prove seen.Prover, checkpoints ...signedHead) error {
	if m == nil {
		return nil
	}
	// Several answers are of several moments, and may be in any order.
	size := func(s signedHead) uint64 {
		cp, err := verify.OpenCheckpoint(s.checkpoint, s.key, nil, time.Time{})
		if err != nil {
			return 0 // See says so
		}
		return cp.Size
	}
	slices.SortStableFunc(checkpoints, func(x, y signedHead) int { return cmp.Compare(size(x), size(y)) })
	for _, s := range checkpoints {
		err := m.See(ctx, s.key, s.checkpoint, prove)
		switch {
		case errors.Is(err, seen.ErrState):
			return stateFailure(err)
		case err != nil:
			return m.caught(err)
		}
	}
	return m.keep(ctx)
}

// keep writes the state file. Another process that writes it is waited for.
func (m *memory) keep(ctx context.Context) error {
	for try := 1; ; try++ {
		err := m.Save()
		if err == nil {
			return nil
		}
		if !errors.Is(err, filelock.ErrHeld) || try == stateTries || m.a.env.Sleep(ctx, statePause) != nil {
			return stateFailure(err)
		}
	}
}

// errMisbehaviour is wrapped by what is said of a log that was caught.
var errMisbehaviour = errors.New("the log misbehaved")

// caught writes the evidence of what was caught. Other errors stay what they are.
func (m *memory) caught(err error) error {
	var c *follow.Caught
	if !errors.As(err, &c) {
		return err
	}
	name, problem := c.Evidence.Write(m.dir)
	if problem == nil {
		m.a.note("evidence in %s", filepath.Join(m.dir, name))
	}
	return &failure{code: exitMisbehaviour, err: errors.Join(fmt.Errorf("%w: %w", errMisbehaviour, err), problem),
		hint: "rely on nothing that this service shows; ask its operator, and others what they were shown (`avow prove-misbehaviour` checks the evidence)"}
}

// prover asks a service for consistency proofs. Call done when no more are needed.
func (a *app) prover(f *serverFlags) (prove seen.Prover, done func(), err error) {
	connection, err := a.dial(f)
	if err != nil {
		return nil, nil, err
	}
	prove = func(ctx context.Context, origin string, first, second uint64) ([][]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, f.timeout)
		defer cancel()
		var answer *avowv1.GetConsistencyProofResponse
		err := a.call(ctx, connection, func(ctx context.Context) (err error) {
			answer, err = avowv1.NewLogServiceClient(connection).GetConsistencyProof(ctx, &avowv1.GetConsistencyProofRequest{
				Origin: origin, FirstTreeSize: first, SecondTreeSize: second})
			return err
		})
		if err == nil && answer.GetOrigin() != origin {
			err = failed("the service is older than this command; --state none compares nothing",
				"the service does not prove that %s only grows", origin)
		}
		if err != nil {
			return nil, fmt.Errorf("consistency of %s: %w", origin, err)
		}
		return answer.GetHashes(), nil
	}
	return prove, func() { _ = connection.Close() }, nil // nothing is in flight any more
}
