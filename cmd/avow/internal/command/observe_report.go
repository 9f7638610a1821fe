package command

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/avow-dev/avow/attest/predicate/observation"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// printObservation prints the peers as a table and the gaps after it.
func (a *app) printObservation(o *observation.Observation) error {
	w := a.writer()
	var connections int64
	for i := range o.Peers {
		connections += o.Peers[i].Connections
	}
	w.Line("%s, %s, %s; seen from the %s", count(len(o.Peers), "peer"), count(int(connections), "connection"), spanOf(o), o.Vantage)
	if len(o.Peers) > 0 {
		w.Blank()
		rows := [][]string{{"PEER", "PORT", "COUNT", "SENT", "RECEIVED", "NAMED BY", "NOTES"}}
		for i := range o.Peers {
			rows = append(rows, peerRow(&o.Peers[i]))
		}
		columns(w, rows)
	}
	if len(o.Gaps) > 0 {
		w.Blank()
		w.Line("Not everything was seen:")
		for _, line := range gapLines(o.Gaps) {
			w.Item("  ", 20, line[0], line[1])
		}
	}
	return w.Err()
}

func spanOf(o *observation.Observation) string {
	if d := o.End.Sub(o.Start); d > 0 {
		return fmt.Sprintf("%s from %s", d.Round(time.Millisecond), o.Start.Format(time.RFC3339))
	}
	return "at " + o.Start.Format(time.RFC3339)
}

// gapLines says of each code how often, with the first details. The statement has all of them.
func gapLines(gaps []observation.Gap) [][2]string {
	const most = 3
	var lines [][2]string
	for len(gaps) > 0 {
		code, total, n := gaps[0].Code, int64(0), 0
		var details []string
		for ; n < len(gaps) && gaps[n].Code == code; n++ {
			total += gaps[n].Count
			if d := gaps[n].Detail; d != "" {
				details = append(details, text.Safe(d))
			}
		}
		if more := len(details) - most; more > 0 {
			details = append(details[:most], fmt.Sprintf("and %d more", more))
		}
		line := strings.Join(details, "; ")
		if total > 0 {
			line = strings.TrimSuffix(count(int(total), "time")+": "+line, ": ")
		}
		lines, gaps = append(lines, [2]string{code, line}), gaps[n:]
	}
	return lines
}

// peerRow is a peer in the columns of the table.
func peerRow(p *observation.Peer) []string {
	name := text.Safe(p.Name)
	if p.Direction == observation.Inbound {
		name = "from " + name
	}
	port := p.Transport
	if p.Port != 0 {
		port = fmt.Sprintf("%d/%s", p.Port, p.Transport)
	}
	return []string{name, port, strconv.FormatInt(p.Connections, 10), size(p.BytesOut), size(p.BytesIn), string(p.Naming), peerNotes(p)}
}

func peerNotes(p *observation.Peer) string {
	var notes []string
	if p.Application != "" {
		notes = append(notes, text.Safe(p.Application))
	}
	if p.TLSVersion != "" {
		notes = append(notes, "TLS "+p.TLSVersion)
	}
	if p.Failed > 0 {
		notes = append(notes, fmt.Sprintf("%d never answered", p.Failed))
	}
	if p.IntervalSeconds > 0 {
		notes = append(notes, "every "+(time.Duration(p.IntervalSeconds)*time.Second).String())
	}
	if p.Process != "" {
		notes = append(notes, "by "+text.Safe(p.Process))
	}
	if len(p.Candidates) > 0 {
		notes = append(notes, "one of "+text.Safe(strings.Join(p.Candidates, ", ")))
	}
	return strings.Join(notes, ", ")
}

// size is a number of bytes for people; ? if it was not counted.
func size(n *int64) string {
	if n == nil {
		return "?"
	}
	f, unit := float64(*n), "B"
	for _, next := range []string{"kB", "MB", "GB", "TB", "PB"} {
		if f < 1000 {
			break
		}
		f, unit = f/1000, next
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", *n)
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}

// columns prints rows with columns as wide as their widest cell.
func columns(w *text.Writer, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], text.Width(cell))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			if i > 0 {
				b.WriteString("  ")
			}
			b.WriteString(cell)
			b.WriteString(strings.Repeat(" ", widths[i]-text.Width(cell)))
		}
		w.Line("%s", strings.TrimRight(b.String(), " "))
	}
}
