package authority

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"

	"github.com/digitorus/timestamp"
)

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
	token, err := a.issue(req.HashAlgorithm, req.HashedMessage, req.Nonce, req.Certificates)
	if err == nil {
		err = a.check(req, token)
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

// parse reads a request and says what is wrong with it.
func (a *Authority) parse(der []byte) (*timestamp.Request, timestamp.FailureInfo, error) {
	if len(der) > MaxRequestBytes {
		return nil, timestamp.BadRequest, fail(BadRequest, nil, "request has %d bytes, want at most %d", len(der), MaxRequestBytes)
	}
	req, err := timestamp.ParseRequest(der)
	if err != nil {
		return nil, timestamp.BadDataFormat, fail(BadRequest, err, "not a TimeStampReq")
	}
	switch req.HashAlgorithm {
	case crypto.SHA256, crypto.SHA384, crypto.SHA512:
	default:
		return nil, timestamp.BadAlgorithm, fail(BadRequest, nil, "hash algorithm %v, want SHA-256, SHA-384 or SHA-512", req.HashAlgorithm)
	}
	if got, want := len(req.HashedMessage), req.HashAlgorithm.Size(); got != want {
		return nil, timestamp.BadDataFormat, fail(BadRequest, nil, "digest of %d bytes, want %d", got, want)
	}
	if len(req.TSAPolicyOID) != 0 && !req.TSAPolicyOID.Equal(a.policy) {
		return nil, timestamp.UnacceptedPolicy, fail(BadRequest, nil, "policy %v, want %v", req.TSAPolicyOID, a.policy)
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
	return req, timestamp.UnknownFailureInfo, nil
}

// check verifies a finished token along the path of a client that knows the
// digest and the nonce it asked for.
func (a *Authority) check(req *timestamp.Request, token []byte) error {
	stamp, err := timestamp.ParseResponse(token)
	switch {
	case err != nil:
		return fail(Internal, err, "a token does not verify")
	case !bytes.Equal(stamp.HashedMessage, req.HashedMessage) || stamp.HashAlgorithm != req.HashAlgorithm:
		return fail(Internal, nil, "a token is over another digest than the request")
	case req.Nonce != nil && (stamp.Nonce == nil || stamp.Nonce.Cmp(req.Nonce) != 0):
		return fail(Internal, nil, "a token has another nonce than the request")
	}
	return nil
}

// refusal is a TimeStampResp without a token.
func refusal(why timestamp.FailureInfo) []byte {
	der, err := timestamp.CreateErrorResponse(timestamp.Rejection, why)
	if err != nil { // the input is one of a few constants
		return []byte{0x30, 5, 0x30, 3, 2, 1, byte(timestamp.Rejection)} // TimeStampResp{PKIStatusInfo{status}}
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
