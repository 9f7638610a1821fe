package attest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"pgregory.net/rapid"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
)

var openOptions = attest.PrepareOptions{Now: issued}

func TestEnvelopeJSON(t *testing.T) {
	key := newKey(t)
	envelope := sign(t, "minimal-data-flows.json", key)
	payload := statementBytes(t, "minimal-data-flows.json")
	want := `{"payload":"` + base64.StdEncoding.EncodeToString(payload) + `","payloadType":"application/vnd.in-toto+json",` +
		`"signatures":[{"sig":"` + base64.StdEncoding.EncodeToString(envelope.Signature()) + `"}]}`
	if got := string(envelope.JSON()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestPAE compares the digest with the encoding of the DSSE reference implementation.
func TestPAE(t *testing.T) {
	envelope := sign(t, "minimal-data-flows.json", newKey(t))
	want := sha256.Sum256(dsse.PAE(predicate.PayloadType, statementBytes(t, "minimal-data-flows.json")))
	if envelope.PAEDigest() != want {
		t.Errorf("got %x, want %x", envelope.PAEDigest(), want)
	}
}

// TestEnvelopeVerifiesWithDSSE lets the DSSE reference implementation verify the envelope.
func TestEnvelopeVerifiesWithDSSE(t *testing.T) {
	key := newKey(t)
	envelope := sign(t, "minimal-data-flows.json", key)
	verifier, err := dsse.NewEnvelopeVerifier(dsseKey{key})
	if err != nil {
		t.Fatal(err)
	}
	var parsed dsse.Envelope
	if err := json.Unmarshal(envelope.JSON(), &parsed); err != nil {
		t.Fatal(err)
	}
	if _, err := verifier.Verify(t.Context(), &parsed); err != nil {
		t.Error(err)
	}
}

// tampering changes an envelope; the reason with which Open must refuse the result.
type tampering struct {
	name   string
	change func(e rawEnvelope) []byte
	want   attest.Code
}

// rawEnvelope is a signed envelope in parts, for tests that put it together wrongly.
type rawEnvelope struct {
	payload, sig []byte
	key          *attest.KeyFile
}

func (e rawEnvelope) render(payload, payloadType, signatures string) []byte {
	return []byte(`{"payload":"` + payload + `","payloadType":"` + payloadType + `","signatures":` + signatures + `}`)
}

func (e rawEnvelope) p64() string { return base64.StdEncoding.EncodeToString(e.payload) }

func (e rawEnvelope) one(member string) string { return `[{` + member + `}]` }

func (e rawEnvelope) sig64() string {
	return `"sig":"` + base64.StdEncoding.EncodeToString(e.sig) + `"`
}

func (e rawEnvelope) withPayload(p64 string) []byte {
	return e.render(p64, predicate.PayloadType, e.one(e.sig64()))
}

func (e rawEnvelope) withSignatures(s string) []byte {
	return e.render(e.p64(), predicate.PayloadType, s)
}

func (e rawEnvelope) whole() string { return string(e.withPayload(e.p64())) }

var tamperings = []tampering{
	{"payload byte", func(e rawEnvelope) []byte {
		return e.withPayload(base64.StdEncoding.EncodeToString(bytes.Replace(e.payload, []byte("DE"), []byte("FR"), 1)))
	}, attest.CodeSignatureInvalid},
	{"payload whitespace", func(e rawEnvelope) []byte {
		return e.withPayload(base64.StdEncoding.EncodeToString(append(slices.Clone(e.payload), '\n')))
	}, attest.CodeSignatureInvalid},
	{"payload empty", func(e rawEnvelope) []byte { return e.withPayload("") }, attest.CodeSignatureInvalid},
	{"payload url base64", func(e rawEnvelope) []byte {
		return e.withPayload(base64.URLEncoding.EncodeToString([]byte{0xfb, 0xff, 0xfe}))
	}, attest.CodeEnvelopeMalformed},
	{"payload without padding", func(e rawEnvelope) []byte { return e.withPayload(strings.TrimRight(e.p64(), "=") + "A") },
		attest.CodeEnvelopeMalformed},
	{"payload with line break", func(e rawEnvelope) []byte { return e.withPayload(e.p64()[:4] + `\n` + e.p64()[4:]) },
		attest.CodeEnvelopeMalformed},
	{"payload with unused bits", func(e rawEnvelope) []byte { return e.withPayload("QR==") }, attest.CodeEnvelopeMalformed},
	{"payload missing", func(e rawEnvelope) []byte {
		return []byte(`{"payloadType":"` + predicate.PayloadType + `","signatures":[{` + e.sig64() + `}]}`)
	}, attest.CodeEnvelopeMalformed},
	{"payload a number", func(e rawEnvelope) []byte {
		return []byte(`{"payload":5,"payloadType":"` + predicate.PayloadType + `","signatures":[{` + e.sig64() + `}]}`)
	}, attest.CodeEnvelopeMalformed},
	{"payload twice", func(e rawEnvelope) []byte {
		return []byte(strings.Replace(e.whole(), `{"payload"`, `{"payload":"e30=","payload"`, 1))
	}, attest.CodeEnvelopeMalformed},
	{"payload twice, escaped", func(e rawEnvelope) []byte {
		return []byte(strings.Replace(e.whole(), `{"payload"`, `{"p\u0061yload":"e30=","payload"`, 1))
	}, attest.CodeEnvelopeMalformed},
	{"payload in other case", func(e rawEnvelope) []byte {
		return []byte(strings.Replace(e.whole(), `"payload"`, `"Payload"`, 1))
	}, attest.CodeEnvelopeMalformed},
	{"payloadType other", func(e rawEnvelope) []byte { return e.render(e.p64(), "text/plain", e.one(e.sig64())) },
		attest.CodePayloadType},
	{"payloadType empty", func(e rawEnvelope) []byte { return e.render(e.p64(), "", e.one(e.sig64())) },
		attest.CodePayloadType},
	{"payloadType in other case", func(e rawEnvelope) []byte {
		return e.render(e.p64(), "application/vnd.in-toto+JSON", e.one(e.sig64()))
	}, attest.CodePayloadType},
	{"no signature", func(e rawEnvelope) []byte { return e.withSignatures("[]") }, attest.CodeSignatureCount},
	{"two signatures", func(e rawEnvelope) []byte {
		return e.withSignatures(`[{` + e.sig64() + `},{` + e.sig64() + `}]`)
	}, attest.CodeSignatureCount},
	{"signatures an object", func(e rawEnvelope) []byte { return e.withSignatures(`{` + e.sig64() + `}`) },
		attest.CodeEnvelopeMalformed},
	{"signatures missing", func(e rawEnvelope) []byte {
		return []byte(`{"payload":"` + e.p64() + `","payloadType":"` + predicate.PayloadType + `"}`)
	}, attest.CodeEnvelopeMalformed},
	{"signature byte", func(e rawEnvelope) []byte {
		e.sig = slices.Clone(e.sig)
		e.sig[len(e.sig)-1] ^= 1
		return e.withPayload(e.p64())
	}, attest.CodeSignatureInvalid},
	{"signature with trailing byte", func(e rawEnvelope) []byte {
		e.sig = append(slices.Clone(e.sig), 0)
		return e.withPayload(e.p64())
	}, attest.CodeSignatureInvalid},
	{"signature empty", func(e rawEnvelope) []byte { e.sig = nil; return e.withPayload(e.p64()) },
		attest.CodeSignatureInvalid},
	{"signature long", func(e rawEnvelope) []byte { e.sig = make([]byte, 4096); return e.withPayload(e.p64()) },
		attest.CodeSignatureInvalid},
	{"sig missing", func(e rawEnvelope) []byte { return e.withSignatures(`[{"keyid":""}]`) }, attest.CodeEnvelopeMalformed},
	{"keyid set", func(e rawEnvelope) []byte { return e.withSignatures(e.one(e.sig64() + `,"keyid":"k"`)) },
		attest.CodeEnvelopeMalformed},
	{"certificate member", func(e rawEnvelope) []byte { return e.withSignatures(e.one(e.sig64() + `,"cert":"x"`)) },
		attest.CodeEnvelopeMalformed},
	{"member unknown", func(e rawEnvelope) []byte { return []byte(strings.TrimSuffix(e.whole(), "}") + `,"note":"x"}`) },
		attest.CodeEnvelopeMalformed},
	{"null", func(e rawEnvelope) []byte { return []byte(`null`) }, attest.CodeEnvelopeMalformed},
	{"empty", func(e rawEnvelope) []byte { return nil }, attest.CodeEnvelopeMalformed},
	{"two envelopes", func(e rawEnvelope) []byte { return []byte(e.whole() + e.whole()) }, attest.CodeEnvelopeMalformed},
	{"not UTF-8", func(e rawEnvelope) []byte { return append([]byte(e.whole()), 0xff) }, attest.CodeEnvelopeMalformed},
	{"deep", func(e rawEnvelope) []byte {
		return e.withSignatures(strings.Repeat("[", 1000) + strings.Repeat("]", 1000))
	}, attest.CodeEnvelopeMalformed},
	{"too large", func(e rawEnvelope) []byte {
		return append([]byte(e.whole()), bytes.Repeat([]byte(" "), attest.MaxEnvelopeBytes)...)
	}, attest.CodeEnvelopeTooLarge},
}

func TestOpenRefusesTampering(t *testing.T) {
	key := newKey(t)
	envelope := sign(t, "minimal-data-flows.json", key)
	raw := rawEnvelope{payload: envelope.Statement().Payload(), sig: envelope.Signature(), key: key}
	if _, err := attest.Open([]byte(raw.whole()), key.PublicKey(), openOptions); err != nil {
		t.Fatalf("the envelope is refused before it is tampered with: %v", err)
	}
	for _, c := range tamperings {
		t.Run(c.name, func(t *testing.T) {
			changed := c.change(raw)
			_, err := attest.Open(changed, key.PublicKey(), openOptions)
			wantCode(t, err, c.want)
			_, err = attest.Reopen(changed, key.PublicKey())
			wantCode(t, err, c.want)
		})
	}
}

// TestOpenIgnoresForm shows what may differ without meaning, and that it is gone afterwards.
func TestOpenIgnoresForm(t *testing.T) {
	key := newKey(t)
	envelope := sign(t, "minimal-data-flows.json", key)
	raw := rawEnvelope{payload: envelope.Statement().Payload(), sig: envelope.Signature(), key: key}
	for name, data := range map[string][]byte{
		"empty keyid":  raw.withSignatures(raw.one(raw.sig64() + `,"keyid":""`)),
		"whitespace":   []byte(strings.ReplaceAll(raw.whole(), `,"`, ",\n \"")),
		"escaped name": []byte(strings.Replace(raw.whole(), `"payloadType"`, `"payload\u0054ype"`, 1)),
	} {
		t.Run(name, func(t *testing.T) {
			opened, err := attest.Open(data, key.PublicKey(), openOptions)
			if err != nil {
				t.Fatal(err)
			}
			sameEnvelope(t, opened, envelope)
		})
	}
}

func TestOpenRefusesOtherKeys(t *testing.T) {
	key := newKey(t)
	data := sign(t, "minimal-data-flows.json", key).JSON()
	_, err := attest.Open(data, newKey(t).PublicKey(), openOptions)
	wantCode(t, err, attest.CodeSignatureInvalid)
	_, err = attest.Open(data, nil, openOptions)
	wantCode(t, err, attest.CodeKeyUnsupported)
	_, err = attest.Open(data, p384(t), openOptions)
	wantCode(t, err, attest.CodeKeyUnsupported)
}

// TestOpenVerifiesBeforeParsing gives a statement that breaks the rules, once validly signed and once not: only the
// first answer may speak of rules.
func TestOpenVerifiesBeforeParsing(t *testing.T) {
	key := newKey(t)
	payload := bytes.Replace(statementBytes(t, "minimal-data-flows.json"), []byte(`"country": "DE"`),
		[]byte(`"country": "XX"`), 1)
	digest := sha256.Sum256(dsse.PAE(predicate.PayloadType, payload))
	sig, err := key.SignDigest(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	raw := rawEnvelope{payload: payload, sig: sig, key: key}
	_, err = attest.Open([]byte(raw.whole()), key.PublicKey(), openOptions)
	wantRule(t, err, "R06")
	_, err = attest.Open([]byte(raw.whole()), newKey(t).PublicKey(), openOptions)
	wantCode(t, err, attest.CodeSignatureInvalid)
	if _, err = attest.Reopen([]byte(raw.whole()), key.PublicKey()); err != nil {
		t.Errorf("a stored statement is unreadable after the rules were sharpened: %v", err)
	}
}

// TestOpenNeverAcceptsChangedPayload flips arbitrary bits of the payload below the base64.
func TestOpenNeverAcceptsChangedPayload(t *testing.T) {
	key := newKey(t)
	envelope := sign(t, "minimal-data-flows.json", key)
	payload := envelope.Statement().Payload()
	rapid.Check(t, func(t *rapid.T) {
		changed := slices.Clone(payload)
		bit := rapid.IntRange(0, len(changed)*8-1).Draw(t, "bit")
		changed[bit/8] ^= 1 << (bit % 8)
		raw := rawEnvelope{payload: changed, sig: envelope.Signature(), key: key}
		if _, err := attest.Open([]byte(raw.whole()), key.PublicKey(), openOptions); err == nil {
			t.Fatalf("accepted with bit %d of the payload flipped", bit)
		}
	})
}

// FuzzOpen: whatever Open accepts carries a valid signature over the payload that it reports, and its own rendering
// opens to the same envelope.
func FuzzOpen(f *testing.F) {
	key := newKey(f)
	envelope := sign(f, "minimal-data-flows.json", key)
	f.Add(envelope.JSON())
	raw := rawEnvelope{payload: envelope.Statement().Payload(), sig: envelope.Signature(), key: key}
	for _, c := range tamperings {
		if data := c.change(raw); len(data) < 64<<10 {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		opened, err := attest.Open(data, key.PublicKey(), openOptions)
		if err != nil {
			return
		}
		if opened.StatementID() != envelope.StatementID() {
			t.Fatalf("opened statement %s, which was never signed", opened.StatementID())
		}
		again, err := attest.Open(opened.JSON(), key.PublicKey(), openOptions)
		if err != nil {
			t.Fatalf("the rendering of an accepted envelope is refused: %v", err)
		}
		sameEnvelope(t, again, opened)
	})
}

func b64(data []byte) string { return base64.StdEncoding.EncodeToString(data) }
