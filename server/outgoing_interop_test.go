//go:build interop

package server_test

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// TestNothingLeavesForAToken: in a namespace whose default route leads to an interface that counts, tokens that mention
// foreign addresses in every place where one could be looked for make the service send nothing, not even a name query.
func TestNothingLeavesForAToken(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	setup := "sysctl -qw net.ipv6.conf.all.disable_ipv6=1; ip link add out type veth peer name in && ip link set in up && ip addr add 192.0.2.1/24 dev out && " +
		"ip link set out up && ip route add default via 192.0.2.2 && ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:01 dev out"
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", setup).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sent := func() string {
		data, err := os.ReadFile("/proc/net/dev")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if name, counters, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "out" {
				return strings.Fields(counters)[9]
			}
		}
		t.Fatal("no counters")
		return ""
	}
	w, s := newCAWorld(t), newSigner(t)
	before := sent()
	const far = "http://198.51.100.7"
	stranger := startIssuer(t)
	header := map[jose.HeaderKey]any{"jku": far + "/keys", "x5u": far + "/x5u"}
	withHeader, err := stranger.Sign([]byte(`{"iss":"`+w.email.URL()+`","exp":9999999999,"aud":"sigstore"}`), header)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ token, reason string }{
		"issuer by address":     {stranger.Token(map[string]any{"iss": far}), "TOKEN_ISSUER_UNKNOWN"},
		"issuer by name":        {stranger.Token(map[string]any{"iss": "https://issuer.example"}), "TOKEN_ISSUER_UNKNOWN"},
		"keys in the header":    {withHeader, "TOKEN_SIGNATURE"},
		"distributed claims":    {w.email.Token(map[string]any{"_claim_names": map[string]string{"email": "a"}, "_claim_sources": map[string]any{"a": map[string]string{"endpoint": far}}}), "TOKEN_IDENTITY"},
		"address in the e-mail": {w.email.Token(mail("a@[198.51.100.7]")), "TOKEN_IDENTITY"},
	} {
		_, err := w.ca.CreateSigningCertificate(t.Context(), byProof(c.token, s.pem, s.prove(t, "x")))
		if got := reasonOf(err); got != c.reason {
			t.Errorf("%s: got %v with reason %q, want %s", name, err, got, c.reason)
		}
	}
	if after := sent(); after != before {
		t.Errorf("%s packets were sent, %s before", after, before)
	}
	// The counter counts: this one request would have been seen.
	conn, err := net.Dial("udp", "198.51.100.7:9")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if sent() == before {
		t.Error("the interface does not count what is sent")
	}
}
