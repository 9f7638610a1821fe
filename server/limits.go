package server

import (
	"fmt"
	"time"
)

// Limits of one request, fixed because they are part of the contract. All are checked before the work that they bound.
const (
	// MaxMessageBytes is the largest request, in bytes: a gRPC message or the body of a REST call.
	MaxMessageBytes = 1 << 20
	// MaxBatch is the largest number of statements in one declaration.
	MaxBatch = 16
	// MaxReferences is the largest number of references in a statement that are looked up in the store.
	MaxReferences = 32
	// MaxPageSize is the largest page of a list; DefaultPageSize is the size where none is asked for.
	MaxPageSize, DefaultPageSize = 200, 50
	// MaxFilterBytes is the longest value of a list's filter, in bytes.
	MaxFilterBytes = 4 << 10
	// MaxTokenBytes is the longest bearer token, in bytes.
	MaxTokenBytes = 512
	// MaxPolicyBytes is the largest policy, in bytes of YAML.
	MaxPolicyBytes = 256 << 10
	// MaxVerdictLifetime is how long a signed verdict may be relied on at most.
	MaxVerdictLifetime = 30 * 24 * time.Hour
	// MaxBatchItems is the largest number of items in one stream of BatchVerify.
	MaxBatchItems = 1 << 17
	// MaxItemIDBytes is the longest id of an item, in bytes.
	MaxItemIDBytes = 256
	// MaxStandings is the largest number of questions in a batch, and of statements whose standing one answer gives.
	MaxStandings = 256
	// MaxArtifactEntries is the largest number of statements about an artifact among which those with a standing are looked for.
	MaxArtifactEntries = 1024
	// MaxWatched is the largest number of filters of one subscription.
	MaxWatched = 1000
	// MaxEventStandings is the largest number of statements whose standing one event gives.
	MaxEventStandings = 16
	// MaxTimestampers is the largest number of timestamp authorities: a bundle takes no more timestamps.
	MaxTimestampers = 4

	maxAnswerBytes      = 3 << 20 // bundles in one answer; gRPC clients take 4 MiB by default
	maxDetailBytes      = 4 << 10 // violations in one error: base64 in HTTP/2 trailers, which some clients cap at 8 KiB
	maxViolationText    = 300     // bytes of one violation's description
	maxCachedStatements = 128     // parsed statements that others refer to
	maxCachedBytes      = 32 << 10
	maxCachedVerifiers  = 16              // verifiers for trusted roots that callers bring
	maxCachedPolicies   = 16              // policies that callers bring
	maxCachedEvidence   = 1024            // verified statements whose standing was asked for
	maxIndexWait        = 2 * time.Second // for the index to cover what is published
	maxIndexAge         = time.Hour       // of the service's own answers; far above index.MaxLag
	entriesPerUnit      = 4096            // of a proved list, beside the first
	indexPoll           = 5 * time.Millisecond
	maxWatchers         = 10_000                 // streams of Watch
	maxCallerWatchers   = 256                    // of one caller
	watchHeartbeat      = 25 * time.Second       // between two messages of a stream of Watch, at most
	watchCatchUp        = 500 * time.Millisecond // the same while it is behind what was logged when it began
	maxCatchUps         = 10                     // of these for one stream
	commitWait          = 10 * time.Second       // for an entry that watchers are told of to be committed
	renderTimeout       = 20 * time.Second       // for the message of an event
	renderedFor         = 2 * time.Second        // that messages of events are told again without being made again
	maxRendered         = 64                     // messages of events that are kept
	maxRenderedBytes    = 32 << 20               // of them all
	maxRenderings       = 4                      // messages that are being made at the same time
	maxStreams          = 64                     // streams of BatchVerify, each of which holds a policy and up to 256 keys
	maxCallerStreams    = 8                      // of one caller
	timestampTimeout    = 10 * time.Second
	publicationPoll     = 20 * time.Millisecond
	healthInterval      = time.Second
	retryInterval       = 30 * time.Second // between two looks for rows that were left pending

	defaultVerdictLifetime = 24 * time.Hour
)

// Limits are the operator's limits. The zero value of each field selects its default.
type Limits struct {
	// BytesInFlight bounds the sum of the sizes of all requests in hand; more are refused as OVERLOADED. Parsing a
	// request takes up to 20 times its size in memory. Default 64 MiB.
	BytesInFlight int64
	// CallsInFlight bounds the number of requests in hand. Default 4096.
	CallsInFlight int64
	// RatePerSecond is what one caller (a vendor with credentials, else an IPv4 address or IPv6 /64) may use per
	// second, in units: a read costs 1, an issued statement 2, a verification 4, also as an item of a batch, a batch
	// of statements 8. Who sends items faster than that is read slower. Default 200.
	RatePerSecond float64
	// Burst is how many units a caller may use at once. Default twice RatePerSecond.
	Burst int
	// OpinionsPerHour is how many disputes and assessments of others' statements one vendor may issue per hour, and at once.
	// Default 60.
	OpinionsPerHour float64
	// Callers is how many callers are remembered; the one that was seen longest ago is forgotten first. Default 16384.
	Callers int
	// ConcurrentStreams bounds the calls in hand on one gRPC connection. Default 1024.
	ConcurrentStreams uint32
	// DefaultDeadline applies to calls that come without one; MaxDeadline to calls that ask for more. Defaults 30 s
	// and 2 min.
	DefaultDeadline, MaxDeadline time.Duration
	// IdleTimeout closes connections without calls, MaxConnectionAge all of them after a while, so that load spreads
	// over new servers. Defaults 5 min and 1 h.
	IdleTimeout, MaxConnectionAge time.Duration
}

// WithDefaults returns the limits with every absent field set.
func (l Limits) WithDefaults() Limits {
	l.BytesInFlight = orElse(l.BytesInFlight, 64<<20)
	l.CallsInFlight = orElse(l.CallsInFlight, 4096)
	l.RatePerSecond = orElse(l.RatePerSecond, 200)
	l.Burst = orElse(l.Burst, int(min(2*l.RatePerSecond, 1<<30)))
	l.OpinionsPerHour = orElse(l.OpinionsPerHour, 60)
	l.Callers = orElse(l.Callers, 16384)
	l.ConcurrentStreams = orElse(l.ConcurrentStreams, 1024)
	l.DefaultDeadline = orElse(l.DefaultDeadline, 30*time.Second)
	l.MaxDeadline = orElse(l.MaxDeadline, 2*time.Minute)
	l.IdleTimeout = orElse(l.IdleTimeout, 5*time.Minute)
	l.MaxConnectionAge = orElse(l.MaxConnectionAge, time.Hour)
	return l
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Validate reports the first limit that cannot be used. Absent ones are fine.
func (l Limits) Validate() error {
	l = l.WithDefaults()
	switch {
	case l.BytesInFlight < MaxMessageBytes:
		return fmt.Errorf("limits: bytes in flight: got %d, want at least one message of %d",
			l.BytesInFlight, MaxMessageBytes)
	case l.CallsInFlight < 1:
		return fmt.Errorf("limits: calls in flight: got %d, want at least 1", l.CallsInFlight)
	case !(l.RatePerSecond > 0): // also refuses NaN
		return fmt.Errorf("limits: rate per second: got %v, want more than 0", l.RatePerSecond)
	case l.Burst < maxCost:
		return fmt.Errorf("limits: burst: got %d, want at least %d, the cost of the dearest call", l.Burst, maxCost)
	case !(l.OpinionsPerHour > 0):
		return fmt.Errorf("limits: opinions per hour: got %v, want more than 0", l.OpinionsPerHour)
	case l.Callers < 1:
		return fmt.Errorf("limits: callers: got %d, want at least 1", l.Callers)
	case l.DefaultDeadline < 0 || l.MaxDeadline < l.DefaultDeadline:
		return fmt.Errorf("limits: deadlines: got default %v and maximum %v, want 0 < default <= maximum",
			l.DefaultDeadline, l.MaxDeadline)
	case l.IdleTimeout < 0 || l.MaxConnectionAge < 0:
		return fmt.Errorf("limits: connections: got idle timeout %v and age %v, want both above 0",
			l.IdleTimeout, l.MaxConnectionAge)
	}
	return nil
}
