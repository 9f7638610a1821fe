package binscan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/avow-dev/avow/attest/predicate"
)

// statement is a data-flows statement with a host, a suffix and a block.
func statement(t testing.TB) *predicate.Statement {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "minimal-data-flows.json"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := predicate.Parse(data, predicate.Consumption)
	if err != nil {
		t.Fatal(err)
	}
	s.DataFlows.Flows = []predicate.Flow{{ID: "updates", Endpoints: []predicate.Endpoint{
		{Kind: "host", Value: "updates.vendor.dev"}, {Kind: "host", Value: "api.vendor.com"}, {Kind: "suffix", Value: "cdn.vendor.dev"}, {Kind: "cidr", Value: "198.18.0.0/15"}}}}
	return s
}

func scan(t testing.TB, content string, declared *predicate.Statement) *Result {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Scan(t.Context(), path, Options{Declared: declared, Tool: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256([]byte(content)); r.SHA256 != hex.EncodeToString(sum[:]) || r.Size != int64(len(content)) {
		t.Errorf("%d bytes, sha256 %s: not those of the file", r.Size, r.SHA256)
	}
	return r
}

func TestHostsAndTheirClasses(t *testing.T) {
	for name, test := range map[string]struct {
		content, host string
		class         Class
		why           string
	}{
		"declared":               {"x\x00https://updates.vendor.dev/v1\x00", "updates.vendor.dev", Declared, "updates"},
		"declared by suffix":     {"https://a.cdn.vendor.dev/", "a.cdn.vendor.dev", Declared, "updates"},
		"declared by block":      {"tcp://198.19.1.1:80/", "198.19.1.1", Declared, "updates"},
		"undeclared":             {"GET https://telemetry.other.dev/v1", "telemetry.other.dev", Undeclared, ""},
		"upper case":             {"HTTPS://Telemetry.Other.dev/v1", "telemetry.other.dev", Undeclared, ""},
		"not a suffix":           {"https://evilcdn.vendor.dev/", "evilcdn.vendor.dev", Undeclared, ""},
		"followed by text":       {"https://updates.vendor.devwrite it down", "updates.vendor.dev", Declared, "updates"},
		"another name":           {"https://updates.vendor.dev.evil.dev/", "updates.vendor.dev.evil.dev", Undeclared, ""},
		"a longer domain":        {"https://api.vendor.company ", "api.vendor.company", Undeclared, ""},
		"host and port":          {"dial telemetry.other.dev:8443 now", "telemetry.other.dev", Undeclared, ""},
		"a C string":             {"\x00telemetry.other.dev\x00", "telemetry.other.dev", Undeclared, ""},
		"an address":             {"connect 8.8.4.4 ", "8.8.4.4", Undeclared, ""},
		"address in a URL":       {"http://[2606:4700::1111]:80/", "2606:4700::1111", Undeclared, ""},
		"user in a URL":          {"ssh://git@telemetry.other.dev/x", "telemetry.other.dev", Undeclared, ""},
		"this machine":           {"http://127.0.0.1:80/", "127.0.0.1", Local, "this machine"},
		"localhost":              {"http://localhost:80/", "localhost", Local, "this machine"},
		"private":                {"http://10.1.2.3/", "10.1.2.3", Local, "a private network"},
		"reserved":               {"https://www.example.com/", "www.example.com", Documentation, "reserved name (RFC 2606)"},
		"reserved and text":      {"https://avow.exampleand more", "avow.example", Documentation, "reserved name (RFC 2606)"},
		"reserved address":       {"192.0.2.1 ", "192.0.2.1", Documentation, "reserved for documentation (RFC 5737)"},
		"a licence":              {"http://www.apache.org/licenses/LICENSE-2.0 ", "www.apache.org", Documentation, "text of licences"},
		"not that licence":       {"http://www.apache.org/collect ", "www.apache.org", Undeclared, ""},
		"a namespace":            {"http://www.w3.org/1999/xlink ", "www.w3.org", Documentation, "XML and RDF namespaces, specifications"},
		"a placeholder":          {"https://%s/x ", "%s", NotAHost, "no host name can be read here"},
		"an object identifier":   {"\x002.5.4.10\x00", "2.5.4.10", Documentation, "an object identifier of X.500"},
		"one in a URL is a host": {"http://2.5.4.10/", "2.5.4.10", Undeclared, ""},
	} {
		r := scan(t, test.content, statement(t))
		if len(r.Hosts) != 1 || r.Hosts[0].Host != test.host || r.Hosts[0].Class != test.class || r.Hosts[0].Why != test.why {
			t.Errorf("%s: %+v, want %s %s %q", name, r.Hosts, test.host, test.class, test.why)
		}
		if clean := test.class != Undeclared; r.Clean() != clean {
			t.Errorf("%s: clean is %v", name, r.Clean())
		}
	}
	for _, quiet := range []string{"errors.new fmt.println", "\x00main.go\x00", "1.2.3", "1.2.3.4.5.6", "a://", "file:///etc/hosts", "12:30"} {
		if r := scan(t, quiet, nil); len(r.Hosts) != 0 {
			t.Errorf("%q: %+v", quiet, r.Hosts)
		}
	}
}

// secrets are made up here, so that no scanner takes this file for one that leaks.
func secrets() map[string]string {
	random := "q7ZpX3vK9sLmT2wYbN8rJ5cD1fGh4AeU6oQxV0iWzRkSnBtMlPyHjCdEgFaIuO2v"
	return map[string]string{
		"privateKey":   "-----BEGIN " + "EC PRIVATE KEY-----\n" + random + "\n-----END EC PRIVATE KEY-----",
		"awsAccessKey": "AK" + "IAQ7ZPX3VK9SLMT2WY",
		"gcpApiKey":    "AI" + "za" + random[:35],
		"githubToken":  "gh" + "p_" + random[:36],
		"slackToken":   "xo" + "xb-123987456120-" + random[:24],
		"slackWebhook": "hooks.slack" + ".com/services/T0Q7ZX3VK9/B0LM2WYBN8/" + random[:24],
		"stripeKey":    "sk_" + "live_" + random[:24],
	}
}

func TestCredentialsAreFoundAndNotPrinted(t *testing.T) {
	for kind, secret := range secrets() {
		r := scan(t, "before "+secret+"\x00after", nil)
		if len(r.Secrets) != 1 || r.Secrets[0].Kind != kind || r.Secrets[0].Offset != 7 || len(r.Secrets[0].Fingerprint) != 16 || r.Clean() {
			t.Errorf("%s: %+v", kind, r.Secrets)
		}
		document, err := r.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(document, []byte(secret[8:18])) {
			t.Errorf("%s: the document holds the credential: %s", kind, document)
		}
	}
	r := scan(t, "https://host.other.dev/a/"+secrets()["githubToken"]+"/b?key=hunter2 ", nil)
	if len(r.Hosts) != 1 || r.Hosts[0].Example != "https://host.other.dev/a/.../b" {
		t.Errorf("an example holds too much: %+v", r.Hosts)
	}
	r = scan(t, "postgres://admin:hunter2secret@db.other.dev/x", nil)
	document, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Secrets) != 1 || r.Secrets[0] != (Secret{Kind: "urlPassword", Offset: 17, Length: 13}) || bytes.Contains(document, []byte("hunter2")) {
		t.Errorf("password: %s", document)
	}
	for name, quiet := range map[string]string{
		"the line alone": "-----BEGIN " + "EC PRIVATE KEY-----\x00", "a table": "AIza" + "abcdefghijklmnopqrstuvwxyzABCDEFGHI", "short": "gh" + "p_abc",
		"a public key": "-----BEGIN " + "PUBLIC KEY-----\n" + strings.Repeat("qZ7x", 16), "a placeholder": "https://user:%s@host.other.dev/",
		"no password": "ssh://git@host.other.dev/",
	} {
		if r := scan(t, quiet, nil); len(r.Secrets) != 0 {
			t.Errorf("%s: %+v", name, r.Secrets)
		}
	}
}

// What stands across the end of a piece is found, whole, and once.
func TestPiecesJoin(t *testing.T) {
	secret := secrets()["privateKey"]
	content := secret + " https://telemetry.other.dev/v1 "
	for _, at := range []int{pieceBytes - 40, pieceBytes + 2*overlapBytes - 60, pieceBytes + overlapBytes - 20, pieceBytes + overlapBytes - 100, 2*pieceBytes + overlapBytes - 30} {
		for shift := range 8 {
			before := at + shift*9
			r := scan(t, strings.Repeat("\x00", before)+content+strings.Repeat("\x00", pieceBytes), nil)
			if len(r.Secrets) != 1 || r.Secrets[0].Offset != int64(before) || len(r.Hosts) != 1 || r.Hosts[0].Count != 1 ||
				r.Hosts[0].Offset != int64(before+len(secret)+9) {
				t.Fatalf("at %d: %+v %+v", before, r.Secrets, r.Hosts)
			}
		}
	}
}

func TestBoundsAreSaid(t *testing.T) {
	var b strings.Builder
	for i := range MaxHosts + 1 {
		b.WriteString("https://h")
		b.WriteString(hex.EncodeToString([]byte{byte(i >> 16), byte(i >> 8), byte(i)}))
		b.WriteString(".other.dev/ ")
	}
	if r := scan(t, b.String(), nil); !r.Truncated || len(r.Hosts) != MaxHosts || r.Clean() {
		t.Errorf("%d hosts, truncated %v", len(r.Hosts), r.Truncated)
	}
}

// The running test is a Go program: its build info is read, and a host that only its symbols look like is not reported.
func TestGoPrograms(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Scan(t.Context(), path, Options{Tool: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if r.Build == nil || !strings.HasPrefix(r.Build.Go, "go1.") {
		t.Fatalf("build info: %+v", r.Build)
	}
	for _, h := range r.Hosts {
		if h.Via == "text" {
			t.Errorf("text of its own: %+v", h)
		}
	}
}

func TestWhatIsNoFileIsRefused(t *testing.T) {
	if _, err := Scan(t.Context(), t.TempDir(), Options{}); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("a directory: %v", err)
	}
	s := statement(t)
	s.DataFlows = nil
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Scan(t.Context(), path, Options{Declared: s}); err == nil || !strings.Contains(err.Error(), "the statement is of type") {
		t.Errorf("another statement: %v", err)
	}
}

func TestKnownHostsHaveReasons(t *testing.T) {
	list, err := parseKnown(knownHosts)
	if err != nil || len(list) < 20 {
		t.Fatalf("%d known hosts, %v", len(list), err)
	}
	if _, err := parseKnown("host.dev\n"); err == nil || !strings.Contains(err.Error(), "line 1 of the known hosts has no reason") {
		t.Errorf("without a reason: %v", err)
	}
}

// FuzzScan: whatever the bytes, everything reported lies in them, hosts can be hosts, and no credential that was found is in the document.
func FuzzScan(f *testing.F) {
	f.Add([]byte("https://a.b.dev/ 1.2.3.4 x.y.dev:443 \x00host.dev\x00"))
	f.Add([]byte("postgres://admin:hunter2secret@db.other.dev/x"))
	for _, secret := range secrets() {
		f.Add([]byte(secret))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := newScanner(Options{Tool: "fuzz"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.read(t.Context(), bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.result.JSON(); err != nil {
			t.Fatal(err)
		}
		for _, h := range s.result.Hosts {
			if h.Offset < 0 || h.Offset >= int64(len(data)) || h.Class != NotAHost && !validHost(h.Host) {
				t.Errorf("host %+v in %q", h, data)
			}
		}
		for _, found := range s.result.Secrets {
			if found.Offset+int64(found.Length) > int64(len(data)) {
				t.Fatalf("%+v in %d bytes", found, len(data))
			}
			value := data[found.Offset:][:found.Length]
			if found.Fingerprint != "" {
				if sum := sha256.Sum256(value); found.Fingerprint != hex.EncodeToString(sum[:8]) {
					t.Errorf("%+v is not of %q", found, value)
				}
			}
		}
	})
}
