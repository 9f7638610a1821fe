package oci

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Reason says in one stable word why a registry could not be used, or why something that it lists was left out. The
// list is closed: see [Reasons]. No word is reused or given another meaning.
type Reason string

// The reasons of errors.
const (
	// ReasonReference: not REGISTRY/NAME@sha256:HEX.
	ReasonReference Reason = "oci-reference"
	// ReasonTag: an image by its tag, which can name something else tomorrow.
	ReasonTag Reason = "oci-tag"
	// ReasonPlainHTTP: the registry, or what it redirects to, would be spoken to without TLS beyond loopback.
	ReasonPlainHTTP Reason = "oci-plain-http"
	// ReasonForeignHost: the registry leads to another host where that is not allowed.
	ReasonForeignHost Reason = "oci-foreign-host"
	// ReasonRedirects: more than maxRedirects redirects in a row.
	ReasonRedirects Reason = "oci-redirects"
	// ReasonUnreachable: no connection, or it broke.
	ReasonUnreachable Reason = "oci-unreachable"
	// ReasonTimeout: no answer in time.
	ReasonTimeout Reason = "oci-timeout"
	// ReasonDenied: the registry wants other credentials (401, 403).
	ReasonDenied Reason = "oci-denied"
	// ReasonCredentials: the credentials that are configured cannot be read.
	ReasonCredentials Reason = "oci-credentials"
	// ReasonNotFound: there is no such image.
	ReasonNotFound Reason = "oci-not-found"
	// ReasonRefused: the registry answered with another error.
	ReasonRefused Reason = "oci-refused"
	// ReasonDigest: the content that was served is not that of the digest.
	ReasonDigest Reason = "oci-digest"
	// ReasonTooLarge: more bytes than the limit.
	ReasonTooLarge Reason = "oci-too-large"
	// ReasonTooMany: more referrers, or pages of them, than the limit.
	ReasonTooMany Reason = "oci-too-many"
	// ReasonMalformed: an answer that is not what the specification says.
	ReasonMalformed Reason = "oci-malformed"
	// ReasonNotListed: the registry took the bundle and does not list it.
	ReasonNotListed Reason = "oci-not-listed"
)

// The reasons of what is left out, besides ReasonTooLarge, ReasonMalformed and ReasonNotFound.
const (
	// ReasonForeignArtifact: no Sigstore bundle v0.3.
	ReasonForeignArtifact Reason = "oci-foreign-artifact"
	// ReasonForeignStatement: a bundle around a statement of a type that was not asked for, or around none.
	ReasonForeignStatement Reason = "oci-foreign-statement"
	// ReasonForeignSubject: a manifest that refers to another image.
	ReasonForeignSubject Reason = "oci-foreign-subject"
	// ReasonForeignSigner: a bundle that names another signer, where there are bundles of the right one.
	ReasonForeignSigner Reason = "oci-foreign-signer"
	// ReasonDuplicate: the same bundle once more.
	ReasonDuplicate Reason = "oci-duplicate"
)

// Reasons returns the closed list.
func Reasons() []Reason {
	return []Reason{ReasonReference, ReasonTag, ReasonPlainHTTP, ReasonForeignHost, ReasonRedirects, ReasonUnreachable,
		ReasonTimeout, ReasonDenied, ReasonCredentials, ReasonNotFound, ReasonRefused, ReasonDigest, ReasonTooLarge,
		ReasonTooMany, ReasonMalformed, ReasonNotListed, ReasonForeignArtifact, ReasonForeignStatement, ReasonForeignSubject,
		ReasonForeignSigner, ReasonDuplicate}
}

// Error is why a registry could not be used.
type Error struct {
	// Reason is the stable word.
	Reason Reason
	// Detail says what was found and what is wanted. It may quote the registry: show it with care.
	Detail string
	// Hint says what to do about it.
	Hint string
	// Err is the cause, or nil.
	Err error
}

// Error returns reason and detail.
func (e *Error) Error() string { return string(e.Reason) + ": " + e.Detail }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func refuse(reason Reason, hint, format string, args ...any) *Error {
	return &Error{Reason: reason, Hint: hint, Detail: fmt.Sprintf(format, args...)}
}

// explain turns an error of the transport into an *Error about what was asked for. The context's own end stays as it is.
func explain(what string, err error) error {
	var own *Error
	var status *transport.Error
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &own):
		return own
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Reason: ReasonTimeout, Detail: what + ": no complete answer in time", Err: err,
			Hint: "try again, or give a longer --timeout"}
	case errors.As(err, &status):
		return explainStatus(what, status)
	}
	return &Error{Reason: ReasonUnreachable, Detail: clip(what + ": " + withoutURL(err)), Err: err,
		Hint: "check the name of the registry and the network"}
}

// explainStatus is about an HTTP error, and quotes the registry's own words in short.
func explainStatus(what string, err *transport.Error) *Error {
	e := &Error{Reason: ReasonRefused, Err: err, Hint: "try again later; if it stays, ask the operator of the registry",
		Detail: fmt.Sprintf("%s: the registry answers %d %s", what, err.StatusCode, http.StatusText(err.StatusCode))}
	if len(err.Errors) > 0 {
		e.Detail += clip(" (" + string(err.Errors[0].Code) + ": " + err.Errors[0].Message + ")")
	}
	switch err.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		e.Reason, e.Hint = ReasonDenied, "log in with `docker login` or `cosign login`; reading may need credentials, too"
	case http.StatusNotFound:
		e.Reason, e.Hint = ReasonNotFound, "check the name and the digest"
	}
	return e
}

// withoutURL is the error's text without the URL, which can carry signatures of the storage that was redirected to.
func withoutURL(err error) string {
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err.Error()
	}
	return err.Error()
}

// clip bounds what is quoted.
func clip(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return strings.ToValidUTF8(s[:maxShown], "") + "..."
}
