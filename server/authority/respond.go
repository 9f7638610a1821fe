package authority

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"mime"
	"net/http"

	"github.com/digitorus/timestamp"
)

// request is a TimeStampReq (RFC 3161, section 2.4.1) whose imprint is kept as
// it came, because the token must repeat it.
type request struct {
	Version    int
	Imprint    asn1.RawValue
	Policy     asn1.ObjectIdentifier `asn1:"optional"`
	Nonce      *big.Int              `asn1:"optional"`
	CertReq    bool                  `asn1:"optional,default:false"`
	Extensions []pkix.Extension      `asn1:"tag:0,optional"`
}

type messageImprint struct {
	Algorithm pkix.AlgorithmIdentifier
	Digest    []byte
}

// hashes are the algorithms that are strong enough, by the last arc of their OID 2.16.840.1.101.3.4.2.
var hashes = map[int]crypto.Hash{1: crypto.SHA256, 2: crypto.SHA384, 3: crypto.SHA512}

var oidHashes = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2}

// Respond answers one RFC 3161 request. A request that cannot be granted is
// answered by a response with the PKIFailureInfo that says why, and the error
// is an *Error for the log: TSA_REQUEST where the client is at fault, else
// TIME_WENT_BACK, TSA_EXPIRED or TSA_INTERNAL. The response is never empty.
// Unlike those of Timestamp, the signature of each token is verified before it
// is handed out, because nobody else does.
func (a *Authority) Respond(ctx context.Context, der []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return refusal(timestamp.SystemFailure), err
	}
	req, failure, err := a.parse(der)
	if err != nil {
		return refusal(failure), err
	}
	var nonce []byte
	if req.Nonce != nil {
		if nonce, err = asn1.Marshal(req.Nonce); err != nil {
			return refusal(timestamp.BadDataFormat), fail(BadRequest, err, "the nonce cannot be encoded")
		}
	}
	token, err := a.issue(req.Imprint.FullBytes, nonce, req.CertReq)
	if err == nil {
		err = a.check(token)
	}
	var e *Error
	switch {
	case err == nil:
		return token, nil
	case errors.As(err, &e) && (e.Code == TimeWentBack || e.Code == Expired):
		return refusal(timestamp.TimeNotAvailable), err
	}
	return refusal(timestamp.SystemFailure), err
}

// parse reads a request strictly and says what is wrong with it.
func (a *Authority) parse(der []byte) (*request, timestamp.FailureInfo, error) {
	if len(der) > MaxRequestBytes {
		return nil, timestamp.BadRequest, fail(BadRequest, nil, "request has %d bytes, want at most %d", len(der), MaxRequestBytes)
	}
	var req request
	if rest, err := asn1.Unmarshal(der, &req); err != nil || len(rest) != 0 {
		return nil, timestamp.BadDataFormat, fail(BadRequest, err, "not a TimeStampReq, or %d bytes after it", len(rest))
	}
	if req.Version != 1 {
		return nil, timestamp.BadRequest, fail(BadRequest, nil, "version %d, want 1", req.Version)
	}
	if failure, err := checkImprint(req.Imprint); err != nil {
		return nil, failure, err
	}
	if len(req.Policy) != 0 && !req.Policy.Equal(a.form.policy) {
		return nil, timestamp.UnacceptedPolicy, fail(BadRequest, nil, "policy %v, want %v", req.Policy, a.form.policy)
	}
	// > "If an extension, whether it is marked critical or not critical, is used
	// > by a requester but is not recognized by a time-stamping server, the server
	// > SHALL not issue a token and SHALL return a failure (unacceptedExtension)."
	if len(req.Extensions) != 0 {
		return nil, timestamp.UnacceptedExtension, fail(BadRequest, nil, "%d extensions, want none", len(req.Extensions))
	}
	if req.Nonce != nil && req.Nonce.BitLen() > 8*MaxNonceBytes {
		return nil, timestamp.BadDataFormat, fail(BadRequest, nil, "nonce of %d bits, want at most %d", req.Nonce.BitLen(), 8*MaxNonceBytes)
	}
	return &req, timestamp.UnknownFailureInfo, nil
}

func checkImprint(raw asn1.RawValue) (timestamp.FailureInfo, error) {
	var imprint messageImprint
	if rest, err := asn1.Unmarshal(raw.FullBytes, &imprint); err != nil || len(rest) != 0 {
		return timestamp.BadDataFormat, fail(BadRequest, err, "not a MessageImprint")
	}
	oid := imprint.Algorithm.Algorithm
	n := len(oidHashes)
	if len(oid) != n+1 || !oid[:n].Equal(oidHashes) || hashes[oid[n]] == 0 {
		return timestamp.BadAlgorithm, fail(BadRequest, nil, "hash algorithm %v, want SHA-256, SHA-384 or SHA-512", oid)
	}
	if p := imprint.Algorithm.Parameters.FullBytes; len(p) != 0 && string(p) != string(asn1.NullBytes) {
		return timestamp.BadDataFormat, fail(BadRequest, nil, "hash algorithm with parameters")
	}
	if want := hashes[oid[n]].Size(); len(imprint.Digest) != want {
		return timestamp.BadDataFormat, fail(BadRequest, nil, "digest of %d bytes, want %d", len(imprint.Digest), want)
	}
	return timestamp.UnknownFailureInfo, nil
}

// check reads the attributes and the signature out of a finished token and
// verifies the one by the other.
func (a *Authority) check(response []byte) error {
	attributes, signature, err := signedPart(response)
	if err != nil {
		return fail(Internal, err, "a token does not parse")
	}
	digest := crypto.SHA256.New()
	digest.Write(attributes)
	if !ecdsa.VerifyASN1(&a.key.PublicKey, digest.Sum(nil), signature) {
		return fail(Internal, nil, "a token does not verify")
	}
	return nil
}

// signedPart finds the signed attributes, tagged as they are signed, and the signature.
func signedPart(response []byte) (attributes, signature []byte, err error) {
	var resp struct {
		Status asn1.RawValue
		Token  struct {
			Type asn1.ObjectIdentifier
			Data struct {
				Version      int
				Algorithms   asn1.RawValue
				Content      asn1.RawValue
				Certificates asn1.RawValue `asn1:"optional,tag:0"`
				Signers      []struct {
					Version    int
					ID, Digest asn1.RawValue
					Attributes asn1.RawValue `asn1:"tag:0"`
					Algorithm  asn1.RawValue
					Signature  []byte
				} `asn1:"set"`
			} `asn1:"explicit,tag:0"`
		}
	}
	if rest, err := asn1.Unmarshal(response, &resp); err != nil || len(rest) != 0 || len(resp.Token.Data.Signers) != 1 {
		return nil, nil, errors.Join(errors.New("not a token with one signer"), err)
	}
	signer := resp.Token.Data.Signers[0]
	return tlv(tagSet, signer.Attributes.Bytes), signer.Signature, nil
}

// refusal is a TimeStampResp without a token.
func refusal(why timestamp.FailureInfo) []byte {
	der, err := timestamp.CreateErrorResponse(timestamp.Rejection, why)
	if err != nil { // the input is one of a few constants
		return []byte{tagSequence, 5, tagSequence, 3, tagInteger, 1, byte(timestamp.Rejection)}
	}
	return der
}

// Media types of RFC 3161, section 3.4.
const (
	queryType = "application/timestamp-query"
	replyType = "application/timestamp-reply"
)

// Handler serves Respond over HTTP (RFC 3161, section 3.4): POST of
// application/timestamp-query, answered by application/timestamp-reply with
// status 200, also where the request is refused. Requests above MaxRequestBytes
// are 413, other methods 405, other media types 415.
func (a *Authority) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "use POST", http.StatusMethodNotAllowed)
			return
		}
		if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != queryType {
			http.Error(w, "want "+queryType, http.StatusUnsupportedMediaType)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxRequestBytes))
		var large *http.MaxBytesError
		switch {
		case errors.As(err, &large):
			http.Error(w, "request too large", http.StatusRequestEntityTooLarge)
			return
		case err != nil:
			http.Error(w, "request cut short", http.StatusBadRequest)
			return
		}
		reply, err := a.Respond(r.Context(), body)
		var e *Error
		if errors.As(err, &e) && e.Code != BadRequest {
			a.log.ErrorContext(r.Context(), "a timestamp could not be issued", slog.Any("error", e))
		}
		w.Header().Set("Content-Type", replyType)
		_, _ = w.Write(reply) // the client may have gone
	})
}
