package command

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// killedAfter is how long after its end the output of a program is waited for: what it started may hold it open.
const killedAfter = 5 * time.Second

// Kinds of lines in the JSON of a guard. They are added to, and never change.
const (
	lineStart = "start" // an entry that was not accepted at the start
	lineWatch = "watching"
	lineFlip  = "flip"
)

// guardLine is a line of JSON about an entry.
type guardLine struct {
	Kind       string       `json:"kind"`
	At         time.Time    `json:"at"`
	Name       string       `json:"name"`
	Position   string       `json:"position"`
	SHA256     string       `json:"sha256,omitempty"`
	Before     guardVerdict `json:"before,omitempty"`
	Verdict    guardVerdict `json:"verdict"`
	Reason     string       `json:"reason,omitempty"`
	Detail     string       `json:"detail,omitempty"`
	Standing   string       `json:"standing,omitempty"`
	Statements []string     `json:"statements,omitempty"`
}

// watchLine says what is watched.
type watchLine struct {
	Kind         string `json:"kind"`
	Entries      int    `json:"entries"`
	Accepted     int    `json:"accepted"`
	Rejected     int    `json:"rejected"`
	NotEvaluated int    `json:"notEvaluated"`
}

func (e *guarded) line(kind string, before guardVerdict, at time.Time) guardLine {
	return guardLine{Kind: kind, At: at.UTC(), Name: e.item.Name, Position: e.item.Position, SHA256: e.sha256, Before: before, Verdict: e.verdict,
		Reason: string(e.reason), Detail: e.detail, Standing: e.standing, Statements: e.statements}
}

// name is what a person finds the entry by.
func (e *guarded) name() string {
	if e.item.Name == "" {
		return text.Safe(e.item.Position)
	}
	return text.Safe(e.item.Name)
}

// why is the reason of a verdict in a sentence.
func (e *guarded) why() string {
	switch {
	case e.verdict == verdictAccepted:
		return e.standing
	case e.reason == "":
		return text.Safe(e.detail)
	}
	return text.Safe(string(e.reason) + ": " + e.detail)
}

// count counts the entries by their verdicts.
func (g *guard) count() watchLine {
	l := watchLine{Kind: lineWatch, Entries: len(g.entries)}
	for _, e := range g.entries {
		switch e.verdict {
		case verdictAccepted:
			l.Accepted++
		case verdictRejected:
			l.Rejected++
		case verdictError:
			l.NotEvaluated++
		}
	}
	return l
}

// started says what is not accepted to begin with, and what is watched.
func (g *guard) started() error {
	now := g.a.env.Now()
	for _, e := range g.entries {
		if e.verdict == verdictAccepted {
			continue
		}
		if err := g.print(e.line(lineStart, "", now), fmt.Sprintf("%s: %s: %s", e.name(), e.verdict, e.why())); err != nil {
			return err
		}
	}
	l := g.count()
	return g.print(l, fmt.Sprintf("watching %d entries: %d accepted, %d rejected, %d not evaluated", l.Entries, l.Accepted, l.Rejected, l.NotEvaluated))
}

// exit is the one answer to the whole list, as of now.
func (g *guard) exit() error {
	l := g.count()
	switch {
	case l.NotEvaluated > 0:
		return failed("correct the list or what it refers to, and run it again", "%d of %d entries could not be evaluated", l.NotEvaluated, l.Entries)
	case l.Accepted != l.Entries:
		return no()
	}
	return nil
}

// print prints a line, as JSON or as text.
func (g *guard) print(line any, sentence string) error {
	if !g.format.json() {
		w := g.a.writer()
		w.Line("%s", sentence)
		return w.Err()
	}
	data, err := marshalLine(line)
	if err != nil {
		return err
	}
	_, err = g.a.env.Stdout.Write(append(data, '\n'))
	return err
}

// tell tells of verdicts that flipped. The error ends the command: one that was accepted is not any more, and nobody is to be called.
func (g *guard) tell(ctx context.Context, flips []flip) error {
	rejected, failing := false, 0
	for _, x := range flips {
		sentence := fmt.Sprintf("%s  %s: %s -> %s", x.at.UTC().Format(time.RFC3339), x.name(), x.before, x.verdict)
		if why := x.why(); why != "" {
			sentence += ": " + why
		}
		if err := g.print(x.line(lineFlip, x.before, x.at), sentence); err != nil {
			return err
		}
		if g.program != "" {
			if err := g.call(ctx, x); err != nil {
				g.a.note("%s of %s: %s", text.Safe(g.program), x.name(), text.Safe(firstLine(err.Error())))
			}
			continue
		}
		if x.before == verdictAccepted {
			rejected = rejected || x.verdict == verdictRejected
			failing++
		}
	}
	switch {
	case rejected:
		return no()
	case failing > 0:
		return failed("the line above says why; correct it, and run the command again", "%d entries that were accepted cannot be evaluated any more", failing)
	}
	return nil
}

// call runs the program about a flip, without a shell, and waits for it. What it prints goes to standard error: standard output is the
// guard's own.
func (g *guard) call(ctx context.Context, x flip) error {
	ctx, cancel := context.WithTimeout(ctx, g.limit)
	defer cancel()
	c := exec.CommandContext(ctx, g.program, g.arguments...) // #nosec G204 -- the user's own program, by argument
	c.WaitDelay = killedAfter
	c.Stdout, c.Stderr = g.a.env.Stderr, g.a.env.Stderr
	c.Env = append(withoutSecrets(g.a.env.Environ),
		"AVOW_FILE="+x.name(),
		"AVOW_POSITION="+text.Safe(x.item.Position),
		"AVOW_SHA256="+x.sha256,
		"AVOW_VERDICT="+string(x.verdict),
		"AVOW_BEFORE="+string(x.before),
		"AVOW_REASON="+string(x.reason),
		"AVOW_DETAIL="+text.Safe(x.detail),
		"AVOW_STANDING="+x.standing,
		"AVOW_STATEMENTS="+strings.Join(x.statements, " "),
		"AVOW_AT="+x.at.UTC().Format(time.RFC3339))
	err := c.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("killed after %s: %w", g.limit, err)
	}
	return err
}

// withoutSecrets is an environment without the passwords that avow itself reads there.
func withoutSecrets(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(s string) bool {
		name, _, _ := strings.Cut(s, "=")
		return name == passwordVariable || name == "AVOW_PKCS11_PIN"
	})
}
