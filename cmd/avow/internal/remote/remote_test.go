package remote

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
)

// service answers with the prepared errors, one per call, and then with success.
type service struct {
	avowv1.UnimplementedAttestationServiceServer
	errors []error
	calls  int
	header metadata.MD
}

func (s *service) GetStatement(ctx context.Context, _ *avowv1.GetStatementRequest) (*avowv1.GetStatementResponse, error) {
	s.header, _ = metadata.FromIncomingContext(ctx)
	s.calls++
	if s.calls <= len(s.errors) {
		return nil, s.errors[s.calls-1]
	}
	return &avowv1.GetStatementResponse{}, nil
}

// serve runs the service on a loopback port without TLS.
func serve(t *testing.T, s *service) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	avowv1.RegisterAttestationServiceServer(server, s)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() { server.Stop(); <-served })
	return listener.Addr().String()
}

// pauses records how long a Retrier would have slept.
type pauses []time.Duration

func (p *pauses) sleep(ctx context.Context, d time.Duration) error {
	*p = append(*p, d)
	return ctx.Err()
}

func get(t *testing.T, o Options, p *pauses) error {
	t.Helper()
	connection, err := Dial(o)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	return Retrier{Connection: connection, Sleep: p.sleep}.Call(t.Context(), func(ctx context.Context) error {
		_, err := avowv1.NewAttestationServiceClient(connection).GetStatement(ctx, &avowv1.GetStatementRequest{})
		return err
	})
}

// failure builds an error as the service sends it.
func failure(t *testing.T, code codes.Code, reason string, more ...protoadapt.MessageV1) error {
	t.Helper()
	details := append([]protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: reason, Domain: "avow.dev"}}, more...)
	s, err := status.New(code, "sentence of the service").WithDetails(details...)
	if err != nil {
		t.Fatal(err)
	}
	return s.Err()
}

func retryIn(d time.Duration) *errdetails.RetryInfo {
	return &errdetails.RetryInfo{RetryDelay: durationpb.New(d)}
}

func TestCallRepeatsWhatTheServiceAsksFor(t *testing.T) {
	s := &service{errors: []error{
		failure(t, codes.Unavailable, "LOG_UNAVAILABLE", retryIn(7*time.Second)),
		failure(t, codes.ResourceExhausted, "RATE_LIMITED", retryIn(time.Millisecond)),
	}}
	var p pauses
	if err := get(t, Options{Address: serve(t, s), Insecure: true}, &p); err != nil {
		t.Fatal(err)
	}
	if s.calls != 3 || len(p) != 2 || p[0] < 7*time.Second || p[1] < firstPause || p[1] > 2*firstPause {
		t.Errorf("%d calls, pauses %v", s.calls, p)
	}
}

func TestCallDoesNotRepeatARefusal(t *testing.T) {
	for _, c := range []struct {
		code    codes.Code
		reason  string
		refused bool
	}{
		{codes.InvalidArgument, "STATEMENT_INVALID", true},
		{codes.PermissionDenied, "KEY_UNKNOWN", true},
		{codes.NotFound, "STATEMENT_NOT_FOUND", true},
		{codes.Unavailable, "LOG_HALTED", false}, // without RetryInfo
		{codes.Internal, "INTERNAL", false},
	} {
		t.Run(c.reason, func(t *testing.T) {
			s := &service{errors: []error{failure(t, c.code, c.reason,
				&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
					{Field: "/predicate", Reason: "R02", Description: "missing"}}})}}
			var p pauses
			err := get(t, Options{Address: serve(t, s), Insecure: true}, &p)
			var e *Error
			if !errors.As(err, &e) || s.calls != 1 {
				t.Fatalf("got %v after %d calls", err, s.calls)
			}
			if e.Reason != c.reason || e.Refused() != c.refused || e.Hint() == "" || len(e.Violations) != 1 ||
				e.Violations[0].Code != "R02" {
				t.Errorf("got %+v", e)
			}
		})
	}
}

func TestCallGivesUp(t *testing.T) {
	again := failure(t, codes.Unavailable, "LOG_UNAVAILABLE", retryIn(0))
	s := &service{}
	for range 100 {
		s.errors = append(s.errors, again)
	}
	var p pauses
	err := get(t, Options{Address: serve(t, s), Insecure: true}, &p)
	var e *Error
	if !errors.As(err, &e) || e.Reason != "LOG_UNAVAILABLE" || s.calls != maxTries {
		t.Errorf("got %v after %d calls", err, s.calls)
	}
	for i, d := range p {
		if d > maxPause {
			t.Errorf("pause %d is %v", i, d)
		}
	}
}

func TestNobodyListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	var p pauses
	err = get(t, Options{Address: address, Insecure: true}, &p)
	var e *Error
	if !errors.As(err, &e) || e.Status != codes.Unavailable || e.Reason != "" || len(p) != maxDials-1 ||
		!strings.Contains(e.Hint(), "check that the service runs") || strings.Contains(e.Hint(), "--insecure") {
		t.Errorf("got %v after %d pauses, hint %q", err, len(p), e.Hint())
	}
	if want := "cannot reach " + address + ": connection refused"; e.Error() != want {
		t.Errorf("got %q, want %q", e, want)
	}
}

// TestCallDoesNotRepeatInVain: another try meets the same name and the same server.
func TestCallDoesNotRepeatInVain(t *testing.T) {
	plain := serve(t, &service{})
	for name, c := range map[string]struct {
		options   Options
		want, fix string
	}{
		"no TLS":          {Options{Address: plain}, noTLS, "add --insecure"},
		"no host":         {Options{Address: "avow.invalid:1"}, noHost, "check the host name"},
		"no host, no TLS": {Options{Address: "avow.invalid:1", Insecure: true}, noHost, "check the host name"},
	} {
		var p pauses
		err := get(t, c.options, &p)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		if c.want == noHost && !strings.Contains(e.Error(), noHost) {
			t.Logf("%s: the resolver of this machine says something else: %v", name, e)
			continue
		}
		if len(p) != 0 || !strings.Contains(e.Error(), c.want) || !strings.Contains(e.Hint(), c.fix) {
			t.Errorf("%s: got %v after %d pauses, hint %q", name, e, len(p), e.Hint())
		}
	}
}

// TestCause: the sentences of gRPC's errors, as they come, without what is around them.
func TestCause(t *testing.T) {
	for message, want := range map[string]string{
		`connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:9: connect: connection refused"`:    "connection refused",
		`last connection error: connection error: desc = "transport: Error while dialing: dial tcp [::1]:9: i/o timeout"`: "i/o timeout",
		`connection error: desc = "transport: authentication handshake failed: tls: first record \"x\""`:                  `tls: first record "x"`,
		"dial tcp: lookup a.invalid on 127.0.0.53:53: no such host":                                                       "lookup a.invalid on 127.0.0.53:53: no such host",
		"name resolver error: produced zero addresses":                                                                    noHost,
		`desc = "not closed`:  `desc = "not closed`,
		"any other sentence":  "any other sentence",
		"dial tcp without it": "dial tcp without it",
	} {
		if got := cause(message); got != want {
			t.Errorf("%s: got %q, want %q", message, got, want)
		}
	}
}

// TestInsecureStaysOnThisMachine connects to an address of this machine that is not loopback, where there is one.
func TestInsecureStaysOnThisMachine(t *testing.T) {
	listener, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		n, ok := a.(*net.IPNet)
		if !ok || n.IP.IsLoopback() || n.IP.To4() == nil {
			continue
		}
		_, err := dialLoopback(t.Context(), net.JoinHostPort(n.IP.String(), port))
		if !errors.Is(err, errNotLoopback) {
			t.Errorf("dialling %s: got %v, want that it is refused", n.IP, err)
		}
		return
	}
	t.Skip("this machine has no address but loopback")
}

func TestTokenIsSent(t *testing.T) {
	s := &service{}
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("  s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var p pauses
	if err := get(t, Options{Address: serve(t, s), Insecure: true, TokenFile: path, UserAgent: "avow/test"}, &p); err != nil {
		t.Fatal(err)
	}
	if got := s.header.Get("authorization"); len(got) != 1 || got[0] != "Bearer s3cret" {
		t.Errorf("got authorization %q", got)
	}
	if got := s.header.Get("user-agent"); len(got) != 1 || !strings.HasPrefix(got[0], "avow/test ") {
		t.Errorf("got user agent %q", got)
	}
}

func TestDialRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, o := range map[string]Options{
		"no address":        {},
		"no port":           {Address: "avow.example"},
		"plain http":        {Address: "http://avow.example:80"},
		"URL with path":     {Address: "https://avow.example:443/x"},
		"missing authority": {Address: "avow.example:443", CAFile: filepath.Join(dir, "none")},
		"empty authority":   {Address: "avow.example:443", CAFile: write("ca", "nothing")},
		"cert without key":  {Address: "avow.example:443", CertFile: "x"},
		"key without cert":  {Address: "avow.example:443", KeyFile: "x"},
		"unusable cert":     {Address: "avow.example:443", CertFile: write("c", "x"), KeyFile: write("k", "x")},
		"empty token":       {Address: "avow.example:443", TokenFile: write("t", " \n")},
		"token of two":      {Address: "avow.example:443", TokenFile: write("t2", "one two")},
		"large token":       {Address: "avow.example:443", TokenFile: write("t3", strings.Repeat("x", maxCredentialBytes+1))},
	} {
		t.Run(name, func(t *testing.T) {
			connection, err := Dial(o)
			var u *Usage
			if !errors.As(err, &u) || u.Hint == "" {
				t.Fatalf("got %v, want a usage error with a hint", err)
			}
			if connection != nil {
				t.Error("there is a connection")
			}
			if strings.Contains(err.Error(), "one two") {
				t.Error("the error shows the token")
			}
		})
	}
}

// TestHints: every reason of the API's closed list that a client can meet has a hint of its own or a sensible default.
func TestHints(t *testing.T) {
	for _, name := range avowv1.ErrorReason_name {
		e := &Error{Reason: strings.TrimPrefix(name, "ERROR_REASON_"), Status: codes.Internal}
		if e.Hint() == "" {
			t.Errorf("%s has no hint", name)
		}
	}
	for reason := range hints {
		if _, ok := avowv1.ErrorReason_value["ERROR_REASON_"+reason]; !ok {
			t.Errorf("there is a hint for %s, which is not in the API's list", reason)
		}
	}
}

// TestFollow: a stream is begun again for as long as that can help, with pauses that begin anew after a message; an end
// without an error is an outage, and what is refused is not asked for again.
func TestFollow(t *testing.T) {
	c, err := Dial(Options{Address: "127.0.0.1:1", Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	down, own := status.Error(codes.Unavailable, "down"), errors.New("own")
	reached := false
	run := func(ends ...error) (slept pauses, err error) {
		r := Retrier{Connection: c, Reached: reached, Sleep: func(_ context.Context, d time.Duration) error { slept = append(slept, d); return nil }}
		n := 0
		return slept, r.Follow(t.Context(), func(_ context.Context, alive func()) error {
			if n++; n > len(ends) {
				return ErrDone
			}
			if ends[n-1] == nil || errors.Is(ends[n-1], ErrSilent) {
				alive()
			}
			return ends[n-1]
		})
	}
	for name, ends := range map[string][]error{"ended": {nil, io.EOF}, "silent": {ErrSilent}, "long down": slices.Concat([]error{nil}, slices.Repeat([]error{down}, 3*maxTries))} {
		if _, err := run(ends...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	var failure *Error
	if _, err := run(slices.Repeat([]error{down}, maxDials)...); !errors.As(err, &failure) || failure.Status != codes.Unavailable {
		t.Errorf("never reached: %v", err)
	}
	reached = true
	if _, err := run(slices.Repeat([]error{down}, 3*maxTries)...); err != nil {
		t.Errorf("reached before: %v", err)
	}
	reached = false
	if _, err := run(status.Error(codes.InvalidArgument, "no")); !errors.As(err, &failure) || failure.Status != codes.InvalidArgument {
		t.Errorf("refused: %v", err)
	}
	if _, err := run(own); !errors.Is(err, own) {
		t.Errorf("an error that is no call's: %v", err)
	}
}
