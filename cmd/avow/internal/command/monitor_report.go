package command

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/cmd/avow/internal/monitor"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// maxTold bounds what a long run remembers to have said.
const maxTold = 10_000

// findings prints and posts what a monitor finds.
type findings struct {
	app     *app
	ctx     context.Context // the monitor calls back without one
	format  format
	webhook *follow.Webhook
	once    bool
	// dir is where the evidence is.
	dir string
	// told are the findings that were told in this run.
	told map[string]bool
	// worst is the exit code for what was found in this round.
	worst int
}

// tell prints a finding, and posts it. In a run that goes on each is told once; an outage that lasts is told in every
// round, because it is news that it lasts.
func (o *findings) tell(f follow.Finding) error {
	switch f.Class {
	case follow.Misbehaviour:
		o.worst = exitMisbehaviour
	case follow.Unexpected:
		o.worst = max(o.worst, exitNo)
	}
	if f.Evidence != "" {
		f.Evidence = filepath.Join(o.dir, f.Evidence)
	}
	line, err := json.Marshal(f)
	// The same finding is the same, whatever the size of the tree is by now.
	key := string(f.Code) + " " + f.Detail + " " + f.Evidence
	if f.Entry != nil {
		key += " " + strconv.FormatUint(f.Entry.Index, 10)
	}
	if err != nil || o.told[key] {
		return err
	}
	if err := o.print(f, line); err != nil {
		return err
	}
	if o.webhook != nil {
		if err := o.webhook.Send(o.ctx, f); err != nil {
			return err
		}
	}
	if f.Class != follow.Unchecked {
		if len(o.told) >= maxTold {
			clear(o.told)
		}
		o.told[key] = true
	}
	return nil
}

// print writes a finding to standard output. In text an outage is on standard error, where --once says it anyway.
func (o *findings) print(f follow.Finding, line []byte) error {
	if o.format.json() {
		_, err := fmt.Fprintln(o.app.env.Stdout, text.EscapeJSON(string(line)))
		return err
	}
	if f.Class == follow.Unchecked {
		if !o.once {
			o.app.note("%s: %s", f.Class, text.Safe(f.Detail))
		}
		return nil
	}
	w := o.app.writer()
	w.Line("%s %s: %s", f.Class, f.Code, text.Safe(f.Detail))
	const column = 12
	item := func(label, s string) { w.Item("  ", column, label, text.Safe(s)) }
	if e := f.Entry; e != nil {
		item("entry", strconv.FormatUint(e.Index, 10))
		item("statement", e.StatementID)
		item("type", e.PredicateType)
		item("key", e.KeyID)
		if e.Identity != nil {
			item("identity", e.Identity.SAN+" by "+e.Identity.Issuer)
		}
		for _, product := range e.Products {
			item("product", product)
		}
	}
	item("evidence", f.Evidence)
	return w.Err()
}

// checked says how far the log was looked at. It is no finding and is not posted.
func (o *findings) checked(sum monitor.Summary) error {
	f := follow.Finding{Code: follow.CodeChecked, Class: follow.Notice, Origin: sum.Origin, Size: sum.Size,
		Detail: fmt.Sprintf("%s: %d entries, %d of them new; all of them checked", sum.Origin, sum.Size, sum.Size-sum.From)}
	line, err := json.Marshal(f)
	if err == nil && (o.format.json() || o.once || sum.Size != sum.From) {
		err = o.print(f, line)
	}
	return err
}

// waiting notes that a request is tried again.
func (o *findings) waiting(cause error, pause time.Duration) {
	o.app.note("%s; trying again in %s", text.Safe(cause.Error()), pause)
}
