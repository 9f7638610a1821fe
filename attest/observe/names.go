package observe

import (
	"net/netip"
	"slices"
	"time"

	"github.com/avow-dev/avow/attest/observe/internal/record"
)

// The limits of what is remembered of name resolution. What exceeds them is
// counted as the gap namesLimit.
const (
	// maxWindows is the number of answers in all.
	maxWindows = 1_000_000
	// maxPerAddress is the number of answers about one address.
	maxPerAddress = 512
	// maxPerName is the number of addresses of one name that are remembered to
	// find conflicts.
	maxPerName = 4096
	// maxAnswerAge bounds the time for which an answer is said to be good.
	maxAnswerAge = 7 * 24 * time.Hour
)

// window is a time during which a name had an address.
type window struct {
	name    string
	aliases []string
	// from and until are nanoseconds since 1970. from is 0 where the source has
	// no times.
	from, until int64
}

// names is what was seen of name resolution.
type names struct {
	byAddress map[netip.Addr][]window
	byName    map[string]map[netip.Addr]bool
	count     int
	lost      int64
	// resolved is set if name resolution was seen at all.
	resolved bool
}

func newNames() *names {
	return &names{byAddress: map[netip.Addr][]window{}, byName: map[string]map[netip.Addr]bool{}}
}

func (n *names) add(a record.Answer) {
	n.resolved = true
	w := window{name: a.Name, aliases: a.Aliases}
	if year := a.At.Year(); year >= 1970 && year <= 2261 { // else there is none
		w.from = a.At.UnixNano()
		w.until = w.from + int64(min(a.TTL, maxAnswerAge))
	}
	addrs := n.byName[a.Name]
	if addrs == nil {
		addrs = map[netip.Addr]bool{}
		if len(n.byName) < maxWindows {
			n.byName[a.Name] = addrs
		}
	}
	if len(addrs) < maxPerName {
		addrs[a.Addr] = true
	}
	list := n.byAddress[a.Addr]
	for i := range slices.Backward(list) {
		if old := &list[i]; old.name == w.name && w.from <= old.until && w.from >= old.from {
			old.until = max(old.until, w.until) // asked again in time
			return
		}
	}
	if n.count >= maxWindows || len(list) >= maxPerAddress {
		n.lost++
		return
	}
	n.count++
	n.byAddress[a.Addr] = append(list, w)
}

// had reports whether a name ever had an address, as itself or as an alias.
func (n *names) had(addr netip.Addr, name string) bool {
	for _, w := range n.byAddress[addr] {
		if w.name == name || slices.Contains(w.aliases, name) {
			return true
		}
	}
	return false
}

// knows reports whether answers about the name were seen.
func (n *names) knows(name string) bool { return len(n.byName[name]) > 0 }

// at returns the names that an address had at a time: those of valid answers,
// or, if all had run out, that of the newest. Programs keep addresses for longer
// than they are told to. Without a time all names count.
func (n *names) at(addr netip.Addr, nanos int64) []string {
	var valid []string
	var newest *window
	list := n.byAddress[addr]
	for i := range list {
		w := &list[i]
		if nanos != 0 && w.from > nanos {
			continue
		}
		if nanos == 0 || w.from == 0 || nanos <= w.until {
			valid = append(valid, w.name)
		} else if newest == nil || w.until > newest.until {
			newest = w
		}
	}
	if len(valid) == 0 && newest != nil {
		for i := range list { // answers of the same moment do not say which of them was meant
			if w := &list[i]; w.until == newest.until && w.from <= nanos {
				valid = append(valid, w.name)
			}
		}
	}
	slices.Sort(valid)
	return slices.Compact(valid)
}

// all returns every name that an address ever had.
func (n *names) all(addr netip.Addr) []string { return n.at(addr, 0) }
