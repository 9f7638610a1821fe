package compare

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	testresult "github.com/in-toto/attestation/go/predicates/test_result/v0"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// compared compares peers with the minimal statement.
func compared(t testing.TB, o Options, peers ...observation.Peer) (*Report, Inputs) {
	t.Helper()
	in := Inputs{Declared: minimal(t), Observed: []*observation.Observation{observe(peers...)}, Options: o}
	payload, err := in.Observed[0].Payload()
	if err != nil {
		t.Fatal(err)
	}
	in.Files = []Input{{Name: "run.json", SHA256: sha256.Sum256(payload)}}
	return Compare(in.Declared.DataFlows, in.Observed, o), in
}

func tests(t testing.TB, r *Report, in Inputs) (*testresult.TestResult, *intoto.Statement) {
	t.Helper()
	s, err := Compose(r, in)
	if err != nil {
		t.Fatal(err)
	}
	var st intoto.Statement
	if err := protojson.Unmarshal(s.Payload(), &st); err != nil {
		t.Fatal(err)
	}
	if err := st.Validate(); err != nil {
		t.Fatal(err)
	}
	var doc struct{ Predicate json.RawMessage }
	if err := json.Unmarshal(s.Payload(), &doc); err != nil {
		t.Fatal(err)
	}
	var result testresult.TestResult
	if err := protojson.Unmarshal(doc.Predicate, &result); err != nil {
		t.Fatal(err)
	}
	return &result, &st
}

// TestCompose: in-toto's own types read the statement, and each list holds what the specification says.
func TestCompose(t *testing.T) {
	declared := peer("updates.example.com")
	old := with(declared, func(p *observation.Peer) { p.TLSVersion = "1.0" })
	for name, c := range map[string]struct {
		peers                          []observation.Peer
		result, passed, warned, failed string
	}{
		"as declared": {peers: []observation.Peer{declared}, result: "PASSED", passed: "update"},
		"not seen":    {result: "WARNED", warned: "update"},
		"undeclared":  {peers: []observation.Peer{declared, peer("evil.example")}, result: "FAILED", passed: "update", failed: "outbound tcp evil.example:443"},
		"unclassified": {peers: []observation.Peer{address("2001:db8::1", observation.NamingDirect)}, result: "FAILED", warned: "update",
			failed: "outbound tcp [2001:db8::1]:443"},
		"deviating": {peers: []observation.Peer{old}, result: "FAILED", failed: "update: tlsVersion: outbound tcp updates.example.com:443"},
	} {
		t.Run(name, func(t *testing.T) {
			r, in := compared(t, Options{LocalNetwork: true}, c.peers...)
			got, st := tests(t, r, in)
			list := func(s []string) string { return strings.Join(s, ",") }
			if got.GetResult() != c.result || list(got.GetPassedTests()) != c.passed || list(got.GetWarnedTests()) != c.warned || list(got.GetFailedTests()) != c.failed {
				t.Errorf("got %v", got)
			}
			if st.GetPredicateType() != TestResultType || len(st.GetSubject()) != 1 || st.GetSubject()[0].GetDigest()["sha256"] != minimalSubject {
				t.Errorf("got %v", st)
			}
			digest := func(n int) string { return got.GetConfiguration()[n].GetDigest()["sha256"] }
			if len(got.GetConfiguration()) != 3 || "sha256:"+digest(0) != in.Declared.ID() || digest(1) != hex.EncodeToString(in.Files[0].SHA256[:]) ||
				string(got.GetConfiguration()[2].GetContent()) != `{"localNetwork":true}` {
				t.Errorf("configuration: %v", got.GetConfiguration())
			}
		})
	}
}

func TestComposeRefuses(t *testing.T) {
	r, in := compared(t, Options{}, peer("updates.example.com"))
	for want, change := range map[string]func(*Inputs){
		"not of the 1 observations":        func(in *Inputs) { in.Files = nil },
		"no file of the observation is":    func(in *Inputs) { in.Observed[0].Subjects[0].Digest["sha256"] = strings.Repeat("0", 64) },
		"the report is of 1 observations ": func(in *Inputs) { in.Declared = nil },
	} {
		bad := in
		o := *in.Observed[0]
		o.Subjects = []predicate.Subject{{Name: "gateway.img", Digest: map[string]string{"sha256": minimalSubject}}}
		bad.Observed = []*observation.Observation{&o}
		change(&bad)
		if _, err := Compose(r, bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if bad.Declared != nil && bad.Files != nil {
			bad.AnySubjectUnsafe = true
			if _, st := tests(t, r, bad); st.GetSubject()[0].GetDigest()["sha256"] != strings.Repeat("0", 64) {
				t.Errorf("with AnySubjectUnsafe it is about %v", st.GetSubject())
			}
		}
	}
}

// TestManyFailures: a statement has a bound, and says so.
func TestManyFailures(t *testing.T) {
	var peers []observation.Peer
	for n := range MaxFailedTests + 7 {
		peers = append(peers, peer(fmt.Sprintf("n%05d.evil.example", n)))
	}
	r, in := compared(t, Options{}, peers...)
	got, _ := tests(t, r, in)
	if n := len(got.GetFailedTests()); n != MaxFailedTests+1 || got.GetFailedTests()[n-1] != "7 more" || got.GetResult() != "FAILED" {
		t.Errorf("%d failed tests, the last %q", n, got.GetFailedTests()[n-1])
	}
}

// TestDispute: what contradicts the declaration can be disputed, what nobody can tell cannot.
func TestDispute(t *testing.T) {
	old := with(peer("updates.example.com"), func(p *observation.Peer) { p.TLSVersion = "1.0" })
	off := func(in *Inputs) { in.Observed[0].Settings = map[string]string{"update.enabled": "false"} }
	for name, c := range map[string]struct {
		peers  []observation.Peer
		change func(*Inputs)
		ground string
		items  []string
	}{
		"undeclared":     {peers: []observation.Peer{peer("evil.example"), old}, ground: "undeclaredFlow", items: []string{"update"}},
		"only a setting": {peers: []observation.Peer{peer("updates.example.com")}, change: off, ground: "switchIneffective", items: []string{"update"}},
		"another way":    {peers: []observation.Peer{old}, ground: "other", items: []string{"update"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, in := compared(t, Options{}, c.peers...)
			if c.change != nil {
				c.change(&in)
				r = Compare(in.Declared.DataFlows, in.Observed, in.Options)
			}
			draft, err := Dispute(r, in, predicate.AboutOptions{Target: in.Declared, Now: day})
			if err != nil {
				t.Fatal(err)
			}
			ready := strings.NewReplacer(`"FILL IN: legal name of who says this, as the service registered it"`, `"Example Watch e.V."`,
				`"FILL IN: ISO 3166-1 code of its country, for example DE"`, `"DE"`).Replace(string(draft))
			if findings := predicate.Lint([]byte(ready), nil); findings.Err() != nil {
				t.Fatalf("%v\n%s", findings.Err(), draft)
			}
			s, err := predicate.Parse([]byte(ready), predicate.Issuance)
			if err != nil {
				t.Fatal(err)
			}
			d := s.Dispute
			if d.Ground != c.ground || !slices.Equal(d.Items, c.items) || d.Target.ID() != in.Declared.ID() ||
				d.Evidence[0].Resource.Digest["sha256"] != hex.EncodeToString(in.Files[0].SHA256[:]) || d.Evidence[0].Kind != "flowCapture" {
				t.Errorf("got %+v", d)
			}
		})
	}
	r, in := compared(t, Options{}, address("192.0.2.1", observation.NamingUnresolved))
	if _, err := Dispute(r, in, predicate.AboutOptions{Target: in.Declared, Now: day}); err == nil || !strings.Contains(err.Error(), "nothing that was observed contradicts") {
		t.Errorf("an unclassified peer: got %v", err)
	}
	long := peer(strings.Repeat("a.", 100) + "evil.example")
	var many []observation.Peer
	for n := range 100 {
		many = append(many, with(long, func(p *observation.Peer) { p.Name = fmt.Sprintf("%d.%s", n, p.Name) }))
	}
	r, in = compared(t, Options{}, many...)
	if draft, err := Dispute(r, in, predicate.AboutOptions{Target: in.Declared, Now: day}); err != nil || !strings.Contains(string(draft), "more, in the evidence") {
		t.Errorf("many: %v %s", err, draft)
	}
}
