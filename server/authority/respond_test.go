package authority_test

import (
	"bytes"
	"crypto"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/digitorus/timestamp"

	"github.com/avow-dev/avow/server/authority"
)

// query is a request to be changed by a test, and encoded.
type query struct {
	Version    int
	Imprint    queryImprint
	Policy     asn1.ObjectIdentifier `asn1:"optional"`
	Nonce      *big.Int              `asn1:"optional"`
	CertReq    bool                  `asn1:"optional"`
	Extensions []pkix.Extension      `asn1:"tag:0,optional"`
}

type queryImprint struct {
	Algorithm pkix.AlgorithmIdentifier
	Digest    []byte
}

func sha2(n int) pkix.AlgorithmIdentifier {
	return pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, n}, Parameters: asn1.NullRawValue}
}

func encode(t testing.TB, change func(*query)) []byte {
	t.Helper()
	q := query{Version: 1, Imprint: queryImprint{sha2(1), bytes.Repeat([]byte{7}, 32)}, Nonce: big.NewInt(424242), CertReq: true}
	if change != nil {
		change(&q)
	}
	der, err := asn1.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestRespond(t *testing.T) {
	a := newAuthority(t, at(start))
	for name, c := range map[string]struct {
		change func(*query)
		hash   crypto.Hash
	}{
		"SHA-256": {func(*query) {}, crypto.SHA256},
		"SHA-384": {func(q *query) { q.Imprint = queryImprint{sha2(2), make([]byte, 48)} }, crypto.SHA384},
		"SHA-512": {func(q *query) { q.Imprint = queryImprint{sha2(3), make([]byte, 64)} }, crypto.SHA512},
		"hash without parameters": {func(q *query) {
			q.Imprint.Algorithm.Parameters = asn1.RawValue{}
		}, crypto.SHA256},
		"no nonce":       {func(q *query) { q.Nonce = nil }, crypto.SHA256},
		"negative nonce": {func(q *query) { q.Nonce = big.NewInt(-5) }, crypto.SHA256},
		"no certificate": {func(q *query) { q.CertReq = false }, crypto.SHA256},
		"own policy":     {func(q *query) { q.Policy = authority.DefaultPolicy() }, crypto.SHA256},
	} {
		t.Run(name, func(t *testing.T) {
			der := encode(t, c.change)
			var q query
			if _, err := asn1.Unmarshal(der, &q); err != nil {
				t.Fatal(err)
			}
			reply, err := a.Respond(t.Context(), der)
			if err != nil {
				t.Fatal(err)
			}
			ts, err := timestamp.ParseResponse(reply)
			if err != nil {
				t.Fatal(err)
			}
			if ts.HashAlgorithm != c.hash || !bytes.Equal(ts.HashedMessage, q.Imprint.Digest) {
				t.Errorf("imprint %v %x, want %v %x", ts.HashAlgorithm, ts.HashedMessage, c.hash, q.Imprint.Digest)
			}
			if (ts.Nonce == nil) != (q.Nonce == nil) || q.Nonce != nil && ts.Nonce.Cmp(q.Nonce) != 0 {
				t.Errorf("nonce %v, want %v", ts.Nonce, q.Nonce)
			}
			if (len(ts.Certificates) == 1) != q.CertReq {
				t.Errorf("%d certificates, asked for: %v", len(ts.Certificates), q.CertReq)
			}
		})
	}
}

// failure reads a refusal back.
func failure(t testing.TB, reply []byte) int {
	t.Helper()
	var resp struct {
		Status struct {
			Status  int
			Failure asn1.BitString
		}
		Token asn1.RawValue `asn1:"optional"`
	}
	if rest, err := asn1.Unmarshal(reply, &resp); err != nil || len(rest) != 0 {
		t.Fatalf("refusal %x does not parse: %v", reply, err)
	}
	if resp.Status.Status != 2 || len(resp.Token.FullBytes) != 0 {
		t.Fatalf("status %d with a token of %d bytes, want a rejection without one", resp.Status.Status, len(resp.Token.FullBytes))
	}
	bit := -1
	for i := range resp.Status.Failure.BitLength {
		if resp.Status.Failure.At(i) == 1 {
			if bit >= 0 {
				t.Fatalf("more than one failure bit: %x", resp.Status.Failure.Bytes)
			}
			bit = i
		}
	}
	return bit
}

func TestRespondRefusals(t *testing.T) {
	a := newAuthority(t, at(start))
	const badAlg, badRequest, badDataFormat, unacceptedPolicy, unacceptedExtension = 0, 2, 5, 15, 16
	for name, c := range map[string]struct {
		der  []byte
		want int
	}{
		"empty":          {nil, badDataFormat},
		"junk":           {[]byte("junk"), badDataFormat},
		"trailing bytes": {append(encode(t, nil), 0), badDataFormat},
		"too large":      {make([]byte, authority.MaxRequestBytes+1), badRequest},
		"SHA-1": {encode(t, func(q *query) {
			q.Imprint = queryImprint{pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}}, make([]byte, 20)}
		}), badAlg},
		"SHA-224":           {encode(t, func(q *query) { q.Imprint = queryImprint{sha2(4), make([]byte, 28)} }), badDataFormat},
		"short digest":      {encode(t, func(q *query) { q.Imprint.Digest = make([]byte, 31) }), badDataFormat},
		"empty digest":      {encode(t, func(q *query) { q.Imprint.Digest = nil }), badDataFormat},
		"digest of SHA-512": {encode(t, func(q *query) { q.Imprint.Digest = make([]byte, 64) }), badDataFormat},
		"other policy":      {encode(t, func(q *query) { q.Policy = asn1.ObjectIdentifier{1, 2, 3} }), unacceptedPolicy},
		"extension": {encode(t, func(q *query) {
			q.Extensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2}, Value: []byte{5, 0}}}
		}), unacceptedExtension},
		"nonce of 65 bytes":   {encode(t, func(q *query) { q.Nonce = new(big.Int).Lsh(big.NewInt(1), 519) }), badDataFormat},
		"imprint is a string": {[]byte{0x30, 0x06, 0x02, 0x01, 0x01, 0x04, 0x01, 0x00}, badDataFormat},
	} {
		t.Run(name, func(t *testing.T) {
			reply, err := a.Respond(t.Context(), c.der)
			wantCode(t, err, authority.BadRequest)
			if got := failure(t, reply); got != c.want {
				t.Errorf("failure bit %d, want %d", got, c.want)
			}
		})
	}
}

func TestRespondWhenTimeIsWrong(t *testing.T) {
	now := start
	a := newAuthority(t, func() time.Time { return now })
	const timeNotAvailable = 14
	for code, to := range map[string]time.Time{authority.TimeWentBack: start.Add(-time.Minute), authority.Expired: start.Add(authority.Validity)} {
		now = to
		reply, err := a.Respond(t.Context(), encode(t, nil))
		wantCode(t, err, code)
		if got := failure(t, reply); got != timeNotAvailable {
			t.Errorf("%s: failure bit %d, want %d", code, got, timeNotAvailable)
		}
	}
}

func TestHandler(t *testing.T) {
	a := newAuthority(t, at(start))
	srv := httptest.NewServer(a.Handler())
	defer srv.Close()
	good := encode(t, nil)
	for name, c := range map[string]struct {
		method, contentType string
		body                []byte
		want                int
	}{
		"good":               {http.MethodPost, "application/timestamp-query", good, http.StatusOK},
		"with parameters":    {http.MethodPost, "Application/Timestamp-Query; charset=binary", good, http.StatusOK},
		"refused":            {http.MethodPost, "application/timestamp-query", []byte("junk"), http.StatusOK},
		"GET":                {http.MethodGet, "application/timestamp-query", nil, http.StatusMethodNotAllowed},
		"JSON":               {http.MethodPost, "application/json", good, http.StatusUnsupportedMediaType},
		"no type":            {http.MethodPost, "", good, http.StatusUnsupportedMediaType},
		"larger than 4 KiB":  {http.MethodPost, "application/timestamp-query", make([]byte, authority.MaxRequestBytes+1), http.StatusRequestEntityTooLarge},
		"much larger":        {http.MethodPost, "application/timestamp-query", make([]byte, 1<<20), http.StatusRequestEntityTooLarge},
		"exactly the limit ": {http.MethodPost, "application/timestamp-query", make([]byte, authority.MaxRequestBytes), http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), c.method, srv.URL, bytes.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", c.contentType)
			resp, err := srv.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != c.want {
				t.Fatalf("status %d, %v, want %d", resp.StatusCode, err, c.want)
			}
			if c.want != http.StatusOK {
				return
			}
			if got := resp.Header.Get("Content-Type"); got != "application/timestamp-reply" {
				t.Errorf("media type %q", got)
			}
			if _, err := timestamp.ParseResponse(body); (err == nil) != bytes.Equal(c.body, good) {
				t.Errorf("the reply parses: %v", err)
			}
		})
	}
}

// FuzzRespond: every answer is a response that parses; one with a token repeats
// the digest and the nonce of the request, as another parser reads it; a
// refusal has exactly one failure bit.
func FuzzRespond(f *testing.F) {
	f.Add(encode(f, nil))
	f.Add(encode(f, func(q *query) { q.Imprint = queryImprint{sha2(3), make([]byte, 64)} }))
	f.Add(encode(f, func(q *query) { q.Nonce, q.CertReq = nil, false }))
	f.Add(encode(f, func(q *query) { q.Policy = authority.DefaultPolicy() }))
	f.Add([]byte(strings.Repeat("\x30\x80", 100)))
	a := newAuthority(f, at(start))
	f.Fuzz(func(t *testing.T, der []byte) {
		reply, err := a.Respond(t.Context(), der)
		if err != nil {
			wantCode(t, err, authority.BadRequest)
			if failure(t, reply) < 0 {
				t.Errorf("refusal without a reason: %x", reply)
			}
			return
		}
		req, err := timestamp.ParseRequest(der)
		if err != nil {
			t.Fatalf("granted %x, which another parser refuses: %v", der, err)
		}
		ts, err := timestamp.ParseResponse(reply)
		if err != nil {
			t.Fatalf("token %x: %v", reply, err)
		}
		if ts.HashAlgorithm != req.HashAlgorithm || ts.HashAlgorithm == crypto.SHA1 || !bytes.Equal(ts.HashedMessage, req.HashedMessage) {
			t.Errorf("token over %v %x, request %v %x", ts.HashAlgorithm, ts.HashedMessage, req.HashAlgorithm, req.HashedMessage)
		}
		if (ts.Nonce == nil) != (req.Nonce == nil) || ts.Nonce != nil && ts.Nonce.Cmp(req.Nonce) != 0 {
			t.Errorf("nonce %v, request %v", ts.Nonce, req.Nonce)
		}
	})
}
