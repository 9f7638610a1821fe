package plain

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify/compare"
)

// mostFindings is how many findings of one severity are printed. JSON has all.
const mostFindings = 100

// comparisonColumns are the questions about each declared flow.
var comparisonColumns = []text.Column{{Title: "FLOW", Weight: 3}, {Title: "SEEN", Weight: 2}, {Title: "PEERS", Weight: 1}, {Title: "CONNECTIONS", Weight: 1},
	{Title: "BYTES OUT", Weight: 1}, {Title: "BYTES IN", Weight: 1}, {Title: "SWITCH", Weight: 2}}

// ComparisonTally counts what a comparison found.
func ComparisonTally(r *compare.Report) string {
	deviations := 0
	for _, f := range r.Of(compare.Failure) {
		if f.Flow != "" || f.Peer == "" {
			deviations++
		}
	}
	return fmt.Sprintf("%d declared, %d undeclared, %d unclassified; %s, %s", r.Count(compare.Declared), r.Count(compare.Undeclared),
		r.Count(compare.Unclassified), count(deviations, "deviation", "deviations"), count(len(r.Of(compare.Warning)), "warning", "warnings"))
}

// Comparison prints what was observed and what is not as declared, failures first. names are the files of the
// observations.
func Comparison(w *text.Writer, r *compare.Report, names []string) {
	for i := range r.Observations {
		w.Item("  ", 14, "Observed", observed(&r.Observations[i], names[i]))
	}
	findings(w, "Not as declared", r.Of(compare.Failure), names)
	w.Heading("Declared flows")
	if len(r.Flows) == 0 {
		w.Line("  none")
	}
	rows := make([][]text.Cell, len(r.Flows))
	for i := range r.Flows {
		rows[i] = flowRow(&r.Flows[i])
	}
	if len(rows) > 0 && !w.Table("  ", comparisonColumns, rows) {
		for _, row := range rows {
			w.Item("  ", 4, strings.Join(row[0], " "), strings.Join(row[1], " ")+", "+strings.Join(row[2], " ")+" peers")
		}
	}
	findings(w, "Warnings", r.Of(compare.Warning), names)
}

func observed(s *compare.Source, name string) string {
	settings := ""
	for _, key := range slices.Sorted(maps.Keys(s.Settings)) {
		settings += " " + text.Safe(key) + "=" + text.Safe(s.Settings[key])
	}
	if settings != "" {
		settings = "settings" + settings
	}
	return join(", ", text.Safe(name)+": "+count(s.Peers, "peer", "peers"), "vantage "+text.Safe(string(s.Vantage)), text.Safe(s.Event),
		s.Start.UTC().Format(time.RFC3339)+" for "+s.End.Sub(s.Start).Round(time.Second).String(), settings)
}

func flowRow(f *compare.FlowResult) []text.Cell {
	status := map[compare.Status]string{compare.Seen: "as declared", compare.Deviating: "in another way", compare.Unseen: "never"}[f.Status]
	at := ""
	if !f.BytesMeasured {
		at = ">= "
	}
	id := text.Cell{text.Safe(f.ID)}
	if len(f.SharedWith) > 0 {
		id = append(id, "or "+text.Safe(strings.Join(f.SharedWith, ", ")))
	}
	return []text.Cell{id, {status}, {strconv.Itoa(f.Peers)}, {strconv.FormatInt(f.Connections, 10)},
		{at + strconv.FormatInt(f.BytesOut, 10)}, {at + strconv.FormatInt(f.BytesIn, 10)}, {f.Switch}}
}

func findings(w *text.Writer, title string, list []compare.Finding, names []string) {
	if len(list) == 0 {
		return
	}
	w.Heading(title)
	for i, f := range list {
		if i == mostFindings {
			w.Line("  and %d more; --format json has all", len(list)-i)
			break
		}
		where := ""
		if len(names) > 1 && f.Observation >= 0 {
			where = "in " + text.Safe(names[f.Observation])
		}
		flow := ""
		if f.Flow != "" {
			flow = "flow " + text.Safe(f.Flow)
		}
		w.Item("  ", 22, string(f.Code), join(", ", text.Safe(f.Peer), flow, where))
		if f.Peer == "" && f.Flow == "" && where == "" {
			w.Item("  ", 22, string(f.Code), text.Safe(f.Detail))
			continue
		}
		w.Item("  ", 22, "", text.Safe(f.Detail))
	}
}
