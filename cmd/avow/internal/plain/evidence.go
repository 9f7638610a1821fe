package plain

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// The words for what a statement of predicate.EvidenceTypes is worth.
const (
	// EvidenceNote stands under a heading that EvidenceHeading returns.
	EvidenceNote = "Verified is who signed this, by when, and that it is logged and unchanged. What it says was seen is the signer's word; " +
		"nothing is declared by it."
	// maxListed is how many peers or tests are shown; the statement has all.
	maxListed = 16
)

// EvidenceHeading says whose word a statement of predicate.EvidenceTypes is.
func EvidenceHeading(st *predicate.Statement) string {
	if st.Type == predicate.TestResultType {
		return "test result by its signer, not verified"
	}
	return "observation by its signer, not verified"
}

// reused describes a statement of predicate.EvidenceTypes.
func reused(out *description, st *predicate.Statement) {
	if st.TestResult != nil {
		testResult(out, st.TestResult)
		return
	}
	o, err := observation.Parse(st.Payload())
	if err != nil {
		out.item("Observation", "cannot be read: "+text.Safe(err.Error()))
		return
	}
	out.item("Seen from", "the "+text.Safe(string(o.Vantage))+", "+o.Start.UTC().Format(time.RFC3339)+" to "+o.End.UTC().Format(time.RFC3339))
	out.item("Meanwhile", text.Safe(o.Event))
	for i := range o.Peers {
		label := ""
		if i == 0 {
			label = "Peers"
		}
		if i == maxListed {
			out.item("", fmt.Sprintf("and %d more", len(o.Peers)-i))
			break
		}
		p := &o.Peers[i]
		connections := "connections"
		if p.Connections == 1 {
			connections = "connection"
		}
		out.item(label, fmt.Sprintf("%s %s %s, %d %s", p.Direction, p.Transport, text.Safe(hostPort(p)), p.Connections, connections))
	}
	if len(o.Peers) == 0 {
		out.item("Peers", "none was seen")
	}
	for i := range o.Gaps {
		if i == maxListed {
			out.item("", fmt.Sprintf("and %d more", len(o.Gaps)-i))
			break
		}
		label := ""
		if i == 0 {
			label = "Not seen"
		}
		out.item(label, join(": ", text.Safe(o.Gaps[i].Code), text.Safe(o.Gaps[i].Detail)))
	}
}

// hostPort is name and port; a transport without ports has none.
func hostPort(p *observation.Peer) string {
	if p.Port == 0 {
		return p.Name
	}
	return net.JoinHostPort(p.Name, strconv.Itoa(p.Port))
}

func testResult(out *description, r *predicate.TestResult) {
	out.item("Result", strings.ToLower(text.Safe(r.Result)))
	for _, list := range []struct {
		label string
		tests []string
	}{{"Failed", r.Failed}, {"Warned", r.Warned}, {"Passed", r.Passed}} {
		for i, test := range list.tests {
			label := ""
			if i == 0 {
				label = list.label
			}
			if i == maxListed {
				out.item("", fmt.Sprintf("and %d more", len(list.tests)-i))
				break
			}
			out.item(label, text.Safe(test))
		}
	}
}
