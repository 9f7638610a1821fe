package command

import (
	"errors"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/avow-dev/avow/cmd/avow/internal/report"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// writeReport writes the items to standard output, or to the file of --output, whole or not at all.
func (a *app) writeReport(f *verifyFlags, items iter.Seq[report.Item], m report.Meta) error {
	write := func(w io.Writer) error { return report.Write(w, report.Format(f.format.String()), items, m) }
	if f.output == "" {
		m.Colours, m.Width = a.colours(), a.env.Width
		return buffered(a.env.Stdout, write)
	}
	err := writeOut(f.output, write)
	if err == nil {
		a.note("wrote %s", text.Safe(f.output))
	}
	return err
}

// writeOut writes a file in one step. A device or a pipe is written to as it is: it must not become a file.
func writeOut(path string, write func(io.Writer) error) error {
	info, err := os.Stat(path)
	switch {
	case err != nil || info.Mode().IsRegular():
		return writeFileBy(path, 0o644, write)
	case info.IsDir():
		return failed("name a file in it", "%s is a directory", path)
	}
	to, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(buffered(to, write), to.Close())
}

// notAnInput refuses to write over a file that is read: a report must not destroy what it is about.
func notAnInput(output string, inputs []string) error {
	written, err := os.Stat(output)
	if err != nil {
		return nil // nothing is there that could be destroyed
	}
	for _, path := range inputs {
		if read, err := os.Stat(path); err == nil && os.SameFile(written, read) {
			return failed("choose another file for the report", "--output %s is also an input", output)
		}
	}
	return nil
}

// answerFlags are the flags that say where the answer goes, or who else answers, and take a value.
var answerFlags = []string{"--format", "--output", "-o", "--at", "--attest-verdict", "--verdict-out", "--verdict-form",
	"--verdict-lifetime", "--verifier-id", "--with-verdict", "--verdict-key"}

// askAgain is the command line that asks the same question, at the same time of verification: what was given, without
// what only says where the answer goes.
func askAgain(args []string, at time.Time) []string {
	line, rest := []string{"avow"}, []string(nil)
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			rest = args[i:]
			break
		}
		name, _, joined := strings.Cut(args[i], "=")
		switch {
		case slices.Contains(answerFlags, name):
			if !joined {
				i++ // its value
			}
		case strings.HasPrefix(name, "-o"):
		default:
			line = append(line, args[i])
		}
	}
	if !at.IsZero() {
		line = append(line, "--at", at.UTC().Format(time.RFC3339))
	}
	return append(line, rest...)
}
