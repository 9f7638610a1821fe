package egress

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/enforce"
)

type obj = map[string]any

// start is when the policies of the tests are compiled.
var start = bundletest.Epoch.Add(time.Hour)

func peerOf(kind, value, transport string, port int) obj {
	return obj{"kind": kind, "value": value, "transport": transport, "ports": []int{port}, "application": "https",
		"tls": obj{"requirement": "none", "verification": "none"}}
}

// compiled verifies a statement that declares endpoints, and compiles it for nftables.
func compiled(tb testing.TB, scope enforce.Scope, endpoints ...obj) *enforce.Policy {
	tb.Helper()
	return compiledFor(tb, enforce.Options{Target: enforce.NFTables, Scope: scope, Resolver: netip.MustParseAddrPort("192.0.2.53:53")}, endpoints...)
}

func compiledFor(tb testing.TB, o enforce.Options, endpoints ...obj) *enforce.Policy {
	tb.Helper()
	var s obj
	if err := json.Unmarshal(bundletest.Statement(tb, "data-flows"), &s); err != nil {
		tb.Fatal(err)
	}
	s["predicate"].(obj)["flows"].([]any)[0].(obj)["endpoints"] = endpoints
	payload, err := json.Marshal(s)
	if err != nil {
		tb.Fatal(err)
	}
	w := bundletest.NewWorld(tb)
	trust, err := verify.ParseTrust(w.TrustedRoot())
	if err != nil {
		tb.Fatal(err)
	}
	v, err := verify.New(verify.Config{Trust: trust, Clock: func() time.Time { return start }})
	if err != nil {
		tb.Fatal(err)
	}
	verdict, err := v.Verify(tb.Context(), verify.Input{ArtifactSHA256: bundletest.ArtifactSHA256,
		Signers: []verify.Signer{{Key: &verify.Key{PublicKey: &w.Vendor.PublicKey}}},
		Bundles: []verify.NamedBundle{{Data: w.IssueJSON(tb, bundletest.Spec{Payload: payload})}}})
	if err != nil {
		tb.Fatal(err)
	}
	o.Now = start
	p, err := enforce.Compile(tb.Context(), verdict, o)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}
