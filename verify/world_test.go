package verify_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
)

// reasonOf verifies one bundle of a world and returns "accepted" or the first
// check that failed. What plain sigstore-go refuses must not be accepted.
func reasonOf(t *testing.T, w *bundletest.World, trustedRoot []byte, in verify.Input) string {
	t.Helper()
	verdict := verdictOf(t, newVerifier(t, trustedRoot), in)
	if verdict.Outcome == verify.Rejected {
		return string(verdict.Failures()[0].ID)
	}
	if in.Signers[0].Key != nil {
		if err := plainSigstore(in.Bundles[0].Data,
			sigstoreMaterial(t, trustedRoot, in.Signers[0].Key.PublicKey)); err != nil {
			t.Errorf("accepted, but sigstore-go refuses: %v", err)
		}
	}
	return "accepted"
}

// TestStatements re-signs statements that are wrong: every signature, proof and
// timestamp is valid, and only the statement can be what is refused.
func TestStatements(t *testing.T) {
	w := bundletest.NewWorld(t)
	const format, rules = string(verify.CheckStatementFormat), string(verify.CheckStatementRules)
	subject := `"subject": [`
	upper := strings.ToUpper(bundletest.ArtifactSHA256)
	for name, c := range map[string]struct {
		old, replacement, want string
	}{
		"unchanged":                {"Example Tool", "Example Tool", "accepted"},
		"subject twice":            {subject, `"subject": [], "subject": [`, format},
		"SUBJECT beside subject":   {subject, `"SUBJECT": [], "subject": [`, format},
		"Subject for subject":      {subject, `"Subject": [`, format},
		"escaped subject twice":    {subject, `"\u0073ubject": [], "subject": [`, format},
		"predicate_type":           {`"predicateType"`, `"predicate_type"`, format},
		"type for _type":           {`"_type"`, `"type"`, format},
		"no _type":                 {`"_type": "https://in-toto.io/Statement/v1",`, ``, format},
		"_type v0.1":               {"Statement/v1", "Statement/v0.1", format},
		"_type v9":                 {"Statement/v1", "Statement/v9", format},
		"_type with space":         {"Statement/v1", "Statement/v1 ", format},
		"unknown predicateType":    {"w3id.org/avow/data-flows/v1", "w3id.org/avow/data-flows/v2", format},
		"homoglyph predicateType":  {"w3id.org/avow/data-flows/v1", "w3id.org/av\u043ew/data-flows/v1", format},
		"another predicateType":    {"data-flows/v1", "no-backdoor/v1", format},
		"unknown top member":       {`"predicateType"`, `"extra": 1, "predicateType"`, format},
		"unknown subject member":   {`"digest": {`, `"uri": "x", "digest": {`, format},
		"Digest for digest":        {`"digest": {`, `"Digest": {`, format},
		"digest twice":             {`"sha256": "`, `"sha256": "` + bundletest.OtherSHA256 + `", "sha256": "`, format},
		"predicate member twice":   {`"networkUse"`, `"networkUse": "none", "networkUse"`, format},
		"null":                     {`"none"`, `null`, format},
		"fraction":                 {`"none"`, `1.5`, format},
		"2^53+1":                   {`"none"`, `9007199254740993`, format},
		"exponent":                 {`"none"`, `1e400`, format},
		"lone surrogate":           {"Example Tool", `Example \ud800`, format},
		"bad UTF-8":                {"Example Tool", "Example \xff", format},
		"NUL":                      {"Example Tool", "Example \x00", format},
		"data after the value":     {"\n}\n", "\n}{}\n", format},
		"predicate is an array":    {`"predicate": {`, `"predicate": [], "x": {`, format},
		"deep":                     {`"none"`, strings.Repeat("[", 20) + strings.Repeat("]", 20), format},
		"20 001 values":            {`"none"`, "[" + strings.Repeat("0,", 20_000) + "0]", format},
		"unknown predicate member": {`"networkUse"`, `"later": {"x": ["y"]}, "networkUse"`, "accepted"},
		"bidi in a name":           {"example-tool-1.2.3.tar.gz", "example-tool\u202e.gz", rules},
		"subject name leads out":   {"example-tool-1.2.3.tar.gz", "../../etc/passwd", rules},
		"subject without a name":   {"example-tool-1.2.3.tar.gz", "", rules},
		"upper-case hex":           {bundletest.ArtifactSHA256, upper, string(verify.CheckSubject)},
		"label SHA256": {`"sha256": "` + bundletest.ArtifactSHA256, `"SHA256": "` + bundletest.ArtifactSHA256,
			string(verify.CheckSubject)},
		"sha1 only": {`"sha256": "` + bundletest.ArtifactSHA256,
			`"sha1": "` + bundletest.ArtifactSHA256[:40], string(verify.CheckSubject)},
		"sha512 of 32 bytes":        {`"sha256": "`, `"sha512": "` + bundletest.OtherSHA256 + `", "sha256": "`, rules},
		"contradiction":             {`"none"`, `"some"`, rules},
		"no flows":                  {`"flows": []`, `"extensions": {}`, format},
		"valid for ever":            {`,` + "\n" + `    "notAfter": "2027-09-01T09:00:00Z"`, ``, rules},
		"valid for eleven years":    {"2027-09-01T09:00:00Z", "2037-09-01T09:00:00Z", rules},
		"ends before it starts":     {"2027-09-01T09:00:00Z", "2026-08-01T09:00:00Z", rules},
		"time of another zone":      {"2027-09-01T09:00:00Z", "2027-09-01T09:00:00+02:00", rules},
		"country of nowhere":        {`"country": "DE"`, `"country": "XX"`, rules},
		"nobody's word":             {`"responsibility": "soleResponsibility"`, `"signatoryName": "x"`, rules},
		"product of another number": {`@1.2.3"`, `@1.2.4"`, rules},
	} {
		t.Run(name, func(t *testing.T) {
			payload := bundletest.Statement(t, "data-flows-none", c.old, c.replacement)
			got := reasonOf(t, w, w.TrustedRoot(), input(w, w.IssueJSON(t, bundletest.Spec{Payload: payload})))
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestAuthorities uses keys for what they are not trusted for, and counts
// copies of one authority's word.
func TestAuthorities(t *testing.T) {
	w := bundletest.NewWorld(t)
	ecdsaLog := bundletest.NewECDSALog(t, "ecdsa.example.test", bundletest.Start)
	logs, tsas, cas := []*bundletest.Log{w.Log}, []*bundletest.TSA{w.TSA}, []*bundletest.CA{w.CA}
	payload := bundletest.Statement(t, "data-flows-none")
	plain := bundletest.Spec{Payload: payload}
	alias := *w.TSA
	alias.URI = "https://another.name.test"
	lookalike := bundletest.NewTSA(t, w.TSA.URI, bundletest.Start)
	relogged := func(change func([]byte) []byte) bundletest.Spec {
		return bundletest.Spec{Payload: payload, Leaf: change}
	}
	noted := func(change func(*bundletest.Log) string) bundletest.Spec {
		return bundletest.Spec{Payload: payload, Checkpoint: change}
	}
	head := func(format string, l *bundletest.Log) string {
		return l.SignNote(t, fmt.Sprintf(format, l.Origin, l.Size(), base64.StdEncoding.EncodeToString(l.Root())))
	}
	for name, c := range map[string]struct {
		spec  bundletest.Spec
		trust []byte
		min   int
		want  string
	}{
		"as it should be": {plain, bundletest.TrustedRoot(t, logs, tsas, cas, nil), 1, "accepted"},
		"log with a P-256 key": {bundletest.Spec{Payload: payload, Log: ecdsaLog},
			bundletest.TrustedRoot(t, []*bundletest.Log{ecdsaLog}, tsas, cas, nil), 1, "accepted"},
		"log trusted as CT log":   {plain, bundletest.TrustedRoot(t, nil, tsas, cas, logs), 1, "log-key"},
		"authority trusted as CA": {plain, bundletest.TrustedRoot(t, logs, nil, cas, nil), 1, "timestamp"},
		"unknown authority": {bundletest.Spec{Payload: payload, TSAs: []*bundletest.TSA{lookalike}},
			w.TrustedRoot(), 1, "timestamp"},
		"one authority, two times": {bundletest.Spec{Payload: payload, TSAs: []*bundletest.TSA{w.TSA, w.TSA},
			Times: []time.Time{bundletest.Epoch,
				bundletest.Epoch.Add(time.Second)}}, w.TrustedRoot(), 2, "timestamp-authorities"},
		"one key under two names": {bundletest.Spec{Payload: payload, TSAs: []*bundletest.TSA{w.TSA, &alias}},
			bundletest.TrustedRoot(t, logs, []*bundletest.TSA{w.TSA, &alias}, nil, nil), 2, "timestamp-authorities"},
		"two keys under one name": {bundletest.Spec{Payload: payload, TSAs: []*bundletest.TSA{w.TSA, lookalike}},
			bundletest.TrustedRoot(t, logs, []*bundletest.TSA{w.TSA, lookalike}, nil, nil), 2, "timestamp-authorities"},
		"too few timestamps": {plain, w.TrustedRoot(), 2, "timestamp-count"},
		"one good, one unknown": {bundletest.Spec{Payload: payload, TSAs: []*bundletest.TSA{w.TSA, lookalike}},
			w.TrustedRoot(), 1, "timestamp"},
		"SHA-512 imprint": {bundletest.Spec{Payload: payload,
			Stamp: bundletest.StampOptions{Hash: crypto.SHA512}}, w.TrustedRoot(), 1, "accepted"},
		"token without certificate": {bundletest.Spec{Payload: payload,
			Stamp: bundletest.StampOptions{NoCertificate: true}}, w.TrustedRoot(), 1, "accepted"},
		"timestamp of the payload": {bundletest.Spec{Payload: payload, StampMessage: payload}, w.TrustedRoot(), 1,
			"timestamp"},
		"leaf with white space": {relogged(func(l []byte) []byte { return append(l, ' ') }), w.TrustedRoot(), 1,
			"log-body"},
		"leaf of other key details": {relogged(replaced("PKIX_ECDSA_P256_SHA_256", "PKIX_ECDSA_P384_SHA_384")),
			w.TrustedRoot(), 1, "log-body"},
		"leaf of other hash": {relogged(replaced("SHA2_256", "SHA2_512")), w.TrustedRoot(), 1, "log-body"},
		"checkpoint of another log": {noted(func(*bundletest.Log) string { return ecdsaLog.Checkpoint(t) }),
			w.TrustedRoot(), 1, "checkpoint"},
		"checkpoint, leading zero": {noted(func(l *bundletest.Log) string { return head("%s\n0%d\n%s\n", l) }),
			w.TrustedRoot(), 1, "checkpoint"},
		"checkpoint, no root": {noted(func(l *bundletest.Log) string { return l.SignNote(t, l.Origin+"\n7\n") }),
			w.TrustedRoot(), 1, "checkpoint"},
		"checkpoint, short root": {noted(func(l *bundletest.Log) string {
			return l.SignNote(t,
				l.Origin+"\n7\nAAAA\n")
		}), w.TrustedRoot(), 1, "checkpoint"},
		"checkpoint, other origin": {noted(func(l *bundletest.Log) string { return head("x%s\n%d\n%s\n", l) }),
			w.TrustedRoot(), 1, "checkpoint"},
		"checkpoint, extension line": {noted(func(l *bundletest.Log) string { return head("%s\n%d\n%s\nextension\n", l) }),
			w.TrustedRoot(), 1, "accepted"},
		"checkpoint of a v1 log": {noted(func(l *bundletest.Log) string { return head("%s - 42\n%d\n%s\n", l) }),
			w.TrustedRoot(), 1, "checkpoint"},
		"checkpoint, other signed it": {noted(func(l *bundletest.Log) string {
			return bundletest.NewLog(t, l.Origin,
				bundletest.Start).Checkpoint(t)
		}), w.TrustedRoot(), 1, "checkpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(w, w.IssueJSON(t, c.spec))
			in.MinTimestamps = c.min
			if got := reasonOf(t, w, c.trust, in); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func replaced(old, replacement string) func([]byte) []byte {
	return func(leaf []byte) []byte { return []byte(strings.ReplaceAll(string(leaf), old, replacement)) }
}

// TestCertificates varies the certificate of a bundle by an identity.
func TestCertificates(t *testing.T) {
	w, other := bundletest.NewWorld(t), bundletest.NewWorld(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	in := verify.Input{
		ArtifactSHA256: bundletest.ArtifactSHA256, Signers: []verify.Signer{{Identity: &verify.Identity{SAN: vendorSAN,
			Issuer: vendorIssuer}}},
	}
	start, end := bundletest.Epoch.Add(-time.Minute), bundletest.Epoch.Add(time.Minute)
	for name, c := range map[string]struct {
		ca          *bundletest.CA
		san, issuer string
		key         crypto.PublicKey // instead of the signing key
		change      func(*x509.Certificate)
		want        string
	}{
		"as it should be":   {want: "accepted"},
		"another authority": {ca: other.CA, want: "signer-validity"},
		"another name":      {san: "https://vendor.example.test.evil.test/release", want: "signer"},
		"name in capitals":  {san: "https://VENDOR.example.test/release", want: "signer"},
		"homoglyph name":    {san: "https://vendor.example.test/r\u0435lease", want: "signer"},
		"another issuer":    {issuer: vendorIssuer + "/", want: "signer"},
		"e-mail beside the URI": {change: func(c *x509.Certificate) { c.EmailAddresses = []string{"a@example.test"} },
			want: "signer"},
		"host name beside it": {change: func(c *x509.Certificate) { c.DNSNames = []string{"example.test"} },
			want: "signer"},
		"P-384 key":            {key: &p384.PublicKey, want: "signer"},
		"ed25519 key":          {key: ed, want: "signer"},
		"key of somebody else": {key: &bundletest.NewKey(t).PublicKey, want: "signature"},
		"for servers":          {change: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, want: "signer-validity"},
		"for timestamps":       {change: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping} }, want: "signer-validity"},
	} {
		t.Run(name, func(t *testing.T) {
			ca, san, issuer := w.CA, vendorSAN, vendorIssuer
			if c.ca != nil {
				ca = c.ca
			}
			if c.san != "" {
				san = c.san
			}
			if c.issuer != "" {
				issuer = c.issuer
			}
			key := bundletest.NewKey(t)
			certified := c.key
			if certified == nil {
				certified = &key.PublicKey
			}
			spec := bundletest.Spec{Payload: bundletest.Statement(t, "data-flows-none"), Key: key,
				Certificate: ca.Certify(t, certified, san, issuer, start, end, c.change)}
			in.Bundles = []verify.NamedBundle{{Data: w.IssueJSON(t, spec)}}
			if got := reasonOf(t, w, w.TrustedRoot(), in); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestTrustedRoot changes the trusted root: some roots are refused, others
// trust less than they should.
func TestTrustedRoot(t *testing.T) {
	w := bundletest.NewWorld(t)
	bundleOf := w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows-none")})
	object := func(v any) map[string]any { return v.(map[string]any) } //nolint:forcetypeassert // our own JSON
	logOf := func(r map[string]any) map[string]any { return object(r["tlogs"].([]any)[0]) }
	tsaOf := func(r map[string]any) map[string]any { return object(r["timestampAuthorities"].([]any)[0]) }
	for name, c := range map[string]struct {
		change func(map[string]any)
		want   string
	}{
		"unchanged":          {func(map[string]any) {}, "accepted"},
		"another media type": {func(r map[string]any) { r["mediaType"] = "application/json" }, "unusable"},
		"unknown member":     {func(r map[string]any) { r["extra"] = 1 }, "unusable"},
		"no logs":            {func(r map[string]any) { delete(r, "tlogs") }, "log-key"},
		"no authorities":     {func(r map[string]any) { delete(r, "timestampAuthorities") }, "timestamp"},
		"log id twice": {func(r map[string]any) { r["tlogs"] = append(r["tlogs"].([]any), r["tlogs"].([]any)[0]) },
			"unusable"},
		"log without base URL": {func(r map[string]any) { delete(logOf(r), "baseUrl") }, "log-key"},
		"log without scheme":   {func(r map[string]any) { logOf(r)["baseUrl"] = "log.example.test" }, "log-key"},
		"log of another host":  {func(r map[string]any) { logOf(r)["baseUrl"] = "https://log.other.test" }, "checkpoint"},
		"log with port, path": {func(r map[string]any) { logOf(r)["baseUrl"] = "https://log.example.test:8443/2026" },
			"accepted"},
		"log of other hash": {func(r map[string]any) { logOf(r)["hashAlgorithm"] = "SHA2_512" }, "unusable"},
		"log id changed":    {func(r map[string]any) { object(logOf(r)["logId"])["keyId"] = "AAAA" }, "log-key"},
		"log without start": {func(r map[string]any) {
			delete(object(object(logOf(r)["publicKey"])["validFor"]),
				"start")
		}, "unusable"},
		"log without window":   {func(r map[string]any) { delete(object(logOf(r)["publicKey"]), "validFor") }, "unusable"},
		"authority, no start":  {func(r map[string]any) { delete(object(tsaOf(r)["validFor"]), "start") }, "unusable"},
		"authority, no window": {func(r map[string]any) { delete(tsaOf(r), "validFor") }, "unusable"},
		"authority, no chain":  {func(r map[string]any) { delete(tsaOf(r), "certChain") }, "unusable"},
		"authority, null":      {func(r map[string]any) { r["timestampAuthorities"] = []any{nil} }, "unusable"},
		"CA without start": {func(r map[string]any) {
			delete(object(object(r["certificateAuthorities"].([]any)[0])["validFor"]), "start")
		}, "unusable"},
		"authority's leaf gone": {func(r map[string]any) {
			c := object(tsaOf(r)["certChain"])
			c["certificates"] = c["certificates"].([]any)[1:]
		}, "accepted"},
		"authority's root gone": {func(r map[string]any) {
			c := object(tsaOf(r)["certChain"])
			c["certificates"] = c["certificates"].([]any)[:1]
		}, "timestamp"},
	} {
		t.Run(name, func(t *testing.T) {
			var r map[string]any
			if err := json.Unmarshal(w.TrustedRoot(), &r); err != nil {
				t.Fatal(err)
			}
			c.change(r)
			raw, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			got := "unusable"
			if trust, err := verify.ParseTrust(raw); err == nil {
				v, err := verify.New(verify.Config{Trust: trust, Clock: clock})
				if err != nil {
					t.Fatal(err)
				}
				if verdict := verdictOf(t, v, input(w, bundleOf)); verdict.Outcome == verify.Accepted {
					got = "accepted"
				} else {
					got = string(verdict.Failures()[0].ID)
				}
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	for name, raw := range map[string][]byte{"empty": nil, "not JSON": []byte("{"),
		"too large": make([]byte, verify.MaxTrustBytes+1)} {
		if _, err := verify.ParseTrust(raw); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestCertificateTimestamps: where the trusted root names CT logs, a certificate
// needs a timestamp by one of them, from when that log was valid.
func TestCertificateTimestamps(t *testing.T) {
	w := bundletest.NewWorld(t)
	ct, stranger := bundletest.NewECDSALog(t, "ct.example.test", bundletest.Start), bundletest.NewECDSALog(t,
		"ct.other.test", bundletest.Start)
	retired := *ct
	retired.End = bundletest.Epoch.Add(-time.Hour)
	logs, tsas, cas := []*bundletest.Log{w.Log}, []*bundletest.TSA{w.TSA}, []*bundletest.CA{w.CA}
	in := verify.Input{
		ArtifactSHA256: bundletest.ArtifactSHA256, Signers: []verify.Signer{{Identity: &verify.Identity{SAN: vendorSAN,
			Issuer: vendorIssuer}}},
	}
	for name, c := range map[string]struct {
		stamped []*bundletest.Log
		trusted *bundletest.Log
		want    string
	}{
		"by the log of the root":      {[]*bundletest.Log{ct}, ct, "accepted"},
		"by that and a stranger":      {[]*bundletest.Log{stranger, ct}, ct, "accepted"},
		"none":                        {nil, ct, "signer-validity"},
		"by a stranger":               {[]*bundletest.Log{stranger}, ct, "signer-validity"},
		"by a log that was retired":   {[]*bundletest.Log{ct}, &retired, "signer-validity"},
		"by avow's log, for a P-256":  {[]*bundletest.Log{stranger}, w.Log, "signer-validity"},
		"none, where none is trusted": {nil, nil, "accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			var ctLogs []*bundletest.Log
			if c.trusted != nil {
				ctLogs = append(ctLogs, c.trusted)
			}
			key := bundletest.NewKey(t)
			cert := w.CA.CertifyLogged(t, &key.PublicKey, vendorSAN, vendorIssuer,
				bundletest.Epoch.Add(-time.Minute), bundletest.Epoch.Add(time.Minute), bundletest.Epoch.Add(-time.Minute), c.stamped...)
			in.Bundles = []verify.NamedBundle{{Data: w.IssueJSON(t, bundletest.Spec{
				Payload: bundletest.Statement(t, "data-flows-none"), Key: key, Certificate: cert,
			})}}
			if got := reasonOf(t, w, bundletest.TrustedRoot(t, logs, tsas, cas, ctLogs), in); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
