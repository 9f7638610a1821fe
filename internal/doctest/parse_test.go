package doctest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// command is one command of a document and what the document says about it.
type command struct {
	line       int      // of the document, from 1
	text       string   // as written, without the prompt; several lines if it is continued
	want       []string // the output as documented
	exit       int      // the exit code as documented
	needs      string   // programs without which the command is left out, with commas between them, or empty
	background bool
}

const prompt = "$ "

var (
	fence     = regexp.MustCompile("^(\\s*)```\\s*(.*?)\\s*$")
	exitNote  = regexp.MustCompile(`\s# exit (\d+)$`)
	hereBegin = regexp.MustCompile(`<<-?\s*(?:'(\w+)'|"(\w+)"|(\w+))`)
	leftOut   = regexp.MustCompile(`^(git clone|go (build|get|install|test))\b`)
)

// parse reads the commands of a document. A block that could not be run as it is meant is an error: silence would hide it.
func parse(document string) ([]command, error) {
	p := parser{lines: strings.Split(document, "\n")}
	for p.next < len(p.lines) {
		m := fence.FindStringSubmatch(p.lines[p.next])
		p.next++
		if m == nil {
			continue
		}
		needs, console, err := marked(m[2])
		if err == nil && console && m[1] != "" {
			err = fmt.Errorf("a console block must not be indented")
		}
		if err != nil {
			return nil, fmt.Errorf("%d: %w", p.next, err)
		}
		if err := p.block(console, needs); err != nil {
			return nil, err
		}
	}
	return p.commands, nil
}

// marked says what the words after the opening fence mean.
func marked(info string) (needs string, console bool, err error) {
	words := strings.Fields(info)
	if len(words) == 0 || words[0] != "console" {
		return "", false, nil
	}
	for _, word := range words[1:] {
		program, ok := strings.CutPrefix(word, "needs=")
		if !ok || program == "" {
			return "", false, fmt.Errorf("got %q after console, want needs=PROGRAM[,PROGRAM]", word)
		}
		needs = program
	}
	return needs, true, nil
}

type parser struct {
	lines    []string
	next     int // index of the first line that was not read
	commands []command
}

// block reads up to the closing fence, and the commands if the block is one of commands.
func (p *parser) block(console bool, needs string) error {
	opened, first := p.next, len(p.commands)
	for p.next < len(p.lines) {
		line := p.lines[p.next]
		p.next++
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			return nil
		case !console:
		case strings.HasPrefix(line, prompt):
			if err := p.command(strings.TrimPrefix(line, prompt), needs); err != nil {
				return err
			}
		case len(p.commands) == first:
			return fmt.Errorf("%d: output %q before the first command of the block", p.next, line)
		default:
			last := &p.commands[len(p.commands)-1]
			last.want = append(last.want, line)
		}
	}
	return fmt.Errorf("%d: the block is not closed", opened)
}

// command reads one command with the lines that continue it. p.next is behind its first line.
func (p *parser) command(text, needs string) error {
	c := command{line: p.next, needs: needs}
	for strings.HasSuffix(text, `\`) {
		if p.next == len(p.lines) {
			return fmt.Errorf("%d: nothing continues the command", c.line)
		}
		text += "\n" + p.lines[p.next]
		p.next++
	}
	if m := exitNote.FindStringSubmatch(text); m != nil {
		c.exit, _ = strconv.Atoi(m[1]) // digits only; one that overflows matches no exit code
	}
	plain := strings.TrimSpace(exitNote.ReplaceAllString(text, ""))
	c.background = strings.HasSuffix(plain, "&") && !strings.HasSuffix(plain, "&&")
	for _, m := range hereBegin.FindAllStringSubmatch(text, -1) {
		end := m[1] + m[2] + m[3]
		for {
			if p.next == len(p.lines) || strings.HasPrefix(p.lines[p.next], "```") {
				return fmt.Errorf("%d: no line %q ends the here-document", c.line, end)
			}
			line := p.lines[p.next]
			p.next++
			text += "\n" + line
			if line == end {
				break
			}
		}
	}
	c.text = text
	p.commands = append(p.commands, c)
	return nil
}

var ownProgram = regexp.MustCompile(`\bgo run \./cmd/(avowd?)\b`)

// runnable puts the built programs in the place of "go run".
func runnable(text string) string { return ownProgram.ReplaceAllString(text, "$1") }
