package command

import (
	"bufio"
	"io"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/avow-dev/avow/cmd/avow/internal/report"
)

// writeReport writes the items to standard output, or to the file of --output, whole or not at all.
func (a *app) writeReport(f *verifyFlags, items iter.Seq[report.Item], m report.Meta) error {
	if f.output != "" && f.output != "-" {
		err := writeFileBy(f.output, 0o644, func(w io.Writer) error {
			return report.Write(w, report.Format(f.format.String()), items, m)
		})
		if err == nil {
			a.note("wrote %s", f.output)
		}
		return err
	}
	m.Colours, m.Width = a.colours(), a.env.Width
	w := bufio.NewWriter(a.env.Stdout)
	if err := report.Write(w, report.Format(f.format.String()), items, m); err != nil {
		return err
	}
	return w.Flush()
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
		case name == "--format" || name == "--output" || name == "--at" || name == "-o":
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
