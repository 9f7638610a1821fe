package identity

import "time"

const (
	// MaxTokenBytes is the largest token, in bytes.
	MaxTokenBytes = 16 << 10
	// MaxIssuers is the largest number of configured issuers.
	MaxIssuers = 64
	// MaxNameBytes is the longest name (e-mail address, URI) that a certificate carries, in bytes.
	MaxNameBytes = 1 << 10
	// MaxDocumentBytes is the largest discovery document or key set that is read, in bytes.
	MaxDocumentBytes = 256 << 10
	// MaxKeys is the largest number of keys in a key set.
	MaxKeys = 64

	// maxClaimBytes is the longest claim that goes into an extension, in bytes.
	maxClaimBytes = 2 << 10
	// fetchTimeout bounds the fetching of the discovery document and the key set together.
	fetchTimeout = 5 * time.Second
	// keysLifetime is how long keys are used: what an issuer has withdrawn is not accepted for longer.
	keysLifetime = 15 * time.Minute
	// refetchAfter is the least time between two fetches from one issuer, so that nobody can make the service ask it
	// again and again with tokens that name keys which are not there.
	refetchAfter = 10 * time.Second
	// retryAfter is the same where the last fetch failed.
	retryAfter = 2 * time.Second
	// clockSkew is how far the clock of an issuer may be ahead (nbf, iat); go-oidc permits as much.
	clockSkew = 5 * time.Minute
)
