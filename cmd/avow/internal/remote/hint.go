package remote

import (
	"strings"

	"google.golang.org/grpc/codes"
)

// hints say what to do about a reason of the closed list in proto/avow/v1/errors.proto.
var hints = map[string]string{ //nolint:gosec // G101: the words token and key are in sentences
	"STATEMENT_INVALID":             "correct the statement and check it with `avow lint`",
	"ENVELOPE_TOO_LARGE":            "name large evidence by digest, or use several statements",
	"PREDICATE_TYPE_UNSUPPORTED":    "a standing is made by the service; the other types can be issued",
	"BATCH_INVALID":                 "issue the statements of one vendor together, each once",
	"KEY_UNKNOWN":                   "ask the operator of the service to register your public key (`avow keygen` prints its id)",
	"KEY_NOT_VALID":                 "sign with a key whose registered period contains today",
	"CERTIFICATE_INVALID":           "get a certificate from the service's own certificate authority, or one that its trusted root names",
	"CERTIFICATE_NOT_VALID":         "repeat the command: it gets a new certificate; check this machine's clock if that does not help",
	"IDENTITY_UNKNOWN":              "ask the operator of the service to register the identity, letter by letter as the certificate names it",
	"IDENTITY_NOT_VALID":            "sign as an identity whose registered period contains today",
	"BUNDLE_INVALID":                "hand in a bundle that was logged and time-stamped under the service's trusted root",
	"TOKEN_MALFORMED":               "give the identity token as the issuer made it, one compact JWS",
	"TOKEN_ISSUER_UNKNOWN":          "ask the operator of the service whose tokens it takes; an external authority is named with --fulcio-url",
	"TOKEN_SIGNATURE":               "get a new token from the issuer",
	"TOKEN_TIME":                    "get a new token from the issuer; check the clock of this machine",
	"TOKEN_AUDIENCE":                "ask the issuer for a token with the audience that the service takes (--audience)",
	"TOKEN_IDENTITY":                "ask the operator of the service which names it certifies for this issuer",
	"POSSESSION_UNPROVEN":           "repeat the command; if it fails again, the token is not the one that was signed for",
	"CERTIFICATES_NOT_CONFIGURED":   "sign with --key, or name a certificate authority with --fulcio-url",
	"ISSUER_UNAVAILABLE":            "repeat the command; the service cannot reach the token's issuer",
	"CERTIFICATE_AUTHORITY_EXPIRED": "tell the operator of the service; sign with --key meanwhile",
	"LOG_NOT_IN_USE":                "write to the log that is in use; `avow trust status` and the service's signing config name it",
	"PRODUCT_NOT_PERMITTED":         "use a product identifier that is registered for you, or ask the operator to register this one",
	"DECLARANT_MISMATCH":            "write common.declarant.party as the operator registered you, name and country",
	"CREDENTIALS_REQUIRED":          "give --token-file, or --cert and --cert-key",
	"CREDENTIALS_INVALID":           "check the token or client certificate with the operator of the service",
	"METHOD_NOT_PERMITTED":          "ask the operator of the service",
	"SIGNING_NOT_CONFIGURED":        "sign on your side with --key, or ask the operator to keep a key for you",
	"SIGNATURE_INVALID":             "sign with the key that is registered for you",
	"KEY_UNSUPPORTED":               "make an ECDSA P-256 key with `avow keygen`",
	"STATEMENT_NOT_FOUND":           "check the id; `avow list` shows what the service holds",
	"VENDOR_NOT_FOUND":              "check the name with the operator of the service",
	"TARGET_NOT_FOUND":              "check the id; the statement has to be issued by this service before something is said about it",
	"TARGET_NOT_YOURS":              "sign as who issued that statement, or have the operator register you as its successor",
	"ROLE_REQUIRED":                 "ask the operator of the service for the role disputer or assessor",
	"TARGET_LIMIT":                  "go on in the threads that are there; no more is taken about this statement",
	"RATE_LIMITED":                  "wait and repeat the command; nothing is issued twice",
	"OVERLOADED":                    "wait and repeat the command; nothing is issued twice",
	"STORAGE_FULL":                  "tell the operator of the service that its disk is full",
	"LOG_HALTED":                    "tell the operator of the service; it stopped its log to protect it",
	"LOG_UNAVAILABLE":               "repeat the command; it continues where it stopped and issues nothing twice",
	"STORE_UNAVAILABLE":             "repeat the command; it continues where it stopped and issues nothing twice",
	"TIMESTAMP_UNAVAILABLE":         "repeat the command; it continues where it stopped and issues nothing twice",
	"SHUTTING_DOWN":                 "repeat the command; it continues where it stopped and issues nothing twice",
	"SIGNER_UNAVAILABLE":            "repeat the command; it continues where it stopped and issues nothing twice",
	"DEADLINE_EXCEEDED":             "repeat the command with a longer --timeout; nothing is issued twice",
	"SELF_CHECK_FAILED":             "tell the operator of the service; nothing was handed out",
	"INTERNAL":                      "tell the operator of the service",

	"INDEX_NOT_CONFIGURED": "ask the operator of the service to set up the complete index",
	"INDEX_UNAVAILABLE":    "repeat the command; the complete index is behind the log",
	"INDEX_HALTED":         "tell the operator of the service; it stopped its index because it contradicts the log",
	"LISTING_TOO_LARGE":    "ask for fewer at a time; a list that is too long for a proof is in the log itself",

	"SIGNING_CONFIG_NOT_CONFIGURED": "ask the operator of the service to set publicUrl and rekor.enabled in avowd.yaml",
}

// Hint says what to do about the failure. It is never empty.
func (e *Error) Hint() string {
	if h, ok := hints[e.Reason]; ok {
		return h
	}
	switch {
	case strings.Contains(e.Message, errNotLoopback.Error()):
		return "leave --insecure out: beyond this machine the service is spoken to with TLS only"
	case strings.Contains(e.Message, noTLS):
		return "the service speaks without TLS; if it is on this machine add --insecure"
	case strings.Contains(e.Message, badChain):
		return "give the certificate authority of the service with --ca"
	case strings.Contains(e.Message, noHost):
		return "check the host name, in --server or AVOW_SERVER"
	}
	switch e.Status {
	case codes.Unavailable:
		if e.insecure {
			return "check that the service runs at that address, and that it speaks without TLS"
		}
		return "check that the service runs at that address; for one on this machine without TLS add --insecure"
	case codes.DeadlineExceeded:
		return "repeat the command with a longer --timeout; nothing is issued twice"
	case codes.Unimplemented:
		return "is the address that of the gRPC port of an avow service?"
	case codes.ResourceExhausted:
		return "the message is larger than the service accepts; name large evidence by digest"
	}
	return "check the request, or ask the operator of the service"
}
