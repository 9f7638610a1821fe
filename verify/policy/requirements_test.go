package policy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/policy"
)

// publicKey makes a key, its PEM and its id.
func publicKey(t *testing.T) (key *ecdsa.PublicKey, text, id string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return &private.PublicKey, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), "sha256:" + hex.EncodeToString(sum[:])
}

// pinned is a policy that pins a vendor by key and by identity, an assessor and a
// service.
const pinned = `apiVersion: avow.dev/policy/v1
metadata: {name: pinned, version: "1", title: t}
require:
  types: [data-flows, no-backdoor]
  minTimestamps: 2
  minWitnesses: 2
  maxAge: 30d
vendors:
  - name: Example Devices GmbH
    products: ["pkg:generic/example-gateway@*"]
    keys: [vendor.pub]
    identities: [{san: release@example.com, issuer: "https://accounts.example.com"}]
  - name: Example Editor Inc.
    products: ["pkg:generic/example-editor@1.0.0"]
    identities: [{san: editor@example.com, issuer: "https://accounts.example.com"}]
assessors:
  - name: Example Test Laboratory
    keys: [assessor.pub]
standing:
  - name: log.example.test
    keys: [service.pub]
`

func TestRequirements(t *testing.T) {
	files := map[string]string{"policy.yaml": pinned}
	key, text, _ := publicKey(t)
	files["vendor.pub"] = text
	for _, name := range []string{"assessor.pub", "service.pub"} {
		_, files[name], _ = publicKey(t)
	}
	p, err := load(t, files)
	if err != nil {
		t.Fatal(err)
	}
	r := p.Requirements()
	if !slices.Equal(r.Types, []string{predicate.DataFlowsType, predicate.NoBackdoorType}) || r.MinTimestamps != 2 || r.MinWitnesses != 2 ||
		r.MaxAge != 30*24*time.Hour || len(r.Signers) != 5 {
		t.Fatalf("%+v", r)
	}
	if s := r.Signers[0]; !s.Key.PublicKey.Equal(key) || s.Name != "Example Devices GmbH" || slices.Contains(s.Types, predicate.StandingType) ||
		slices.Contains(s.Types, predicate.AssessmentType) || !slices.Contains(s.Types, predicate.UndertakingsType) ||
		!slices.Contains(s.Types, predicate.RuntimeTraceType) {
		t.Errorf("vendor %+v", s)
	}
	if s := r.Signers[1]; s.Identity == nil || s.Identity.SAN != "release@example.com" {
		t.Errorf("vendor %+v", s)
	}
	if s := r.Signers[3]; !slices.Equal(s.Types, append([]string{predicate.AssessmentType}, predicate.EvidenceTypes()...)) || s.Name != "Example Test Laboratory" {
		t.Errorf("assessor %+v", s)
	}
	if s := r.Signers[4]; !slices.Equal(s.Types, []string{predicate.StandingType}) {
		t.Errorf("service %+v", s)
	}
}

func TestReservedRules(t *testing.T) {
	files := map[string]string{"policy.yaml": pinned}
	var vendorID, assessorID, serviceID string
	_, files["vendor.pub"], vendorID = publicKey(t)
	_, files["assessor.pub"], assessorID = publicKey(t)
	_, files["service.pub"], serviceID = publicKey(t)
	p, err := load(t, files)
	if err != nil {
		t.Fatal(err)
	}
	base := func() verify.Facts {
		f := strictFacts(t)
		for i, id := range []string{vendorID, vendorID, vendorID, serviceID, assessorID} {
			f.Evidence[i].KeyID = id
			f.Evidence[i].Timestamps = append(f.Evidence[i].Timestamps, verify.Timestamp{Authority: "https://other.example.test"})
			f.Evidence[i].Cosignatures = []verify.Cosignature{{Name: "w", KeyID: "sha256:01"}, {Name: "w", KeyID: "sha256:02"}}
		}
		return f
	}
	stated := func(name string, edits ...edit) verify.Evidence {
		e := evidence(t, edited(t, vector(t, name), edits...))
		e.KeyID, e.Timestamps, e.Cosignatures = vendorID, base().Evidence[0].Timestamps, base().Evidence[0].Cosignatures
		return e
	}
	by := func(e verify.Evidence, keyID string) verify.Evidence {
		e.KeyID = keyID
		return e
	}
	purl := "/predicate/common/product/identifiers/0"
	for name, c := range map[string]struct {
		change func(f *verify.Facts)
		want   map[string][]string // rule -> failing
	}{
		"as it is":          {change: func(*verify.Facts) {}},
		"no no-backdoor":    {func(f *verify.Facts) { f.Evidence = slices.Delete(f.Evidence, 1, 2) }, map[string][]string{policy.RuleTypes: {"no-backdoor"}}},
		"one timestamp":     {func(f *verify.Facts) { f.Evidence[1].Timestamps = f.Evidence[1].Timestamps[:1] }, map[string][]string{policy.RuleTimestamps: {"no-backdoor"}}},
		"one authority":     {func(f *verify.Facts) { f.Evidence[0].Timestamps[1] = f.Evidence[0].Timestamps[0] }, map[string][]string{policy.RuleTimestamps: {"data-flows"}}},
		"one witness":       {func(f *verify.Facts) { f.Evidence[1].Cosignatures = f.Evidence[1].Cosignatures[:1] }, map[string][]string{policy.RuleWitnesses: {"no-backdoor"}}},
		"one witness twice": {func(f *verify.Facts) { f.Evidence[0].Cosignatures[1] = f.Evidence[0].Cosignatures[0] }, map[string][]string{policy.RuleWitnesses: {"data-flows"}}},
		"signed long ago":   {func(f *verify.Facts) { f.Evidence[2].SignedBy = at.Add(-31 * 24 * time.Hour) }, map[string][]string{policy.RuleMaxAge: {"undertakings"}}},
		"never signed":      {func(f *verify.Facts) { f.Evidence[2].SignedBy = time.Time{} }, map[string][]string{policy.RuleMaxAge: {"undertakings"}}},
		"another key":       {func(f *verify.Facts) { f.Evidence[0].KeyID = assessorID }, map[string][]string{policy.RuleVendor: {"data-flows"}}},
		"pinned identity":   {func(f *verify.Facts) { f.Evidence[0].Signer = identity("release@example.com") }, nil},
		"another identity":  {func(f *verify.Facts) { f.Evidence[0].Signer = identity("other@example.com") }, map[string][]string{policy.RuleVendor: {"data-flows"}}},
		"another vendor's":  {func(f *verify.Facts) { f.Evidence[0].Signer = identity("editor@example.com") }, map[string][]string{policy.RuleVendor: {"data-flows"}}},
		"another product": {func(f *verify.Facts) {
			f.Evidence[0] = stated("minimal-data-flows", edit{Pointer: purl + "/value", Value: "pkg:generic/example-editor@1.2.3"})
		}, map[string][]string{policy.RuleVendor: {"data-flows"}}},
		"another product besides": {func(f *verify.Facts) {
			f.Evidence[0] = stated("minimal-data-flows", edit{Pointer: "/predicate/common/product/identifiers", Value: []any{
				map[string]any{"scheme": "purl", "value": "pkg:generic/example-gateway@1.2.3"},
				map[string]any{"scheme": "purl", "value": "pkg:generic/example-editor@1.2.3"}}})
		}, map[string][]string{policy.RuleVendor: {"data-flows"}}},
		"no package URL": {func(f *verify.Facts) {
			f.Evidence[0] = stated("minimal-data-flows", edit{Pointer: purl + "/scheme", Value: "gtin"})
		}, map[string][]string{policy.RuleVendor: {"data-flows"}}},
		"a second signer": {func(f *verify.Facts) { f.Evidence = append(f.Evidence, by(f.Evidence[0], assessorID)) }, nil},
		"a first signer": {func(f *verify.Facts) {
			f.Evidence = append([]verify.Evidence{by(f.Evidence[0], assessorID)}, f.Evidence...)
		}, nil},
		"two other signers": {func(f *verify.Facts) {
			f.Evidence[0].KeyID = serviceID
			f.Evidence = append(f.Evidence, by(f.Evidence[0], assessorID))
		}, map[string][]string{policy.RuleVendor: {"data-flows"}}},
		"nothing": {func(f *verify.Facts) { f.Evidence = nil }, map[string][]string{policy.RuleTypes: {"data-flows", "no-backdoor"},
			policy.RuleTimestamps: nil, policy.RuleWitnesses: nil, policy.RuleVendor: nil, policy.RuleMaxAge: nil}},
	} {
		t.Run(name, func(t *testing.T) {
			f := base()
			c.change(&f)
			result, err := p.Judge(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			if len(result.Rules) != 5 {
				t.Fatalf("%d rules, want the five reserved ones", len(result.Rules))
			}
			for _, r := range result.Rules {
				failing, fails := c.want[r.ID]
				if r.Passed == fails || !slices.Equal(r.Failing, failing) || fails && r.Message == "" {
					t.Errorf("%+v, want failing %v", r, failing)
				}
			}
		})
	}
}

func identity(san string) verify.Signer {
	return verify.Signer{Identity: &verify.Identity{SAN: san, Issuer: "https://accounts.example.com"}}
}

func TestKeys(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := publicKey(t)
	other := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	for name, c := range map[string]struct{ key, message string }{
		"P-256":          {text, ""},
		"RSA":            {other, "not ECDSA P-256"},
		"two keys":       {text + text, "after the PEM block"},
		"certificate":    {strings.ReplaceAll(text, "PUBLIC KEY", "CERTIFICATE"), "no PEM block"},
		"damaged":        {strings.Replace(text, "\nM", "\nN", 1), "asn1"},
		"too large":      {text + strings.Repeat("\n", policy.MaxKeyBytes), "too large"},
		"text before":    {"a key\n" + text, ""},
		"inline instead": {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			header := "apiVersion: avow.dev/policy/v1\nmetadata: {name: x, version: \"1\", title: t}\nvendors:\n" +
				"  - {name: a, products: [\"*\"], keys: [key.pub]}\n"
			if name == "inline instead" {
				header = strings.Replace(header, "{name: a, products: [\"*\"], keys: [key.pub]}",
					"name: a\n    products: [\"*\"]\n    keys:\n      - |\n        "+strings.ReplaceAll(text, "\n", "\n        "), 1)
			}
			p, err := load(t, map[string]string{"policy.yaml": header, "key.pub": c.key})
			if c.message == "" {
				if err != nil || len(p.Requirements().Signers) != 1 {
					t.Fatalf("%v", err)
				}
				return
			}
			var e *policy.Error
			if !errors.As(err, &e) || !strings.Contains(e.Message, c.message) {
				t.Errorf("%v, want %q", err, c.message)
			}
		})
	}
}

// A real bundle, verified with the requirements of a policy and judged by it.
func TestVerifierWithPolicy(t *testing.T) {
	w := bundletest.NewWorld(t)
	der, err := x509.MarshalPKIXPublicKey(&w.Vendor.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	text := `apiVersion: avow.dev/policy/v1
metadata: {name: real, version: "1", title: t}
require: {types: [data-flows], maxAge: 2d}
include: [P06, P13]
vendors: [{name: Example, products: ["PRODUCT"], keys: [vendor.pub]}]
`
	for product, want := range map[string]verify.Outcome{"pkg:*": verify.Accepted, "pkg:generic/another@*": verify.Rejected} {
		p, err := load(t, map[string]string{"policy.yaml": strings.Replace(text, "PRODUCT", product, 1),
			"vendor.pub": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))})
		if err != nil {
			t.Fatal(err)
		}
		trust, err := verify.ParseTrust(w.TrustedRoot())
		if err != nil {
			t.Fatal(err)
		}
		v, err := verify.New(verify.Config{Trust: trust, Clock: func() time.Time { return bundletest.Epoch }})
		if err != nil {
			t.Fatal(err)
		}
		r := p.Requirements()
		verdict, err := v.Verify(t.Context(), verify.Input{ArtifactSHA256: bundletest.ArtifactSHA256,
			Bundles: []verify.NamedBundle{{Name: "a", Data: w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows-none")})}},
			Signers: r.Signers, RequiredTypes: r.Types, MinTimestamps: r.MinTimestamps, Policy: p})
		if err != nil {
			t.Fatal(err)
		}
		if verdict.Outcome != want || verdict.Policy == nil || verdict.Policy.Digest != p.Digest() {
			t.Errorf("%s: %s, %v, %+v", product, verdict.Outcome, verdict.Failures(), verdict.Policy)
		}
		if denials := verdict.Policy.Denials(); want == verify.Rejected && (len(denials) != 1 || denials[0].ID != policy.RuleVendor) {
			t.Errorf("%v", denials)
		}
	}
}

// A required standing is one of the statement, by somebody who may make it.
func TestRequiredStanding(t *testing.T) {
	p := written(t, "apiVersion: avow.dev/policy/v1\nmetadata: {name: x, version: \"1\", title: t}\nrequire: {types: [standing, assessment]}\n")
	f := set{DataFlows: "minimal-data-flows", Standing: "minimal-standing", Assessments: []string{"minimal-assessment"}}.facts(t)
	if got := only(t, p, f); !got.Passed {
		t.Errorf("%+v", got)
	}
	for i := range f.Evidence {
		f.Evidence[i].Signer = f.Evidence[0].Signer
	}
	if got := only(t, p, f); got.Passed || !slices.Equal(got.Failing, []string{"standing", "assessment"}) {
		t.Errorf("by the vendor: %+v", got)
	}
}
