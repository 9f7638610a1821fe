package verify_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
)

const (
	vendorSAN    = "https://vendor.example.test/release"
	vendorIssuer = "https://accounts.example.test"
)

// generator writes the vectors of testdata/verdicts. All keys are new each time
// and thrown away; the files are what stays.
type generator struct {
	*testing.T
	w     *bundletest.World
	names map[string]bool
}

// generateVectors writes testdata/verdicts anew (go test -run Vectors -update).
func generateVectors(t *testing.T) {
	if err := os.RemoveAll(filepath.Join(vectorDir, "files")); err != nil {
		t.Fatal(err)
	}
	old, err := filepath.Glob(filepath.Join(vectorDir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	g := &generator{T: t, w: bundletest.NewWorld(t), names: make(map[string]bool)}
	g.file("trusted_root.json", g.w.TrustedRoot())
	g.file("vendor.pub", marshalPublicKey(t, &g.w.Vendor.PublicKey))
	g.accepted()
	g.damaged()
	g.wrongLog()
	g.wrongTime()
	g.wrongSigner()
	g.wrongStatement()
	g.donors()
}

// donors are valid bundles whose parts the mutation tests splice into others:
// of another artifact, another time, another vendor and another log, under a
// trusted root that names both logs.
func (g *generator) donors() {
	second := bundletest.NewLog(g, "second.example.test", bundletest.Start)
	g.file("trusted_root_two_logs.json", bundletest.TrustedRoot(g, []*bundletest.Log{g.w.Log, second},
		[]*bundletest.TSA{g.w.TSA, g.w.Foreign}, []*bundletest.CA{g.w.CA}, nil))
	both := []*bundletest.TSA{g.w.TSA, g.w.Foreign}
	spec := func(oldNew ...string) bundletest.Spec {
		return bundletest.Spec{Payload: bundletest.Statement(g, "no-backdoor", oldNew...), TSAs: both, After: 1}
	}
	g.bundle("donor-artifact", spec(bundletest.ArtifactSHA256, bundletest.OtherSHA256), nil)
	later := spec()
	later.At = bundletest.Epoch.Add(time.Hour)
	g.bundle("donor-time", later, nil)
	vendor := spec()
	vendor.Key = bundletest.NewKey(g)
	g.bundle("donor-vendor", vendor, nil)
	log := spec()
	log.Log = second
	g.bundle("donor-log", log, nil)
	id := g.identity(nil)
	id.TSAs = both
	g.bundle("donor-identity", id, nil)
}

func (g *generator) file(name string, data []byte) string {
	writeFile(g, filepath.Join(vectorDir, "files", name), data)
	return name
}

// bundle writes a bundle, its JSON changed where change is given.
func (g *generator) bundle(name string, spec bundletest.Spec, change func(*protobundle.Bundle)) string {
	b := g.w.Issue(g, spec)
	if change != nil {
		change(b)
	}
	return g.file(name+".sigstore.json", bundletest.JSON(g, b))
}

// vector writes a vector over bundles, with the fields that change sets.
func (g *generator) vector(name, description, outcome string, failures []verify.CheckID, bundles []string,
	change func(*vector)) {
	if g.names[name] {
		g.Fatalf("vector %s is written twice", name)
	}
	g.names[name] = true
	vec := vector{
		Description: description, At: clock(), ArtifactSHA256: bundletest.ArtifactSHA256, TrustedRoot: "trusted_root.json",
		Signers: []vectorSigner{{PublicKey: "vendor.pub"}}, Bundles: bundles, Expect: vectorExpect{Outcome: outcome},
	}
	for _, id := range failures {
		f := vectorFailure{Check: id}
		ofInput := []verify.CheckID{verify.CheckBundlesGiven, verify.CheckRequiredTypes, verify.CheckStatementsAgree}
		if len(bundles) > 0 && !slices.Contains(ofInput, id) {
			f.Bundle = bundles[0]
		}
		vec.Expect.Failures = append(vec.Expect.Failures, f)
	}
	if change != nil {
		change(&vec)
	}
	raw, err := json.MarshalIndent(vec, "", "  ")
	if err != nil {
		g.Fatal(err)
	}
	writeFile(g, filepath.Join(vectorDir, name+".json"), append(raw, '\n'))
}

// rejected writes a vector over one bundle that fails at the checks given, and
// therefore at the checks of the whole input.
func (g *generator) rejected(name, description string, bundle string, change func(*vector), checks ...verify.CheckID) {
	failures := append(slices.Clone(checks), verify.CheckBundlesGiven, verify.CheckRequiredTypes)
	g.vector(name, description, "rejected", failures, []string{bundle}, change)
}

func (g *generator) accepted() {
	nb := g.bundle("no-backdoor", bundletest.Spec{Payload: bundletest.Statement(g, "no-backdoor"), After: 2}, nil)
	df := g.bundle("data-flows", bundletest.Spec{Payload: bundletest.Statement(g, "data-flows")}, nil)
	both := []string{predicate.NoBackdoorType, predicate.DataFlowsType}
	g.vector("accepted-key", "two statements by a pinned key", "accepted", nil, []string{nb, df},
		func(v *vector) { v.RequiredTypes = both })
	two := g.bundle("two-authorities", bundletest.Spec{
		Payload: bundletest.Statement(g, "no-backdoor"), TSAs: []*bundletest.TSA{g.w.TSA, g.w.Foreign},
	}, nil)
	g.vector("accepted-two-authorities", "timestamps of two authorities where two are required", "accepted", nil,
		[]string{two},
		func(v *vector) { v.MinTimestamps = 2 })
	id := g.bundle("identity", g.identity(nil), nil)
	g.vector("accepted-identity", "a certificate of a private authority, identity pinned exactly", "accepted", nil,
		[]string{id}, pinIdentity)
	g.vector("rejected-required-type", "a required statement is missing", "rejected",
		[]verify.CheckID{verify.CheckRequiredTypes}, []string{nb},
		func(v *vector) { v.RequiredTypes = both })
	g.vector("rejected-no-bundles", "no bundles: silence is not consent", "rejected",
		[]verify.CheckID{verify.CheckBundlesGiven, verify.CheckRequiredTypes}, nil,
		func(v *vector) { v.Bundles = []string{} })
	g.vector("rejected-one-of-two", "a good bundle does not make up for a bad one", "rejected", nil,
		[]string{nb, g.bundle("two-signatures", g.plain(), secondSignature)}, func(v *vector) {
			v.Expect.Failures = []vectorFailure{{Bundle: "two-signatures.sigstore.json", Check: verify.CheckSignatureCount}}
		})
	first, newer := g.bundle("flows", bundletest.Spec{Payload: flows(g.T, 1)}, nil),
		g.bundle("flows-again", bundletest.Spec{Payload: flows(g.T, 2)}, nil)
	other := g.bundle("flows-other", bundletest.Spec{Payload: flows(g.T, 3, `"necessity": "feature"`, `"necessity": "core"`)}, nil)
	g.vector("accepted-newer", "of two that agree, the newer counts", "accepted", nil, []string{first, newer}, nil)
	g.vector("rejected-contradiction", "two in force say different things", "rejected",
		[]verify.CheckID{verify.CheckStatementsAgree}, []string{first, other}, nil)
	g.rejected("rejected-artifact", "the artifact was changed", nb,
		func(v *vector) { v.ArtifactSHA256 = bundletest.OtherSHA256 }, verify.CheckSubject)
}

// identity is a statement by a certified identity; change alters the certificate.
func (g *generator) identity(change func(*x509.Certificate)) bundletest.Spec {
	key := bundletest.NewKey(g)
	cert := g.w.CA.Certify(g, &key.PublicKey, vendorSAN, vendorIssuer, bundletest.Epoch.Add(-time.Minute),
		bundletest.Epoch.Add(9*time.Minute), change)
	return bundletest.Spec{Payload: bundletest.Statement(g, "no-backdoor"), Key: key, Certificate: cert}
}

func pinIdentity(v *vector) { v.Signers = []vectorSigner{{SAN: vendorSAN, Issuer: vendorIssuer}} }

func (g *generator) plain() bundletest.Spec {
	return bundletest.Spec{Payload: bundletest.Statement(g, "no-backdoor")}
}

func secondSignature(b *protobundle.Bundle) {
	e := b.GetDsseEnvelope()
	e.Signatures = append(e.Signatures, e.Signatures[0])
}

// damaged are changes to the JSON of a good bundle.
func (g *generator) damaged() {
	good := bundletest.JSON(g, g.w.Issue(g, g.plain()))
	raw := func(name, old, replacement string) string {
		if !bytes.Contains(good, []byte(old)) {
			g.Fatalf("%s: no %q in the bundle", name, old)
		}
		return g.file(name+".sigstore.json", bytes.Replace(good, []byte(old), []byte(replacement), 1))
	}
	g.rejected("rejected-empty", "an empty file", g.file("empty.sigstore.json", nil), nil, verify.CheckBundleSize)
	g.rejected("rejected-repeated-member", "a member twice",
		raw("repeated-member", `"mediaType"`, `"mediaType":"x","mediaType"`), nil, verify.CheckBundleJSON)
	g.rejected("rejected-media-type", "a bundle v0.2", raw("media-type", "bundle.v0.3+json", "bundle+json;version=0.2"),
		nil, verify.CheckBundleMediaType)
	g.rejected("rejected-snake-case", "a member in protobuf's other spelling",
		raw("snake-case", `"tlogEntries"`, `"tlog_entries"`), nil, verify.CheckBundleForm)
	g.rejected("rejected-two-signatures", "two signatures", "two-signatures.sigstore.json", nil,
		verify.CheckSignatureCount)
	g.rejected("rejected-keyid", "a keyid that nobody signed", raw("keyid", `"sig":`, `"keyid":"another","sig":`), nil,
		verify.CheckSignatureCount)
	edit := func(name, description string, id verify.CheckID, change func(*protobundle.Bundle)) {
		g.rejected("rejected-"+name, description, g.bundle(name, g.plain(), change), nil, id)
	}
	edit("payload", "the statement was changed after signing", verify.CheckSignature, func(b *protobundle.Bundle) {
		e := b.GetDsseEnvelope()
		e.Payload = bytes.Replace(e.Payload, []byte("asserted"), []byte("Asserted"), 1)
	})
	edit("payload-empty", "no statement", verify.CheckStatementSize,
		func(b *protobundle.Bundle) { b.GetDsseEnvelope().Payload = nil })
	edit("two-entries", "two log entries", verify.CheckLogEntryCount, func(b *protobundle.Bundle) {
		m := b.GetVerificationMaterial()
		m.TlogEntries = append(m.TlogEntries, m.TlogEntries[0])
	})
	edit("no-timestamp", "no timestamp", verify.CheckTimestampCount, func(b *protobundle.Bundle) {
		b.GetVerificationMaterial().TimestampVerificationData = nil
	})
}

// wrongLog are changes to what sigstore-go leaves open, and to what it does not.
func (g *generator) wrongLog() {
	other := g.w.Issue(g, bundletest.Spec{Payload: bundletest.Statement(g, "data-flows")})
	edit := func(name, description string, id verify.CheckID, change func(*protorekor.TransparencyLogEntry)) {
		g.rejected("rejected-"+name, description, g.bundle(name, g.plain(), func(b *protobundle.Bundle) {
			change(b.GetVerificationMaterial().GetTlogEntries()[0])
		}), nil, id)
	}
	edit("kind", "the entry is labelled dsse", verify.CheckLogEntryKind,
		func(e *protorekor.TransparencyLogEntry) { e.KindVersion.Kind = "dsse" })
	edit("integrated-time", "an integrated time that no log signed", verify.CheckLogEntryTime,
		func(e *protorekor.TransparencyLogEntry) { e.IntegratedTime = bundletest.Epoch.Unix() })
	edit("promise", "an inclusion promise that no log gave", verify.CheckLogEntryTime,
		func(e *protorekor.TransparencyLogEntry) {
			e.InclusionPromise = &protorekor.InclusionPromise{SignedEntryTimestamp: []byte("promise")}
		})
	edit("body", "the log entry's body is another bundle's", verify.CheckLogBody,
		func(e *protorekor.TransparencyLogEntry) {
			e.CanonicalizedBody = other.GetVerificationMaterial().GetTlogEntries()[0].GetCanonicalizedBody()
		})
	edit("checkpoint", "the checkpoint's size was changed", verify.CheckCheckpoint,
		func(e *protorekor.TransparencyLogEntry) {
			c := e.InclusionProof.Checkpoint
			c.Envelope = strings.Replace(c.Envelope, "\n", "\n1", 1)
		})
	edit("proof-index", "the proof's index is not the entry's", verify.CheckLogProofFields,
		func(e *protorekor.TransparencyLogEntry) { e.InclusionProof.LogIndex++ })
	edit("proof-size", "the proof's tree size is not the checkpoint's", verify.CheckLogProofFields,
		func(e *protorekor.TransparencyLogEntry) { e.InclusionProof.TreeSize++ })
	edit("proof-root", "the proof's root hash is not the checkpoint's", verify.CheckLogProofFields,
		func(e *protorekor.TransparencyLogEntry) { e.InclusionProof.RootHash[0] ^= 1 })
	edit("proof-hash", "the proof does not lead to the root", verify.CheckLogInclusion,
		func(e *protorekor.TransparencyLogEntry) { e.InclusionProof.Hashes[0][0] ^= 1 })
	unknown := bundletest.NewLog(g, "log.elsewhere.test", bundletest.Start)
	g.rejected("rejected-log", "a log that the trusted root does not name",
		g.bundle("log", bundletest.Spec{Payload: bundletest.Statement(g, "no-backdoor"), Log: unknown},
			nil), nil, verify.CheckLogKey)
}

func (g *generator) wrongTime() {
	payload := bundletest.Statement(g, "no-backdoor")
	both := []*bundletest.TSA{g.w.TSA, g.w.Foreign}
	g.rejected("rejected-timestamp", "a timestamp over another signature",
		g.bundle("timestamp", bundletest.Spec{Payload: payload, StampMessage: []byte("another")},
			nil), nil, verify.CheckTimestamp)
	g.rejected("rejected-one-authority", "two timestamps of one authority where two authorities are required",
		g.bundle("one-authority", bundletest.Spec{Payload: payload, TSAs: []*bundletest.TSA{g.w.TSA, g.w.TSA}}, nil),
		func(v *vector) { v.MinTimestamps = 2 }, verify.CheckTimestampAuthorities)
	g.rejected("rejected-skew", "authorities that disagree about the time",
		g.bundle("skew", bundletest.Spec{Payload: payload, TSAs: both, Times: []time.Time{
			bundletest.Epoch, bundletest.Epoch.Add(verify.DefaultTimestampSkew + time.Second),
		}}, nil), nil, verify.CheckTimestampAgreement)
	g.rejected("rejected-future", "a timestamp after the time of verification", "no-backdoor.sigstore.json",
		func(v *vector) { v.At = bundletest.Epoch.Add(-verify.DefaultTimestampSkew - time.Second) }, verify.CheckTimestampAgreement)
	g.w.Log.End = bundletest.Epoch.Add(-time.Second)
	g.file("trusted_root_retired_log.json",
		bundletest.TrustedRoot(g, []*bundletest.Log{g.w.Log}, []*bundletest.TSA{g.w.TSA}, nil, nil))
	g.w.Log.End = time.Time{}
	g.rejected("rejected-retired-log-key", "the log's key was retired before the timestamp", "no-backdoor.sigstore.json",
		func(v *vector) { v.TrustedRoot = "trusted_root_retired_log.json" }, verify.CheckLogKeyValidity)
}

func (g *generator) wrongSigner() {
	g.file("other.pub", marshalPublicKey(g, &bundletest.NewKey(g).PublicKey))
	g.rejected("rejected-signer", "another vendor's key is pinned", "no-backdoor.sigstore.json",
		func(v *vector) { v.Signers[0].PublicKey = "other.pub" }, verify.CheckSigner)
	g.rejected("rejected-retired-key", "the vendor's key was retired before the timestamp", "no-backdoor.sigstore.json",
		func(v *vector) { v.Signers[0].NotAfter = bundletest.Epoch.Add(-time.Second) }, verify.CheckSignerValidity)
	g.rejected("rejected-identity", "an identity that differs in one letter", "identity.sigstore.json", func(v *vector) {
		v.Signers = []vectorSigner{{SAN: strings.Replace(vendorSAN, "vendor", "Vendor", 1), Issuer: vendorIssuer}}
	}, verify.CheckSigner)
	expired := g.identity(func(c *x509.Certificate) { c.NotAfter = bundletest.Epoch.Add(-time.Second) })
	g.rejected("rejected-expired-certificate", "a certificate that had expired when it signed",
		g.bundle("expired-certificate", expired, nil), pinIdentity, verify.CheckSignerValidity)
	twoNames := g.identity(func(c *x509.Certificate) {
		c.URIs = append(c.URIs, &url.URL{Scheme: "https", Host: "other.example.test"})
	})
	g.rejected("rejected-two-names", "a certificate with two names", g.bundle("two-names", twoNames, nil), pinIdentity,
		verify.CheckSigner)
}

func (g *generator) wrongStatement() {
	issue := func(name, description, statement string, checks []verify.CheckID, oldNew ...string) {
		g.rejected("rejected-"+name, description,
			g.bundle(name, bundletest.Spec{Payload: bundletest.Statement(g, statement, oldNew...)}, nil), nil, checks...)
	}
	one := func(id verify.CheckID) []verify.CheckID { return []verify.CheckID{id} }
	issue("repeated-subject", "a statement that two parsers read differently", "no-backdoor",
		one(verify.CheckStatementFormat),
		`"predicateType":`, `"SUBJECT":[],"predicateType":`)
	issue("withdrawal", "a withdrawal says nothing good about an artifact", "withdrawal",
		[]verify.CheckID{verify.CheckPredicateType})
	issue("rule", "a statement that breaks a rule, although it was logged", "no-backdoor", one(verify.CheckStatementRules),
		`"country": "DE",
     "controlledFrom"`, `"country": "XX",
     "controlledFrom"`)
	g.rejected("rejected-expired", "a statement whose validity has ended", "no-backdoor.sigstore.json",
		func(v *vector) { v.At = bundletest.Epoch.AddDate(1, 0, 1) }, verify.CheckValidity)
	g.rejected("rejected-payload-type", "a payload that is not an in-toto statement",
		g.bundle("payload-type",
			bundletest.Spec{Payload: bundletest.Statement(g, "no-backdoor"), PayloadType: "application/json"}, nil),
		nil, verify.CheckPayloadType)
}
