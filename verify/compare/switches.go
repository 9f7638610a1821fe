package compare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// separators stand between the name of a setting and its value in the words of
// a declaration.
var separators = []string{"=", ": ", ":", " = ", " "}

// turnsOff reports whether a setting with its value is the one that a flow's
// control declares, literally: the name with the value, or the name alone.
func turnsOff(declared, name, value string) bool {
	declared = strings.TrimSpace(declared)
	return name != "" && (declared == name ||
		slices.ContainsFunc(separators, func(s string) bool { return declared == name+s+value }))
}

// speaksOf reports whether a control's words are about the setting of a name,
// whatever its value.
func speaksOf(declared, name string) bool {
	declared = strings.TrimSpace(declared)
	return name != "" && (declared == name ||
		slices.ContainsFunc(separators, func(s string) bool { return strings.HasPrefix(declared, name+s) }))
}

// switchedOff are the ids of the flows that the settings of an observation
// should stop. What is off by default is turned on by a setting, not off.
func (c *comparison) switchedOff(declared *predicate.DataFlows, ob *observation.Observation) map[string]*predicate.Flow {
	off := map[string]*predicate.Flow{}
	for i := range declared.Flows {
		f := &declared.Flows[i]
		control := &f.Activation.Control
		if f.Activation.DefaultState == "off" || control.Possible != "yes" && control.Possible != "partly" {
			continue
		}
		for name, value := range ob.Settings {
			if turnsOff(control.Setting, name, value) || slices.Contains(c.options.Switches[name], f.ID) {
				off[f.ID] = f
			}
		}
	}
	return off
}

// switches looks at every observation with a setting that should stop a flow.
func (c *comparison) switches(declared *predicate.DataFlows) {
	seen := make([]map[string]bool, len(c.observed)) // by observation: the flows that were seen
	for n := range c.observed {
		seen[n] = map[string]bool{}
	}
	for i := range c.report.Peers {
		for _, id := range c.report.Peers[i].Flows {
			seen[c.report.Peers[i].Observation][id] = true
		}
	}
	off := make([]map[string]*predicate.Flow, len(c.observed))
	for n, ob := range c.observed {
		off[n] = c.switchedOff(declared, ob)
	}
	for n := range c.observed {
		for i := range c.report.Flows {
			f := &c.report.Flows[i]
			if flow := off[n][f.ID]; flow != nil {
				c.oneSwitch(n, f, flow, off, seen)
			}
		}
	}
}

// oneSwitch judges one flow in one observation in which it should not be.
func (c *comparison) oneSwitch(n int, f *FlowResult, flow *predicate.Flow, off []map[string]*predicate.Flow, seen []map[string]bool) {
	if !seen[n][f.ID] {
		without := false
		for m := range c.observed {
			without = without || off[m][f.ID] == nil && seen[m][f.ID]
		}
		if without {
			f.setSwitch("effective")
			return
		}
		f.setSwitch("notExercised")
		c.add(Finding{Code: SwitchNotExercised, Severity: Warning, Observation: n, Flow: f.ID,
			Detail: "not seen with " + flow.Activation.Control.Setting + ", and not without it either: nothing shows what the setting does"})
		return
	}
	peer := c.evidence(n, f.ID, off[n])
	setting := fmt.Sprintf("switched off by %q", flow.Activation.Control.Setting)
	switch {
	case peer == "":
		f.setSwitch("shared")
		c.add(Finding{Code: SwitchShared, Severity: Warning, Observation: n, Flow: f.ID,
			Detail: setting + ", and its peers were seen; flows that are on have the same peers, so that nobody can tell"})
	case flow.Activation.Control.Possible == "partly":
		f.setSwitch("partly")
		c.add(Finding{Code: SwitchPartly, Severity: Warning, Observation: n, Flow: f.ID, Peer: peer,
			Detail: setting + ", which is declared to stop a part of it; still seen"})
	default:
		f.setSwitch("ineffective")
		f.Status = Deviating
		c.add(Finding{Code: SwitchIneffective, Observation: n, Flow: f.ID, Peer: peer, Detail: setting + ", and still seen"})
	}
}

// evidence is a peer of an observation that only flows explain which are
// switched off there, "" if there is none.
func (c *comparison) evidence(n int, id string, off map[string]*predicate.Flow) string {
	for i := range c.report.Peers {
		r := &c.report.Peers[i]
		if r.Observation == n && slices.Contains(r.Flows, id) &&
			!slices.ContainsFunc(r.Flows, func(other string) bool { return off[other] == nil }) {
			if !slices.Contains(r.Codes, SwitchIneffective) && off[id].Activation.Control.Possible == "yes" {
				r.Codes = append(r.Codes, SwitchIneffective)
			}
			return PeerName(r.Peer)
		}
	}
	return ""
}

// setSwitch keeps the worst of several observations.
func (f *FlowResult) setSwitch(s string) {
	order := []string{"", "notExercised", "effective", "shared", "partly", "ineffective"}
	if slices.Index(order, s) > slices.Index(order, f.Switch) {
		f.Switch = s
	}
}
