package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Pauses between tries.
const (
	firstPause = 200 * time.Millisecond
	maxPause   = 10 * time.Second
	maxTries   = 8
	// maxDials is the number of tries when nobody answers at the address: about 3 seconds.
	maxDials = 5
)

// Retrier repeats calls.
type Retrier struct {
	// Connection is where the calls go; errors name it. Required.
	Connection *Connection
	// Sleep waits, or returns the context's error; time.Sleep with a context.
	Sleep func(ctx context.Context, d time.Duration) error
	// Notify is told before each pause why and how long. May be nil.
	Notify func(cause *Error, pause time.Duration)
	// Reached says that the service has answered before: Follow has no last try.
	Reached bool
}

// Sleep waits for d or for the end of the context.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Call runs f until it succeeds, fails for a reason that repeating does not help, or the context ends. The pause
// doubles from 200 ms to 10 s with a random part, and is never shorter than the service asks for (RetryInfo). The
// error is *Error.
func (r Retrier) Call(ctx context.Context, f func(context.Context) error) error {
	pause := firstPause
	for try := 1; ; try++ {
		err := f(ctx)
		if err == nil {
			return nil
		}
		failure := newError(err, r.Connection)
		if !failure.Retry || try == maxTries || failure.Reason == "" && try == maxDials || ctx.Err() != nil {
			return failure
		}
		jitter := rand.N(pause/2 + 1) //nolint:gosec // G404: it spreads callers in time and protects nothing
		wait := max(pause/2+jitter, failure.RetryAfter)
		if r.Notify != nil {
			r.Notify(failure, wait)
		}
		if r.Sleep(ctx, wait) != nil {
			return failure // the reason says more than that time was up
		}
		pause = min(pause*2, maxPause)
	}
}

// Follow keeps a stream open: it runs f again each time that it ends for a reason that can go away, for as long as the context
// allows. f calls alive for each message; after one, the pauses begin anew, and there is no last try. A stream that ends without an
// error is begun again. A nil error of f ends Follow only through [ErrDone]. The error is *Error, or f's own if it is no
// call's.
func (r Retrier) Follow(ctx context.Context, f func(ctx context.Context, alive func()) error) error {
	pause, ever := firstPause, r.Reached
	for try := 1; ; try++ {
		err := f(ctx, func() { pause, try, ever = firstPause, 1, true })
		if errors.Is(err, ErrDone) {
			return nil
		}
		if _, ok := status.FromError(err); !ok && !errors.Is(err, io.EOF) && !errors.Is(err, ErrSilent) {
			return err
		}
		failure := newError(orUnavailable(err), r.Connection)
		if !failure.Retry || ctx.Err() != nil || !ever && (try == maxTries || failure.Reason == "" && try == maxDials) {
			return failure
		}
		wait := max(pause/2+rand.N(pause/2+1), failure.RetryAfter) //nolint:gosec // G404: as in Call
		if r.Notify != nil {
			r.Notify(failure, wait)
		}
		if r.Sleep(ctx, wait) != nil {
			return failure
		}
		pause = min(pause*2, maxPause)
	}
}

// ErrDone ends [Retrier.Follow] without an error. ErrSilent says that nothing came over a stream for too long.
var (
	ErrDone   = errors.New("nothing more is wanted")
	ErrSilent = errors.New("nothing came for too long")
)

// orUnavailable is the status error for the end of a stream that was not asked for.
func orUnavailable(err error) error {
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return status.Error(codes.Unavailable, "the stream ended")
	case errors.Is(err, ErrSilent):
		return status.Error(codes.Unavailable, err.Error())
	}
	return err
}

// Violation is one field at fault.
type Violation struct {
	// Field is a JSON pointer into the statement for findings of rules, else the path of the request's field.
	Field string
	// Code is the rule ("R05"), or empty.
	Code string
	// Description says what is wrong.
	Description string
}

// Error is a failed call.
type Error struct {
	// Status is the gRPC status code.
	Status codes.Code
	// Reason is the name of an ErrorReason without its prefix; empty when the call did not reach the service.
	Reason string
	// Message is the service's sentence, or, where it was not reached, the cause. It is foreign text.
	Message string
	// Address is the service's "host:port".
	Address string
	// Violations are the fields at fault.
	Violations []Violation
	// Retry says that repeating the call can help; RetryAfter is the least pause that the service asks for.
	Retry      bool
	RetryAfter time.Duration

	insecure bool // spoken to without TLS
	err      error
}

// Error returns reason and message, or which service could not be reached and why.
func (e *Error) Error() string {
	if e.Reason != "" {
		return e.Reason + ": " + e.Message
	}
	if e.Status == codes.Unavailable {
		return fmt.Sprintf("cannot reach %s: %s", e.Address, e.Message)
	}
	return fmt.Sprintf("%s: %s: %s", e.Address, e.Status, e.Message)
}

// Unwrap returns the status error.
func (e *Error) Unwrap() error { return e.err }

// Refused reports whether the service understood the request and said no, or that it does not have what was asked for,
// in contrast to not being able to answer.
func (e *Error) Refused() bool {
	switch e.Status {
	case codes.InvalidArgument, codes.PermissionDenied, codes.FailedPrecondition, codes.NotFound:
		return e.Reason != ""
	}
	return false
}

func newError(err error, c *Connection) *Error {
	s, _ := status.FromError(err)
	if errors.Is(err, context.DeadlineExceeded) {
		s = status.New(codes.DeadlineExceeded, err.Error())
	}
	e := &Error{Status: s.Code(), Message: s.Message(), Address: c.address, Retry: s.Code() == codes.Unavailable,
		insecure: c.insecure, err: err}
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			e.Reason = d.GetReason()
			// The service says with RetryInfo whether repeating helps; without a reason nobody was reached.
			e.Retry = false
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				e.Violations = append(e.Violations, Violation{Field: v.GetField(), Code: v.GetReason(),
					Description: v.GetDescription()})
			}
		}
	}
	for _, detail := range s.Details() {
		if d, ok := detail.(*errdetails.RetryInfo); ok {
			e.Retry, e.RetryAfter = true, d.GetRetryDelay().AsDuration()
		}
	}
	if e.Reason == "" && slices.ContainsFunc(permanent, func(s string) bool { return strings.Contains(e.Message, s) }) {
		e.Retry = false
	}
	if e.Reason == "" && e.Status == codes.Unavailable {
		e.Message = cause(e.Message)
	}
	return e
}

// Words of the causes for which the service cannot be reached and the next try will not reach it either.
const (
	noTLS    = "first record does not look like a TLS handshake"
	noHost   = "no such host"
	badChain = "x509: "
	tlsAlert = "tls: "
	// noAddress is what gRPC's resolver makes of a host that does not exist.
	noAddress = "produced zero addresses"
)

var permanent = []string{errNotLoopback.Error(), noTLS, noHost, noAddress, badChain, tlsAlert}

// cause takes the sentence out of what gRPC wraps around it.
//
//	connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:9: connect: connection refused"
func cause(message string) string {
	if i := strings.LastIndex(message, "desc = "); i >= 0 {
		if quoted, err := strconv.QuotedPrefix(message[i+len("desc = "):]); err == nil {
			message, _ = strconv.Unquote(quoted) // it is quoted: QuotedPrefix says so
		}
	}
	for _, prefix := range []string{"transport: ", "Error while dialing: ", "authentication handshake failed: ",
		"name resolver error: ", "dns: A record lookup error: "} {
		message = strings.TrimPrefix(message, prefix)
	}
	if rest, ok := strings.CutPrefix(message, "dial tcp"); ok {
		if _, said, ok := strings.Cut(rest, ": "); ok { // behind the address, which Error says
			message = said
		}
	}
	if message == noAddress {
		return noHost
	}
	return strings.TrimPrefix(message, "connect: ")
}
