package verify_test

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
)

// identityTrust is a trusted root with a CT log.
func identityTrust(t testing.TB, w *bundletest.World, ctLogs ...*bundletest.Log) *verify.Verifier {
	t.Helper()
	return newVerifier(t, bundletest.TrustedRoot(t, []*bundletest.Log{w.Log}, []*bundletest.TSA{w.TSA, w.Foreign},
		[]*bundletest.CA{w.CA}, ctLogs))
}

func TestVerifyCertificate(t *testing.T) {
	w := bundletest.NewWorld(t)
	ct, other := bundletest.NewECDSALog(t, "ct.example.test", bundletest.Start), bundletest.NewECDSALog(t, "ct2.example.test", bundletest.Start)
	v := identityTrust(t, w, ct)
	key := bundletest.NewKey(t)
	start, end := bundletest.Epoch, bundletest.Epoch.Add(10*time.Minute)
	certify := func(ca *bundletest.CA, logs ...*bundletest.Log) []byte {
		return ca.CertifyLogged(t, &key.PublicKey, vendorSAN, vendorIssuer, start, end, start, logs...).Raw
	}
	good := certify(w.CA, ct)
	for at, want := range map[time.Time]error{start: nil, end: nil, start.Add(-time.Second): verify.ErrCertificateTime,
		end.Add(time.Second): verify.ErrCertificateTime} {
		if err := v.VerifyCertificate(good, at); !errors.Is(err, want) {
			t.Errorf("at %v: got %v, want %v", at, err, want)
		}
	}
	usage := func(u ...x509.ExtKeyUsage) []byte {
		return w.CA.Certify(t, &key.PublicKey, vendorSAN, vendorIssuer, start, end, func(c *x509.Certificate) { c.ExtKeyUsage = u }).Raw
	}
	retired := bundletest.NewCA(t, "https://retired.example.test", bundletest.Start)
	retired.End = start.Add(-time.Second)
	withRetired := newVerifier(t, bundletest.TrustedRoot(t, nil, []*bundletest.TSA{w.TSA}, []*bundletest.CA{retired}, []*bundletest.Log{ct}))
	for name, c := range map[string]struct {
		v   *verify.Verifier
		der []byte
	}{
		"not a certificate": {v, []byte("x")},
		"no SCT":            {v, certify(w.CA)},
		"SCT of another":    {v, certify(w.CA, other)},
		"another CA":        {v, certify(bundletest.NewCA(t, "https://ca.example.test", bundletest.Start), ct)},
		"retired CA":        {withRetired, certify(retired, ct)},
		"TLS server":        {v, usage(x509.ExtKeyUsageServerAuth)},
		"no CT logs":        {identityTrust(t, w), good},
	} {
		if err := c.v.VerifyCertificate(c.der, start); !errors.Is(err, verify.ErrCertificate) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAddTimestamps(t *testing.T) {
	w := bundletest.NewWorld(t)
	v := identityTrust(t, w)
	stranger := bundletest.NewTSA(t, "https://tsa.stranger.test", bundletest.Start)
	signature := []byte("signature")
	stamp := func(a *bundletest.TSA, message string, at time.Time) []byte {
		return a.Stamp(t, []byte(message), at, bundletest.StampOptions{})
	}
	at := bundletest.Epoch
	own, foreign := stamp(w.TSA, "signature", at), stamp(w.Foreign, "signature", at)
	for name, c := range map[string]struct {
		first, more [][]byte
		admit       func(time.Time) bool
		want        [][]byte
	}{
		"none":               {},
		"one":                {more: [][]byte{own}, want: [][]byte{own}},
		"two":                {first: [][]byte{own}, more: [][]byte{foreign}, want: [][]byte{own, foreign}},
		"one authority once": {first: [][]byte{own}, more: [][]byte{stamp(w.TSA, "signature", at), foreign}, want: [][]byte{own, foreign}},
		"too far apart":      {first: [][]byte{own}, more: [][]byte{stamp(w.Foreign, "signature", at.Add(time.Hour))}, want: [][]byte{own}},
		"another message":    {more: [][]byte{stamp(w.TSA, "other", at), foreign}, want: [][]byte{foreign}},
		"stranger":           {more: [][]byte{stamp(stranger, "signature", at)}},
		"not admitted":       {more: [][]byte{own}, admit: func(time.Time) bool { return false }},
		"admitted":           {more: [][]byte{own}, admit: func(got time.Time) bool { return got.Equal(at) }, want: [][]byte{own}},
		"first does not fit": {first: [][]byte{stamp(stranger, "signature", at)}, more: [][]byte{own}},
	} {
		got := v.AddTimestamps(signature, c.first, c.more, c.admit)
		if len(got) != len(c.want) {
			t.Errorf("%s: got %d timestamps, want %d", name, len(got), len(c.want))
			continue
		}
		for i := range got {
			if !bytes.Equal(got[i], c.want[i]) {
				t.Errorf("%s: timestamp %d is another", name, i)
			}
		}
	}
}

// readsParts compares the parts with the bundle's own JSON.
func readsParts(t testing.TB, raw []byte) {
	t.Helper()
	parts, err := verify.ReadParts(raw)
	if err != nil {
		return
	}
	var b struct {
		VerificationMaterial struct {
			PublicKey                 struct{ Hint string }
			Certificate               struct{ RawBytes []byte }
			TimestampVerificationData struct {
				Rfc3161Timestamps []struct{ SignedTimestamp []byte }
			}
		}
		DsseEnvelope struct {
			Payload    []byte
			Signatures []struct{ Sig []byte }
		}
	}
	if err := json.Unmarshal(raw, &b); err != nil {
		t.Fatal(err)
	}
	m := b.VerificationMaterial
	if parts.KeyHint != m.PublicKey.Hint || !bytes.Equal(parts.Certificate, m.Certificate.RawBytes) ||
		len(parts.Timestamps) != len(m.TimestampVerificationData.Rfc3161Timestamps) {
		t.Errorf("got %+v", parts)
	}
	var e struct {
		Payload    []byte
		Signatures []struct{ Sig []byte }
	}
	if err := json.Unmarshal(parts.Envelope, &e); err != nil || !bytes.Equal(e.Payload, b.DsseEnvelope.Payload) ||
		!bytes.Equal(e.Signatures[0].Sig, b.DsseEnvelope.Signatures[0].Sig) {
		t.Errorf("got envelope %s, %v", parts.Envelope, err)
	}
}

func TestReadParts(t *testing.T) {
	w := bundletest.NewWorld(t)
	payload := bundletest.Statement(t, "data-flows-none")
	byKey := w.IssueJSON(t, bundletest.Spec{Payload: payload})
	spec := bundletest.Spec{Payload: payload, Key: bundletest.NewKey(t)}
	spec.Certificate = w.CA.Certify(t, &spec.Key.PublicKey, vendorSAN, vendorIssuer, bundletest.Epoch, bundletest.Epoch.Add(time.Hour), nil)
	for _, raw := range [][]byte{byKey, w.IssueJSON(t, spec)} {
		if _, err := verify.ReadParts(raw); err != nil {
			t.Error(err)
		}
		readsParts(t, raw)
	}
	for name, raw := range map[string][]byte{
		"nothing": nil, "no JSON": []byte("{"), "statement": payload,
		"media type":     bytes.Replace(byKey, []byte("v0.3+json"), []byte("v0.4+json"), 1),
		"unknown member": bytes.Replace(byKey, []byte(`"hint"`), []byte(`"Hint"`), 1),
		"two signatures": bytes.Replace(byKey, []byte(`"signatures":[`), []byte(`"signatures":[{"sig":"AAAA"},`), 1),
		"too large":      append(bytes.Repeat([]byte(" "), verify.MaxBundleBytes), byKey...),
	} {
		if parts, err := verify.ReadParts(raw); err == nil {
			t.Errorf("%s: got %+v", name, parts)
		}
	}
}

// FuzzReadParts: what is read is what other readers of the JSON see.
func FuzzReadParts(f *testing.F) {
	w := bundletest.NewWorld(f)
	f.Add(w.IssueJSON(f, bundletest.Spec{Payload: bundletest.Statement(f, "data-flows-none")}))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}`))
	f.Fuzz(func(t *testing.T, raw []byte) { readsParts(t, raw) })
}

// FuzzVerifyCertificate: no input panics, and none but the certificate itself passes.
func FuzzVerifyCertificate(f *testing.F) {
	w := bundletest.NewWorld(f)
	ct := bundletest.NewECDSALog(f, "ct.example.test", bundletest.Start)
	v := identityTrust(f, w, ct)
	key := bundletest.NewKey(f)
	good := w.CA.CertifyLogged(f, &key.PublicKey, vendorSAN, vendorIssuer, bundletest.Epoch, bundletest.Epoch.Add(time.Hour),
		bundletest.Epoch, ct)
	f.Add(good.Raw)
	f.Add(w.CA.Intermediate.Raw)
	f.Fuzz(func(t *testing.T, der []byte) {
		if v.VerifyCertificate(der, bundletest.Epoch) != nil {
			return
		}
		var whole asn1.RawValue // a signature of ECDSA can be written in two ways
		if _, err := asn1.Unmarshal(der, &whole); err != nil || !bytes.Contains(der, good.RawTBSCertificate) {
			t.Errorf("%x passes", der)
		}
	})
}
