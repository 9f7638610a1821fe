package plain

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// flowColumns are the questions that a reader has about each flow.
var flowColumns = [...]text.Column{
	{Title: "FLOW", Weight: 3}, {Title: "WHO RECEIVES", Weight: 3}, {Title: "WHAT", Weight: 4}, {Title: "WHERE", Weight: 5},
	{Title: "WHY", Weight: 3}, {Title: "SWITCHING IT OFF", Weight: 4},
}

func dataFlows(out *description, d *predicate.DataFlows) {
	scope(out, &d.Scope)
	out.item("Network", "the product "+word("networkUse", d.NetworkUse))
	out.item("The list is", completeness(d.Completeness))
	flows := out.section("Data flows")
	if len(d.Flows) == 0 {
		flows.Note = "The vendor lists no flow."
	} else {
		flows.Columns = flowColumns[:]
	}
	for i := range d.Flows {
		f := &d.Flows[i]
		flows.Rows = append(flows.Rows, []text.Cell{flow(f), receivers(f), data(f), where(f), why(f), off(f)})
	}
	evidence(out, d.Evidence)
}

func flow(f *predicate.Flow) text.Cell {
	return text.Cell{text.Safe(f.ID), text.Safe(f.Title)}
}

func receivers(f *predicate.Flow) text.Cell {
	if len(f.Recipients) == 0 {
		return text.Cell{notStated}
	}
	var cell text.Cell
	for i := range f.Recipients {
		r := &f.Recipients[i]
		if r.Party == nil {
			cell = append(cell, word("recipientRole", r.Role))
			continue
		}
		cell = append(cell, party(r.Party)+" ("+word("recipientRole", r.Role)+")")
	}
	return cell
}

func data(f *predicate.Flow) text.Cell {
	var cell text.Cell
	for i := range f.Sends {
		cell = append(cell, "sends "+item(&f.Sends[i]))
	}
	if len(f.Sends) == 0 {
		absent := "sends nothing"
		if f.Sends == nil {
			absent = "what it sends is " + notStated
		}
		cell = append(cell, absent)
	}
	for i := range f.Receives {
		cell = append(cell, "receives "+item(&f.Receives[i]))
	}
	return cell
}

func item(d *predicate.DataItem) string {
	return word("dataCategory", d.Category) + ": " + text.Safe(d.Description) + " (" + word("personal", d.Personal) + ", " +
		word("linked", d.Linked) + ")"
}

// where says which hosts are contacted, and where and how long the data is kept and from where it can be read.
func where(f *predicate.Flow) text.Cell {
	var cell text.Cell
	for i := range f.Endpoints {
		cell = append(cell, endpoint(&f.Endpoints[i]))
	}
	for i := range f.Recipients {
		r := &f.Recipients[i]
		if ownSystem(r) {
			continue
		}
		cell = append(cell, keeping(r))
	}
	return cell
}

// ownSystem reports whether it is a system that the customer runs and of which nothing is said: its members are optional.
func ownSystem(r *predicate.Recipient) bool {
	return r.Role == "customer" && len(r.Storage)+len(r.AccessFrom) == 0 && r.Retention == nil
}

// keeping says where a recipient keeps the data, who can read it there and for how long.
func keeping(r *predicate.Recipient) string {
	return join(", ", "stored "+places("in ", r.Storage), "readable "+places("from ", r.AccessFrom), retention(r.Retention))
}

func retention(r *predicate.Retention) string {
	if r == nil {
		return word("retentionKind", "unspecified")
	}
	if r.Kind == "days" && r.Days != nil {
		return "kept for " + strconv.Itoa(*r.Days) + " days"
	}
	return word("retentionKind", r.Kind)
}

func endpoint(e *predicate.Endpoint) string {
	switch e.Kind {
	case "host", "suffix", "cidr":
	default:
		return join(" ", word("endpointKind", e.Kind), text.Safe(e.Setting), text.Safe(e.Value))
	}
	name := text.Safe(e.Value)
	if e.Kind == "suffix" {
		name = "any name under " + name
	}
	ports := make([]string, len(e.Ports))
	for i, p := range e.Ports {
		ports[i] = strconv.Itoa(p)
	}
	if len(ports) > 0 {
		name += " port " + strings.Join(ports, ", ")
	}
	encryption := ""
	if e.TLS != nil {
		encryption = word("tlsRequirement", e.TLS.Requirement)
		if e.TLS.Verification == "none" {
			encryption += ", peer not verified"
		}
	}
	return join(", ", name, text.Safe(e.Application), encryption)
}

func why(f *predicate.Flow) text.Cell {
	cell := text.Cell{words("purpose", f.Purposes)}
	if f.PurposeText != "" {
		cell = append(cell, text.Safe(f.PurposeText))
	}
	return append(cell, word("necessity", f.Necessity))
}

// off says whether the flow is on, what makes it happen, and how to switch it off.
func off(f *predicate.Flow) text.Cell {
	a := f.Activation
	trigger := word("trigger", a.Trigger)
	if a.IntervalSeconds != nil {
		trigger += ", every " + period(*a.IntervalSeconds)
	}
	return text.Cell{word("defaultState", a.DefaultState) + ", " + trigger + ", " + word("consent", a.Consent),
		control(a.Control)}
}

// period says seconds in the largest unit that fits without a rest.
func period(seconds int) string {
	for _, u := range []struct {
		seconds int
		name    string
	}{{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}} {
		if n := seconds / u.seconds; n > 0 && seconds%u.seconds == 0 {
			if n == 1 {
				return u.name
			}
			return fmt.Sprintf("%d %ss", n, u.name)
		}
	}
	return strconv.Itoa(seconds) + " seconds"
}
