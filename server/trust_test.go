package server

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
)

// rootConfig is the configuration of the world's trusted root.
func (w *world) rootConfig() TrustedRootConfig {
	c := TrustedRootConfig{
		Origin: w.log.Origin(), LogID: w.log.LogID(), LogKey: w.log.PublicKey(), LogStart: issuedAt.Add(-time.Hour),
		Authorities: []TrustedAuthority{{URI: "https://" + origin + "/api/v1/timestamp", Chain: w.authority.CertChain()}},
	}
	if f := w.foreign; f != nil {
		c.Authorities = append(c.Authorities, TrustedAuthority{URI: f.URI, Chain: []*x509.Certificate{f.Leaf, f.Root}})
	}
	return c
}

// TestListOfUnknownVendor: a misspelt name does not read as "has declared nothing", and a vendor that left the registry is
// still known by what it declared.
func TestListOfUnknownVendor(t *testing.T) {
	w := newWorld(t)
	must(w.attestation().Issue(t.Context(), signed(t, dataFlows(t), w.acme)))(t)
	path := filepath.Join(w.dir, "vendors.yaml")
	text := string(must(os.ReadFile(path))(t))
	left := text[strings.Index(text, "  - name: held"):]
	if err := os.WriteFile(path, []byte("vendors:\n"+left), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.vendors.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		request *avowv1.ListStatementsRequest
		want    int // -1: VENDOR_NOT_FOUND
	}{
		{"nobody", &avowv1.ListStatementsRequest{Vendor: "nobody"}, -1},
		{"nobody, with another filter", &avowv1.ListStatementsRequest{Vendor: "nobody", Product: "pkg:generic/x@1"}, -1},
		{"registered, nothing declared", &avowv1.ListStatementsRequest{Vendor: "held"}, 0},
		{"removed, with statements", &avowv1.ListStatementsRequest{Vendor: "acme"}, 1},
		{"removed, none that match", &avowv1.ListStatementsRequest{Vendor: "acme", Product: "pkg:generic/x@1"}, 0},
		{"no vendor asked for", &avowv1.ListStatementsRequest{Product: "pkg:generic/x@1"}, 0},
	} {
		got, err := w.attestation().ListStatements(t.Context(), c.request)
		switch {
		case c.want < 0:
			wantReason(t, err, reasonVendorNotFound)
		case err != nil || len(got.GetStatements()) != c.want:
			t.Errorf("%s: got %v, %v, want %d statements", c.name, got, err, c.want)
		}
	}
}

// TestTrustedRootForm: the form that cosign, sigstore-go and sigstore-js all take.
func TestTrustedRootForm(t *testing.T) {
	w := newWorld(t)
	raw := must(TrustedRoot(w.rootConfig()))(t)
	if again := must(TrustedRoot(w.rootConfig()))(t); !bytes.Equal(raw, again) || bytes.ContainsAny(raw, "\n\t") {
		t.Error("the same input gives other bytes")
	}
	var got struct {
		Tlogs []struct {
			BaseURL       string                 `json:"baseUrl"`
			HashAlgorithm string                 `json:"hashAlgorithm"`
			LogID         struct{ KeyID []byte } `json:"logId"`
			CheckpointKey json.RawMessage        `json:"checkpointKeyId"`
			PublicKey     struct {
				KeyDetails string
				ValidFor   struct{ Start string }
			} `json:"publicKey"`
		} `json:"tlogs"`
		TSAs []struct {
			URI      string `json:"uri"`
			ValidFor struct{ Start string }
		} `json:"timestampAuthorities"`
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Tlogs) != 1 || len(got.TSAs) != 1 {
		t.Fatalf("got %s", raw)
	}
	log := got.Tlogs[0]
	// facts that cost clients: the host is the origin, all 32 bytes of the id, SHA2_256, a start, no checkpointKeyId
	if log.BaseURL != "https://"+origin || !bytes.Equal(log.LogID.KeyID, w.log.LogID()) || log.HashAlgorithm != "SHA2_256" ||
		log.CheckpointKey != nil || log.PublicKey.KeyDetails != "PKIX_ED25519" || log.PublicKey.ValidFor.Start == "" {
		t.Errorf("log: %+v", log)
	}
	if got.TSAs[0].URI == "" || got.TSAs[0].ValidFor.Start == "" {
		t.Errorf("authority: %+v", got.TSAs[0])
	}
}

// TestTrustedRootRefuses: what verifiers would take for something else is not exported.
func TestTrustedRootRefuses(t *testing.T) {
	w := newWorld(t)
	for want, change := range map[string]func(*TrustedRootConfig){
		"origin":                           func(c *TrustedRootConfig) { c.Origin = "" },
		"log id":                           func(c *TrustedRootConfig) { c.LogID = c.LogID[:4] },
		"log key":                          func(c *TrustedRootConfig) { c.LogKey = nil },
		"start":                            func(c *TrustedRootConfig) { c.LogStart = time.Time{} },
		"there is no timestamp":            func(c *TrustedRootConfig) { c.Authorities = nil },
		"used twice":                       func(c *TrustedRootConfig) { c.Authorities = append(c.Authorities, c.Authorities[0]) },
		"is empty":                         func(c *TrustedRootConfig) { c.Authorities[0].URI = "" },
		"certificates, want leaf and root": func(c *TrustedRootConfig) { c.Authorities[0].Chain = []*x509.Certificate{w.acmeCert} },
	} {
		c := w.rootConfig()
		change(&c)
		if _, err := TrustedRoot(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error about %q, got %v", want, err)
		}
	}
}
