package command

import (
	"fmt"
	"strings"
)

// progressFrom is the number of bytes below which no progress is shown.
const progressFrom = 64 << 20

// progress is a line on the terminal that says how far a long reading is. Where standard error is no terminal it
// prints nothing.
type progress struct {
	a       *app
	what    string
	percent int64
	shown   bool
}

func (a *app) newProgress(what string) *progress { return &progress{a: a, what: what, percent: -1} }

func (p *progress) show(done, total int64) {
	if !p.a.env.ErrorIsTerminal || total < progressFrom {
		return
	}
	if percent := done * 100 / total; percent != p.percent {
		p.percent, p.shown = percent, true
		fmt.Fprintf(p.a.env.Stderr, "\r%s %3d%% of %d MiB", p.what, percent, total>>20)
	}
}

// count shows how many of a number of things are done.
func (p *progress) count(done, total int) {
	if !p.a.env.ErrorIsTerminal || total == 0 {
		return
	}
	if percent := int64(done) * 100 / int64(total); percent != p.percent || !p.shown {
		p.percent, p.shown = percent, true
		const width = 20
		bar := strings.Repeat("#", int(percent)*width/100)
		fmt.Fprintf(p.a.env.Stderr, "\r%s [%-*s] %d of %d", p.what, width, bar, done, total)
	}
}

// done takes the line away. It may be shown again.
func (p *progress) done() {
	if p.shown {
		p.shown = false
		fmt.Fprint(p.a.env.Stderr, "\r\x1b[K")
	}
}
