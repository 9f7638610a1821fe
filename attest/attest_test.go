package attest_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
)

// issued is a time shortly after the issuedAt of the statements in testdata.
var issued = time.Date(2026, 9, 1, 9, 0, 30, 0, time.UTC)

func readFile(t testing.TB, elem ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func statementBytes(t testing.TB, name string) []byte { return readFile(t, "testdata", name) }

func newKey(t testing.TB) *attest.KeyFile {
	t.Helper()
	key, err := attest.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign prepares and signs a statement of testdata.
func sign(t testing.TB, name string, key *attest.KeyFile) *attest.Envelope {
	t.Helper()
	prepared, err := attest.Prepare(statementBytes(t, name), attest.PrepareOptions{Now: issued})
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := prepared.Sign(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return envelope
}

// wantCode fails unless err is an *attest.Error with the code.
func wantCode(t *testing.T, err error, want attest.Code) {
	t.Helper()
	var e *attest.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an error with code %s", err, want)
	}
	if e.Code != want {
		t.Fatalf("got code %s (%v), want %s", e.Code, err, want)
	}
	if e.Detail == "" || !slices.Contains(attest.Codes(), e.Code) {
		t.Errorf("error %+v has no detail or a code that is not in the list", e)
	}
}

// wantRule fails unless err is a *predicate.RulesError with the rule.
func wantRule(t *testing.T, err error, want string) {
	t.Helper()
	var e *predicate.RulesError
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want rule %s", err, want)
	}
	if !slices.Contains(e.Findings.Codes(), want) {
		t.Fatalf("got rules %v, want %s among them", e.Findings.Codes(), want)
	}
}

func TestPrepareSignOpen(t *testing.T) {
	key := newKey(t)
	for _, name := range []string{"minimal-no-backdoor.json", "minimal-data-flows.json", "grafana-data-flows.json"} {
		t.Run(name, func(t *testing.T) {
			payload := statementBytes(t, name)
			st, err := predicate.Parse(payload, predicate.Issuance)
			if err != nil {
				t.Fatal(err)
			}
			now, err := time.Parse(time.RFC3339, st.Common().Validity.IssuedAt)
			if err != nil {
				t.Fatal(err)
			}
			prepared, err := attest.Prepare(payload, attest.PrepareOptions{})
			if err != nil {
				t.Fatal(err)
			}
			signed, err := prepared.Sign(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			opened, err := attest.Open(signed.JSON(), key.PublicKey(), attest.PrepareOptions{Now: now})
			if err != nil {
				t.Fatal(err)
			}
			reopened, err := attest.Reopen(signed.JSON(), key.PublicKey())
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range []*attest.Envelope{opened, reopened} {
				sameEnvelope(t, e, signed)
				if !bytes.Equal(e.Statement().Payload(), payload) {
					t.Error("the payload is not the exact bytes that were signed")
				}
				if e.StatementID() != prepared.StatementID() || e.PAEDigest() != prepared.PAEDigest() {
					t.Error("statement id or PAE digest differ from the prepared statement's")
				}
			}
		})
	}
}

// sameEnvelope fails unless both envelopes agree in everything that is derived from them.
func sameEnvelope(t testing.TB, got, want *attest.Envelope) {
	t.Helper()
	gotLeaf, err := got.Leaf()
	if err != nil {
		t.Fatal(err)
	}
	wantLeaf, err := want.Leaf()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(gotLeaf, wantLeaf) || !bytes.Equal(got.JSON(), want.JSON()) || got.KeyID() != want.KeyID() ||
		got.KeyHint() != want.KeyHint() || !bytes.Equal(got.Signature(), want.Signature()) ||
		got.StatementID() != want.StatementID() ||
		!got.PublicKey().Equal(want.PublicKey()) || got.PAEDigest() != want.PAEDigest() {
		t.Errorf("envelopes differ:\n%s\n%s", got.JSON(), want.JSON())
	}
}

func TestPrepareRefuses(t *testing.T) {
	valid := statementBytes(t, "minimal-data-flows.json")
	for _, c := range []struct {
		name    string
		payload []byte
		opts    attest.PrepareOptions
		rule    string
	}{
		{"not JSON", []byte("{"), attest.PrepareOptions{}, "R01"},
		{"empty", nil, attest.PrepareOptions{}, "R01"},
		{"other type", bytes.Replace(valid, []byte("data-flows/v1"), []byte("data-flows/v9"), 1), attest.PrepareOptions{}, "R03"},
		{"rule", bytes.Replace(valid, []byte(`"country": "DE"`), []byte(`"country": "XX"`), 1), attest.PrepareOptions{}, "R06"},
		{"received late", valid, attest.PrepareOptions{Now: issued.Add(48 * time.Hour)}, "R05"},
		{"received early", valid, attest.PrepareOptions{Now: issued.Add(-time.Hour)}, "R05"},
		{"related missing", statementBytes(t, "minimal-no-backdoor.json"),
			attest.PrepareOptions{Related: []*predicate.Statement{}}, "R10"},
		{"strict profile", statementBytes(t, "minimal-data-flows.json"), attest.PrepareOptions{Strict: true}, "W05"},
	} {
		t.Run(c.name, func(t *testing.T) {
			prepared, err := attest.Prepare(c.payload, c.opts)
			wantRule(t, err, c.rule)
			if prepared != nil {
				t.Error("a refused statement was prepared")
			}
		})
	}
}

func TestPrepareKeepsWarnings(t *testing.T) {
	prepared, err := attest.Prepare(statementBytes(t, "minimal-data-flows.json"), attest.PrepareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(prepared.Warnings().Codes(), "W05") {
		t.Errorf("got warnings %v, want W05 (no third-party evidence)", prepared.Warnings().Codes())
	}
}

func TestZeroValuesAreRefused(t *testing.T) {
	_, err := new(attest.Prepared).Sign(t.Context(), newKey(t))
	wantCode(t, err, attest.CodeNotPrepared)
	_, err = (*attest.Prepared)(nil).Sign(t.Context(), newKey(t))
	wantCode(t, err, attest.CodeNotPrepared)
	_, err = new(attest.Envelope).Leaf()
	wantCode(t, err, attest.CodeNotPrepared)
	_, err = attest.NewBundle(new(attest.Envelope), nil, nil)
	wantCode(t, err, attest.CodeNotPrepared)
	_, err = attest.NewBundle(nil, nil, nil)
	wantCode(t, err, attest.CodeNotPrepared)
}

func TestOpenWithoutAClockFailsClosed(t *testing.T) {
	key := newKey(t)
	_, err := attest.Open(sign(t, "minimal-data-flows.json", key).JSON(), key.PublicKey(), attest.PrepareOptions{})
	wantRule(t, err, "R05")
}

// swappedSigner says one public key and signs with another: a mixed-up key management service.
type swappedSigner struct{ *attest.KeyFile }

func (s swappedSigner) PublicKey() *ecdsa.PublicKey {
	other, err := attest.GenerateKey()
	if err != nil {
		panic(err)
	}
	return other.PublicKey()
}

// brokenSigner cannot reach its key.
type brokenSigner struct{ *attest.KeyFile }

var errUnreachable = errors.New("key service is unreachable")

func (brokenSigner) SignDigest(context.Context, [32]byte) ([]byte, error) { return nil, errUnreachable }

func TestSignChecksTheSigner(t *testing.T) {
	prepared, err := attest.Prepare(statementBytes(t, "minimal-data-flows.json"), attest.PrepareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = prepared.Sign(t.Context(), swappedSigner{newKey(t)})
	wantCode(t, err, attest.CodeSignatureInvalid)
	if _, err = prepared.Sign(t.Context(), brokenSigner{newKey(t)}); !errors.Is(err, errUnreachable) {
		t.Errorf("got %v, want the signer's own error", err)
	}
}
