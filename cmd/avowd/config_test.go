package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

func TestConfigValidate(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string // part of the error; empty: valid
	}{
		{"defaults with an origin", func(*Config) {}, ""},
		{"no origin", func(c *Config) { c.Origin = "" }, "origin"},
		{"origin with a path", func(c *Config) { c.Origin = "log.example/2026" }, "path"},
		{"origin with a port", func(c *Config) { c.Origin = "log.example:443" }, "port"},
		{"another driver", func(c *Config) { c.Log.Driver = "aws" }, `log.driver: got "aws"`},
		{"no log directory", func(c *Config) { c.Log.Dir = "" }, "log.dir is empty"},
		{"no anchor", func(c *Config) { c.Log.Anchor = "" }, "log.anchor is empty"},
		{"batch of none", func(c *Config) { c.Log.BatchMaxSize = 0 }, "log.batchMaxSize: got 0"},
		{"batches without age", func(c *Config) { c.Log.BatchMaxAge = 0 }, "log.batchMaxAge"},
		{"checkpoints too often", func(c *Config) { c.Log.CheckpointInterval = 1 }, "log.checkpointInterval"},
		{"small proof window", func(c *Config) { c.Log.ProofWindow = 1 }, "log.proofWindow"},
		{"witnesses asked for too long", func(c *Config) { c.Log.Witnesses.Timeout = time.Minute }, "log.witnesses.timeout: got 1m0s"},
		{"no store", func(c *Config) { c.Statements.Path = "" }, "statements.path is empty"},
		{"authority without key", func(c *Config) { c.Timestamps.Embedded.Key = "" }, "chain and key go together"},
		{"no authority", func(c *Config) { c.Timestamps.Embedded = EmbeddedTimestamps{} }, "no authority"},
		{"foreign authority alone", func(c *Config) {
			c.Timestamps.Embedded = EmbeddedTimestamps{}
			c.Timestamps.External = []ExternalTimestamps{{URL: "https://tsa.example", Chain: "tsa.pem"}}
		}, ""},
		{"foreign authority without chain", func(c *Config) {
			c.Timestamps.External = []ExternalTimestamps{{URL: "https://tsa.example"}}
		}, "url and chain are both needed"},
		{"more authorities than a bundle holds", func(c *Config) {
			c.Timestamps.External = make([]ExternalTimestamps, 4)
		}, "got 5 authorities, at most 4"},
		{"minimum above the number", func(c *Config) { c.Timestamps.Minimum = 2 }, "timestamps.minimum: got 2"},
		{"no registry", func(c *Config) { c.Vendors = "" }, "vendors is empty"},
		{"no trusted root", func(c *Config) { c.TrustedRoot = "" }, "trustedRoot is empty"},
		{"public gRPC without TLS", func(c *Config) { c.GRPC.Listen = "0.0.0.0:8470" }, "beyond loopback, which needs tls.certificate"},
		{"public REST without TLS", func(c *Config) { c.REST.Listen = ":8471" }, "beyond loopback, which needs tls.certificate"},
		{"public by name without TLS", func(c *Config) { c.GRPC.Listen = "log.example:8470" }, "beyond loopback"},
		{"public with TLS", func(c *Config) {
			c.GRPC.Listen, c.REST.Listen, c.TLS = "0.0.0.0:8470", "[::]:8471", TLSConfig{"c.pem", "k.pem"}
		}, ""},
		{"IPv6 loopback", func(c *Config) { c.GRPC.Listen = "[::1]:8470" }, ""},
		{"public metrics, even with TLS", func(c *Config) {
			c.Admin.Listen, c.TLS = "0.0.0.0:8472", TLSConfig{"c.pem", "k.pem"}
		}, "admin.listen: 0.0.0.0:8472 is beyond loopback"},
		{"certificate without key", func(c *Config) { c.TLS.Certificate = "c.pem" }, "tls: certificate and key go together"},
		{"listen without port", func(c *Config) { c.GRPC.Listen = "127.0.0.1" }, "want HOST:PORT"},
		{"port out of range", func(c *Config) { c.GRPC.Listen = "127.0.0.1:65536" }, "want 0 to 65535"},
		{"proxy that is no network", func(c *Config) { c.REST.TrustedProxies = []string{"10.0.0.1"} }, "rest.trustedProxies[0]"},
		{"address without scheme", func(c *Config) { c.PublicURL = "avow.example" }, `publicUrl: got "avow.example"`},
		{"address with a password", func(c *Config) { c.PublicURL = "https://u:p@avow.example" }, "want no user"},
		{"address", func(c *Config) { c.PublicURL = "https://avow.example:8443/" }, ""},
		{"open without being enabled", func(c *Config) { c.Rekor.Open = true }, "have no effect without rekor.enabled"},
		{"credentials without being enabled", func(c *Config) { c.Rekor.Credentials = true }, "have no effect without rekor.enabled"},
		{"open", func(c *Config) { c.Rekor = RekorConfig{Enabled: true, Open: true} }, ""},
		{"renewing no repository", func(c *Config) { c.TUF.Key = "tuf.key" }, "tuf.key has no effect without tuf.dir"},
		{"certificates that live too long", func(c *Config) { c.Certificates.Lifetime = 2 * time.Hour }, "certificates.lifetime: got 2h0m0s"},
		{"half a certificate authority", func(c *Config) { c.Certificates.Embedded.Chain = "ca.pem" }, "go together"},
		{"a certificate authority", func(c *Config) { c.Certificates.Embedded = embeddedCertificates(c.Origin) }, ""},
		{"one log for both", func(c *Config) {
			c.Certificates.Embedded = embeddedCertificates(c.Origin)
			c.Certificates.Embedded.CTLog.Origin = c.Origin
		}, "certificates.embedded.ctLog.origin: the log of certificates is another log"},
		{"issuers without an authority", func(c *Config) {
			c.Certificates.Issuers = []IssuerConfig{{URL: "https://issuer.example", Type: "email"}}
		}, "have no effect without certificates.embedded"},
		{"issuer without TLS", func(c *Config) {
			c.Certificates.Embedded = embeddedCertificates(c.Origin)
			c.Certificates.Issuers = []IssuerConfig{{URL: "http://issuer.example", Type: "email"}}
		}, "certificates.issuers[0]"},
		{"authority outside without a root", func(c *Config) {
			c.Certificates.External = []ExternalCertificates{{URL: "https://fulcio.example"}}
		}, "certificates.external[0]"},
		{"negative rate", func(c *Config) { c.Limits.RatePerSecond = -1 }, "rate per second"},
		{"less in flight than one message", func(c *Config) { c.Limits.BytesInFlight = 1 }, "bytes in flight"},
		{"unknown level", func(c *Config) { c.Logging.Level = "loud" }, `logging.level: got "loud"`},
		{"unknown format", func(c *Config) { c.Logging.Format = "xml" }, `logging.format: got "xml"`},
		{"no drain", func(c *Config) { c.Drain = 0 }, "drain: got 0s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := defaultConfig()
			c.Origin = "log.example"
			test.change(&c)
			err := c.Validate()
			if test.want == "" && err != nil {
				t.Errorf("got %v, want no error", err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestConfigReportsEverythingAtOnce(t *testing.T) {
	c := defaultConfig()
	c.Vendors, c.Drain = "", 0
	err := c.Validate()
	for _, want := range []string{"origin", "vendors is empty", "drain"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

func TestConfigIsStrict(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"unknown member", "origin: log.example\nratePerSecond: 1\n", "ratePerSecond not found"},
		{"unknown nested member", "origin: log.example\nlimits:\n  ratePerSeconds: 1\n", "ratePerSeconds not found"},
		{"member twice", "origin: log.example\norigin: other.example\n", "already defined"},
		{"second document", "origin: log.example\n---\norigin: other.example\n", "more than one YAML document"},
		{"empty", "", "empty configuration"},
		{"duration without unit", "origin: log.example\ndrain: 8\n", "line 2"},
		{"too large", "origin: log.example\n#" + strings.Repeat("x", maxConfigBytes), "more than"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parseConfig([]byte(test.text), t.TempDir())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// TestWrittenConfigReadsBack: what init writes is what it was asked for, and changing nothing changes nothing.
func TestWrittenConfigReadsBack(t *testing.T) {
	want := defaultConfig()
	want.Origin, want.dir = "log.example", t.TempDir()
	want.TLS = TLSConfig{Certificate: `tls/with "quotes".pem`, Key: "tls/key.pem"}
	text, err := renderConfig(&want)
	must(t, err)
	got, err := parseConfig(text, want.dir)
	must(t, err)
	want.REST.TrustedProxies, want.Timestamps.External = []string{}, []ExternalTimestamps{}
	want.Certificates.Issuers, want.Certificates.External = []IssuerConfig{}, []ExternalCertificates{}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", *got, want)
	}

	want.Certificates.Embedded = embeddedCertificates(want.Origin)
	want.Certificates.Issuers = []IssuerConfig{{URL: "https://a.example", Type: "email", Interactive: true}, {URL: "https://b.example",
		Type: "ci-provider", Templates: &IssuerTemplatesConfig{Name: "https://b.example/{{ .project }}: #x", Fixed: map[string]string{"url": "y"}}}}
	want.Certificates.External = []ExternalCertificates{{URL: "https://fulcio.example", TrustedRoot: "keys/a root.json"}}
	text, err = renderConfig(&want)
	must(t, err)
	got, err = parseConfig(text, want.dir)
	must(t, err)
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", *got, want)
	}
}

// TestEveryMemberIsDocumented: a member that an operator cannot read about does not exist.
func TestEveryMemberIsDocumented(t *testing.T) {
	c := defaultConfig()
	c.Origin = "log.example"
	text, err := renderConfig(&c)
	must(t, err)
	var written map[string]any
	must(t, yaml.Unmarshal(text, &written))
	manual, err := os.ReadFile(filepath.Join("..", "..", "docs", "operating.md"))
	must(t, err)
	for _, member := range members(reflect.TypeFor[Config](), "") {
		if !strings.Contains(string(manual), "`"+member+"`") {
			t.Errorf("docs/operating.md says nothing about %s", member)
		}
		if !strings.Contains(member, "[]") && !has(written, strings.Split(member, ".")) {
			t.Errorf("avowd.yaml.tmpl has no %s", member)
		}
	}
}

func members(typ reflect.Type, prefix string) []string {
	var all []string
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" {
			continue
		}
		switch name = prefix + name; {
		case f.Type.Kind() == reflect.Struct:
			all = append(all, members(f.Type, name+".")...)
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			all = append(all, name)
			all = append(all, members(f.Type.Elem(), name+"[].")...)
		default:
			all = append(all, name)
		}
	}
	return all
}

func has(tree map[string]any, path []string) bool {
	value, ok := tree[path[0]]
	if !ok || len(path) == 1 {
		return ok
	}
	inner, ok := value.(map[string]any)
	return ok && has(inner, path[1:])
}
