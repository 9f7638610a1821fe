package observecorpus

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/avow-dev/avow/attest/observe"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
	"github.com/avow-dev/avow/verify/compare"
)

// label says what is in a recording.
type label struct {
	Program string   `json:"program"`
	What    string   `json:"what"`
	Local   []string `json:"local"` // addresses of the program
	Peers   []truth  `json:"peers"`
}

// truth is a peer. Those of the resolver that every program asks are left out.
type truth struct {
	Name      string             `json:"destinationName"`
	Port      int                `json:"destinationPort,omitempty"`
	Transport string             `json:"transport"`
	Naming    observation.Naming `json:"naming"`
	// Declared says what the peer is in truth. Whoever only sees packets may be
	// unable to tell, and then has to say so.
	Declared bool          `json:"declared"`
	Class    compare.Class `json:"class"`
}

func (t truth) String() string {
	return fmt.Sprintf("%s %s:%d %s", t.Transport, t.Name, t.Port, t.Naming)
}

// resolverSetting is how the declaration calls the resolvers of the system.
const resolverSetting = "the resolvers of the operating system"

// declaration is what every recording is compared with.
func declaration() *predicate.DataFlows {
	tls := &predicate.TLS{Requirement: "required", MinVersion: "1.2", Verification: "systemRoots"}
	endpoints := map[string]predicate.Endpoint{
		"updates":  {Kind: "host", Value: "updates.acme.example", Transport: "tcp", Ports: []int{443}, Application: "https", TLS: tls},
		"cdn":      {Kind: "host", Value: "cdn.acme.example", Transport: "tcp", Ports: []int{443}, Application: "https", TLS: tls},
		"h3":       {Kind: "host", Value: "quic.acme.example", Transport: "udp", Ports: []int{443}, Application: "https", TLS: tls},
		"time":     {Kind: "host", Value: "time.acme.example", Transport: "udp", Ports: []int{123}, Application: "ntp"},
		"api":      {Kind: "suffix", Value: "api.acme.example", Transport: "tcp", Ports: []int{443}, Application: "https", TLS: tls},
		"brokers":  {Kind: "cidr", Value: "198.51.100.0/28", Transport: "tcp", Ports: []int{8883}, Application: "secure-mqtt", TLS: tls},
		"resolver": {Kind: "discovered", Setting: resolverSetting},
	}
	d := &predicate.DataFlows{NetworkUse: "some"}
	for id, e := range endpoints {
		d.Flows = append(d.Flows, predicate.Flow{ID: id, Title: id, Initiator: "product", DataDirection: "both", Endpoints: []predicate.Endpoint{e},
			Activation: predicate.Activation{DefaultState: "on", Trigger: "startup", Control: predicate.Control{Possible: "no", By: "nobody"}}})
	}
	return d
}

// resolver is where the recorder answers.
var resolver = netip.MustParseAddr("127.0.0.53")

func options() compare.Options {
	target, err := compare.ParseTarget(resolver.String())
	if err != nil {
		panic(err) // a constant
	}
	return compare.Options{Configured: map[string][]compare.Target{resolverSetting: {target}}}
}

// summarise reads a recording as avow observe run does.
func summarise(t *testing.T, path string, local []string) *observation.Observation {
	t.Helper()
	o := observe.Options{Subjects: []predicate.Subject{{Name: "program", Digest: map[string]string{"sha256": strings.Repeat("00", 32)}}},
		Vantage: observation.VantageNamespace, Alone: true}
	for _, s := range local {
		a := netip.MustParseAddr(s)
		o.Local = append(o.Local, netip.PrefixFrom(a, a.BitLen()))
	}
	got, err := observe.Observe(t.Context(), []observe.Input{{Name: filepath.Base(path), Open: func() (io.ReadCloser, error) { return os.Open(path) }}}, o)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// table counts peers by what they are and what they were taken for.
type table map[string]map[compare.Class]int

func (c table) add(declared bool, class compare.Class) {
	row := map[bool]string{true: "declared", false: "undeclared"}[declared]
	if c[row] == nil {
		c[row] = map[compare.Class]int{}
	}
	c[row][class]++
}

func (c table) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "in truth\tdeclared\tundeclared\tunclassified")
	for _, row := range []string{"declared", "undeclared"} {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\n", row, c[row][compare.Declared], c[row][compare.Undeclared], c[row][compare.Unclassified])
	}
	w.Flush()
	return b.String()
}

// check holds a recording to its label.
func check(t *testing.T, path string, l label, counts table) {
	t.Helper()
	seen := summarise(t, path, l.Local)
	report := compare.Compare(declaration(), []*observation.Observation{seen}, options())
	got := map[string]compare.Class{}
	undeclared := 0
	for _, p := range report.Peers {
		if p.Peer.Name == resolver.String() && p.Peer.Port == 53 {
			continue
		}
		one := truth{Name: p.Peer.Name, Port: p.Peer.Port, Transport: p.Peer.Transport, Naming: p.Peer.Naming}
		got[one.String()] = p.Class
		if p.Class != compare.Declared {
			undeclared++
		}
	}
	for _, want := range l.Peers {
		class, found := got[want.String()]
		delete(got, want.String())
		switch {
		case !found:
			t.Errorf("%s is not among the peers", want)
			continue
		case !want.Declared && class == compare.Declared:
			t.Errorf("%s is undeclared and was missed", want)
		case class != want.Class:
			t.Errorf("%s is %s, want %s", want, class, want.Class)
		}
		counts.add(want.Declared, class)
	}
	for name, class := range got {
		t.Errorf("%s, %s, is not in the label", name, class)
	}
	if undeclared > 0 && report.Clean() {
		t.Errorf("the comparison is clean with %d peers that are not declared", undeclared)
	}
	if t.Failed() {
		t.Logf("gaps: %+v", seen.Gaps)
	}
}

// TestCorpus: no undeclared peer of a real program is missed, and what cannot be
// classified is never clean.
func TestCorpus(t *testing.T) {
	labels, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	const least = 19
	if len(labels) < least {
		t.Fatalf("%d recordings, want at least %d", len(labels), least)
	}
	slices.Sort(labels)
	counts, size := table{}, int64(0)
	for _, path := range labels {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var l label
		if err := json.Unmarshal(data, &l); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		capture := strings.TrimSuffix(path, ".json") + ".pcap"
		info, err := os.Stat(capture)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) { check(t, capture, l, counts) })
	}
	t.Logf("%d recordings, %d bytes\n%s", len(labels), size, counts)
	if missed := counts["undeclared"][compare.Declared]; missed != 0 {
		t.Errorf("%d undeclared peers missed", missed)
	}
}
