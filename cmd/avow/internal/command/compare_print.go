package command

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify/compare"
)

// comparedJSON is compare's JSON.
type comparedJSON struct {
	Verified     bool         `json:"verified"`
	Clean        bool         `json:"clean"`
	Declared     declaredJSON `json:"declared"`
	Inputs       []inputJSON  `json:"inputs"`
	Undeclared   int          `json:"undeclared"`
	Unclassified int          `json:"unclassified"`
	*compare.Report
	Options compare.Options `json:"options"`
}

type declaredJSON struct {
	StatementID string       `json:"statementId"`
	Product     string       `json:"product"`
	Version     string       `json:"version"`
	InForce     bool         `json:"inForce"`
	NotInForce  string       `json:"notInForceBecause,omitempty"`
	Evidence    *diffedProof `json:"evidence,omitempty"` // only if verified
}

type inputJSON struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

func (a *app) printComparison(run *comparison, f format) error {
	st := run.declared.statement
	inForce, why := st.InForce(a.env.Now())
	product := st.DataFlows.Common.Product
	if f.json() {
		out := comparedJSON{Verified: run.verified, Clean: run.report.Clean(), Report: run.report, Options: run.inputs.Options,
			Undeclared: run.report.Count(compare.Undeclared), Unclassified: run.report.Count(compare.Unclassified),
			Declared: declaredJSON{StatementID: st.ID(), Product: product.Name, Version: product.Version, InForce: inForce, NotInForce: why}}
		if e := run.declared.evidence; e != nil {
			out.Declared.Evidence = &diffedProof{StatementID: e.StatementID, KeyID: e.KeyID, SignedBy: e.SignedBy.UTC().Format(time.RFC3339),
				LogOrigin: e.LogOrigin, LogIndex: fmt.Sprint(e.LogIndex)}
		}
		for _, file := range run.inputs.Files {
			out.Inputs = append(out.Inputs, inputJSON{Name: file.Name, SHA256: hex.EncodeToString(file.SHA256[:])})
		}
		return a.printJSON(out)
	}
	w := a.writer()
	verdict := w.Style(text.Green, "CLEAN")
	if !run.report.Clean() {
		verdict = w.Style(text.Red, "NOT CLEAN")
	}
	w.Line("%s  %s %s: %s", verdict, text.Safe(product.Name), text.Safe(product.Version), plain.ComparisonTally(run.report))
	if run.verified {
		w.Item("  ", 14, "Declared", st.ID()+", verified: "+fmt.Sprintf("entry %d of %s", run.declared.evidence.LogIndex, text.Safe(run.declared.evidence.LogOrigin)))
	} else {
		w.Item("  ", 14, "Declared", st.ID()+", "+w.Style(text.Yellow, "NOT VERIFIED")+": with --trusted-root and --key its bundle is verified first")
	}
	if !inForce {
		w.Item("  ", 14, "", "not in force now: "+text.Safe(why))
	}
	names := make([]string, len(run.inputs.Files))
	for i, file := range run.inputs.Files {
		names[i] = file.Name
	}
	plain.Comparison(w, run.report, names)
	return w.Err()
}
