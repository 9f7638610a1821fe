package logs

import (
	"encoding/json"
	"net/netip"
	"slices"
	"time"

	"github.com/avow-dev/avow/attest/observe/internal/record"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// hubble reads Cilium's flows as `hubble observe -o json` and `-o jsonpb` write
// them. A flow is one event of a connection.
type hubble struct {
	to   *record.Sink
	open map[connKey]*record.Conn
}

type hubbleFlow struct {
	Time    string `json:"time"`
	Verdict string `json:"verdict"`
	IP      struct {
		Source      string `json:"source"`
		Destination string `json:"destination"`
	} `json:"IP"`
	L4               map[string]hubblePorts `json:"l4"`
	DestinationNames []string               `json:"destination_names"`
	SourceNames      []string               `json:"source_names"`
	Direction        string                 `json:"traffic_direction"`
	IsReply          json.RawMessage        `json:"is_reply"`
	Reply            bool                   `json:"reply"`
	L7               *struct {
		DNS *hubbleDNS `json:"dns"`
	} `json:"l7"`
	Source struct {
		Pod       string `json:"pod_name"`
		Namespace string `json:"namespace"`
	} `json:"source"`
}

type hubblePorts struct {
	Source      uint16          `json:"source_port"`
	Destination uint16          `json:"destination_port"`
	Flags       map[string]bool `json:"flags"`
}

type hubbleDNS struct {
	Query  string   `json:"query"`
	IPs    []string `json:"ips"`
	TTL    uint32   `json:"ttl"`
	CNAMEs []string `json:"cnames"`
}

func (h *hubble) line(b []byte) bool {
	var outer struct {
		Flow *hubbleFlow `json:"flow"`
		Lost *struct {
			Events json.Number `json:"num_events_lost"`
		} `json:"lost_events"`
	}
	if b[0] != '{' || json.Unmarshal(b, &outer) != nil {
		return false
	}
	if outer.Lost != nil {
		n, _ := count(outer.Lost.Events.String())
		h.to.Gap("dropped", n, string(Hubble))
		return true
	}
	f := outer.Flow
	if f == nil {
		f = &hubbleFlow{}
		if json.Unmarshal(b, f) != nil {
			return false
		}
	}
	return h.flow(f)
}

func (f *hubbleFlow) reply() bool {
	if len(f.IsReply) == 0 || f.IsReply[0] != '{' {
		return f.Reply || string(f.IsReply) == "true"
	}
	var wrapped struct {
		Value bool `json:"value"`
	}
	return json.Unmarshal(f.IsReply, &wrapped) == nil && wrapped.Value
}

func (h *hubble) flow(f *hubbleFlow) bool {
	if f.L7 != nil && f.L7.DNS != nil {
		h.dns(rfc3339(f.Time), f.L7.DNS)
		return true
	}
	src, ok1 := parseAddr(f.IP.Source)
	dst, ok2 := parseAddr(f.IP.Destination)
	if !ok1 || !ok2 {
		return false
	}
	c := &record.Conn{Transport: "other", Begin: rfc3339(f.Time), End: rfc3339(f.Time)}
	var flags map[string]bool
	var ports hubblePorts
	for name, p := range f.L4 {
		c.Transport, ports, flags = transportOf(name), p, p.Flags
	}
	c.Client, c.Server = netip.AddrPortFrom(src, ports.Source), netip.AddrPortFrom(dst, ports.Destination)
	names := f.DestinationNames
	if f.reply() {
		c.Client, c.Server, names = c.Server, c.Client, f.SourceNames
	} else {
		c.Process = clip(f.Source.Namespace + "/" + f.Source.Pod)
		if f.Source.Pod == "" {
			c.Process = ""
		}
	}
	for _, name := range names {
		if host, ok := record.HostName(name); ok && !slices.Contains(c.Names, host) && len(c.Names) < 64 {
			c.Names, c.NamedBy = append(c.Names, host), observation.NamingLog
		}
	}
	c.Direction = hubbleDirection(f)
	c.Failed = f.Verdict == "DROPPED"
	h.event(c, flags["SYN"] && !flags["ACK"], f.reply())
	return true
}

// hubbleDirection is the connection's: that of a reply is the other one.
func hubbleDirection(f *hubbleFlow) string {
	switch {
	case f.Direction == "EGRESS" && !f.reply(), f.Direction == "INGRESS" && f.reply():
		return observation.Outbound
	case f.Direction == "INGRESS", f.Direction == "EGRESS":
		return observation.Inbound
	}
	return ""
}

// event joins the events of a connection. Dropped and forwarded ones are two.
func (h *hubble) event(c *record.Conn, opens, reply bool) {
	key := connKey{c.Transport + c.Direction, c.Client, c.Server}
	if c.Failed {
		key.transport += "!"
	}
	known := h.open[key]
	switch {
	case known == nil || opens && c.Begin.Sub(known.End) > time.Second:
		if known != nil {
			h.to.Conn(known)
		} else {
			c.Midstream = c.Transport == "tcp" && !opens && !c.Failed
		}
		if len(h.open) >= maxOpen && known == nil {
			h.to.Gap("evicted", 1, string(Hubble))
			h.to.Conn(c)
			return
		}
		h.open[key] = c
	default:
		if c.End.After(known.End) {
			known.End = c.End
		}
		if len(known.Names) == 0 {
			known.Names, known.NamedBy = c.Names, c.NamedBy
		}
		if known.Process == "" && !reply {
			known.Process = c.Process
		}
	}
}

func (h *hubble) dns(at time.Time, d *hubbleDNS) {
	h.to.Resolver()
	name, ok := record.HostName(d.Query)
	if !ok {
		return
	}
	var aliases []string
	for _, alias := range d.CNAMEs {
		if a, ok := record.HostName(alias); ok && len(aliases) < 16 {
			aliases = append(aliases, a)
		}
	}
	for _, ip := range d.IPs {
		if addr, ok := parseAddr(ip); ok {
			h.to.Answer(record.Answer{At: at, Name: name, Aliases: aliases, Addr: addr, TTL: time.Duration(d.TTL) * time.Second})
		}
	}
}

func (h *hubble) end() { flush(h.open, h.to) }
