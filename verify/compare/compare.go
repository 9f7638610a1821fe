package compare

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// comparison is one run of Compare.
type comparison struct {
	options  *Options
	observed []*observation.Observation
	report   *Report
	index    *index
	flows    map[string]*FlowResult // by id
	warnings []Finding
	found    [][]rule        // used again for each peer
	alone    map[Code][]Code // lists of one code, which peers share
	// here are facts about the observation at hand.
	here sight
}

// sight is what an observation can show.
type sight struct {
	number  int
	of      *observation.Observation
	tls     bool // TLS would be seen
	startup bool // the beginning of the observation is that of the program
}

// Compare judges observations by a declaration. See the package's contract. The
// pointers must not be nil; [Options.Validate] says whether the options fit.
func Compare(declared *predicate.DataFlows, observed []*observation.Observation, o Options) *Report {
	c := &comparison{options: &o, observed: observed, report: &Report{Findings: []Finding{}}, flows: map[string]*FlowResult{},
		alone: map[Code][]Code{}}
	c.report.Flows = make([]FlowResult, len(declared.Flows))
	for i := range declared.Flows {
		f := &declared.Flows[i]
		c.report.Flows[i] = FlowResult{ID: f.ID, Title: f.Title, Status: Unseen, BytesMeasured: true}
		c.flows[f.ID] = &c.report.Flows[i]
	}
	c.index = newIndex(declared, c.options, c.add)
	total := 0
	for _, ob := range observed {
		total += len(ob.Peers)
	}
	c.report.Peers = make([]PeerResult, 0, total)
	for n, ob := range observed {
		c.observation(n, ob)
	}
	c.switches(declared)
	c.conclude()
	return c.report
}

func (c *comparison) add(f Finding) {
	if f.Severity == Warning {
		c.warnings = append(c.warnings, f)
		return
	}
	c.report.Findings = append(c.report.Findings, f)
}

// observation classes the peers of one observation.
func (c *comparison) observation(n int, ob *observation.Observation) {
	c.report.Observations = append(c.report.Observations, Source{Vantage: ob.Vantage, Event: ob.Event, Settings: ob.Settings,
		Start: ob.Start, End: ob.End, Peers: len(ob.Peers), Gaps: ob.Gaps})
	for _, gap := range ob.Gaps {
		severity := Warning
		if c.options.FailOnGaps {
			severity = Failure
		}
		c.add(Finding{Code: Gap, Severity: severity, Observation: n, Detail: strings.TrimSuffix(fmt.Sprintf("%s, %d times: %s", gap.Code, gap.Count, gap.Detail), ": ")})
	}
	c.here = sight{number: n, of: ob, tls: seesTLS(ob)}
	// Only there is the beginning of the observation that of the program.
	c.here.startup = (ob.Vantage == observation.VantageProcess || ob.Vantage == observation.VantageNamespace) && c.options.StartupWindow >= 0
	for i := range ob.Peers {
		c.peer(&ob.Peers[i])
	}
}

// seesTLS reports whether the observer would have seen a TLS hello: it read
// packets, or it did see one.
func seesTLS(ob *observation.Observation) bool {
	packets := func(s observation.Source) bool { return strings.HasPrefix(s.Kind, "pcap") }
	hello := func(p observation.Peer) bool { return p.TLSVersion != "" }
	return slices.ContainsFunc(ob.Sources, packets) || slices.ContainsFunc(ob.Peers, hello)
}

func (c *comparison) peer(p *observation.Peer) {
	c.report.Peers = append(c.report.Peers, PeerResult{Observation: c.here.number, Peer: p})
	result := &c.report.Peers[len(c.report.Peers)-1]
	lists, near := c.index.find(p, c.found[:0])
	c.found = lists
	if len(lists) == 0 {
		c.unexpected(result, near)
	} else {
		result.Class = Declared
		for _, list := range lists {
			c.judge(result, list)
		}
		c.count(result)
	}
}

// unexpected says why a peer is not declared.
func (c *comparison) unexpected(r *PeerResult, near []rule) {
	p := r.Peer
	code, detail := NotDeclared, "no endpoint of the declaration names it"
	switch {
	case len(near) > 0:
		code, detail = nearly(p, near)
	case !p.Naming.Named():
		r.Class = Unclassified
		code, detail = NoName, noName(p)
	}
	if r.Class == "" {
		r.Class = Undeclared
	}
	if c.alone[code] == nil {
		c.alone[code] = []Code{code}
	}
	r.Codes = c.alone[code]
	c.add(Finding{Code: code, Observation: c.here.number, Peer: PeerName(p), Detail: detail})
}

// nearly says what keeps a rule that names the peer from accepting it.
func nearly(p *observation.Peer, near []rule) (Code, string) {
	r := &near[0]
	if i := slices.IndexFunc(near, func(r rule) bool { return r.transport(p) }); i >= 0 {
		r = &near[i]
		return PortNotDeclared, fmt.Sprintf("flow %s declares %s for %s ports %v, seen at port %d", r.flow.ID, r.said, r.e.Transport, r.e.Ports, p.Port)
	}
	return TransportNotDeclared, fmt.Sprintf("flow %s declares %s for %s, seen by %s", r.flow.ID, r.said, cmp.Or(r.e.Transport, "no transport"), p.Transport)
}

func noName(p *observation.Peer) string {
	const block = "; no declared block has the address"
	switch p.Naming {
	case observation.NamingDirect:
		return "the program connected to an address that no name resolution gave it" + block
	case observation.NamingEncrypted:
		return "the program resolves names where the observer cannot see it" + block
	case observation.NamingAmbiguous:
		return fmt.Sprintf("the address had %d names at the time: %s%s", len(p.Candidates), strings.Join(p.Candidates[:min(len(p.Candidates), 8)], ", "), block)
	}
	return "no name resolution was seen" + block
}

// judge compares a peer with the rules of its longest match. It is as declared
// if it is so by one of them; then it belongs to those flows.
func (c *comparison) judge(r *PeerResult, list []rule) {
	fine, all := 0, true
	for i := range list {
		if c.deviation(r.Peer, &list[i], nil) {
			all = false
		} else {
			fine++
		}
	}
	chosen := list
	if fine > 0 && !all {
		chosen = slices.DeleteFunc(slices.Clone(list), func(l rule) bool { return c.deviation(r.Peer, &l, nil) })
	}
	if r.Endpoint == "" {
		r.Endpoint = chosen[0].said
	}
	r.Flows = c.join(r.Flows, chosen)
	if fine > 0 {
		c.remark(r.Peer, &chosen[0])
		return
	}
	c.deviation(r.Peer, &list[0], func(code Code, detail string) {
		if !slices.Contains(r.Codes, code) {
			r.Codes = append(r.Codes, code)
			c.add(Finding{Code: code, Observation: c.here.number, Peer: PeerName(r.Peer), Flow: list[0].flow.ID, Detail: detail})
		}
	})
}

// join adds the ids of the rules' flows. Peers of one rule share its list.
func (c *comparison) join(have []string, list []rule) []string {
	if len(have) == 0 && len(list) == 1 {
		return list[0].own
	}
	have = slices.Clone(have)
	for i := range list {
		if id := list[i].flow.ID; !slices.Contains(have, id) {
			have = append(have, id)
		}
	}
	return have
}

// count adds a peer to its flows.
func (c *comparison) count(r *PeerResult) {
	for _, id := range r.Flows {
		f := c.flows[id]
		f.Peers++
		f.Connections += r.Peer.Connections
		f.BytesMeasured = f.BytesMeasured && r.Peer.BytesIn != nil && r.Peer.BytesOut != nil
		if r.Peer.BytesIn != nil {
			f.BytesIn += *r.Peer.BytesIn
		}
		if r.Peer.BytesOut != nil {
			f.BytesOut += *r.Peer.BytesOut
		}
		if len(r.Codes) > 0 {
			f.Status = Deviating
		} else if f.Status == Unseen {
			f.Status = Seen
		}
		for _, other := range r.Flows {
			if other != f.ID && !slices.Contains(f.SharedWith, other) {
				f.SharedWith = append(f.SharedWith, other)
			}
		}
	}
}

// conclude adds what was not seen, and puts failures first.
func (c *comparison) conclude() {
	for i := range c.report.Flows {
		if f := &c.report.Flows[i]; f.Status == Unseen {
			c.add(Finding{Code: NeverSeen, Severity: Warning, Observation: -1, Flow: f.ID, Detail: "declared and not seen in any observation"})
		}
	}
	c.report.Findings = append(c.report.Findings, c.warnings...)
}
