package server

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	rekorpb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpchealth "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
)

// TestRateLimiter: the rate is a caller's own, the refusal says when to come back, and that is the truth.
func TestRateLimiter(t *testing.T) {
	now := issuedAt
	l := newRateLimiter(Limits{RatePerSecond: 10, Burst: 20, Callers: 2})
	if err := l.take("a", 20, now); err != nil {
		t.Fatal(err)
	}
	err := l.take("a", 5, now)
	if err == nil {
		t.Fatal("the burst has no end")
	}
	retry := toRefusal(err).retry
	if retry < 500*time.Millisecond || retry > 502*time.Millisecond {
		t.Errorf("got a delay of %v, want 0.5 s for 5 units at 10 per second", retry)
	}
	if err := l.take("b", 20, now); err != nil {
		t.Errorf("another caller: %v", err)
	}
	if err := l.take("a", 5, now.Add(retry)); err != nil {
		t.Errorf("after the delay: %v", err)
	}
	for _, key := range []string{"c", "d", "e"} {
		_ = l.take(key, 1, now)
	}
	if l.size() != 2 {
		t.Errorf("%d callers are remembered, want 2", l.size())
	}
}

// TestLimitKey: one subscriber is one caller.
func TestLimitKey(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7": "address 192.0.2.7", "::ffff:192.0.2.7": "address 192.0.2.7",
		"2001:db8:1:2:3:4:5:6": "address 2001:db8:1:2::/64", "fe80::1%eth0": "address fe80::/64",
	} {
		if got := (caller{address: netip.MustParseAddr(in)}).limitKey(); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
	if got := (caller{}).limitKey(); got != "address invalid IP" {
		t.Errorf("no address: got %q", got)
	}
}

// TestForwardedAddress: X-Forwarded-For is believed from named proxies only, and from the right only.
func TestForwardedAddress(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		conn    string
		headers []string
		want    string
	}{
		{"192.0.2.1", []string{"198.51.100.1"}, "192.0.2.1"},
		{"10.0.0.1", nil, "10.0.0.1"},
		{"10.0.0.1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1", []string{"203.0.113.9, 198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1", []string{"203.0.113.9", "198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{"10.0.0.1", []string{"198.51.100.1, junk"}, "10.0.0.1"},
	} {
		if got := forwardedAddress(netip.MustParseAddr(c.conn), c.headers, proxies).String(); got != c.want {
			t.Errorf("%s %v: got %s, want %s", c.conn, c.headers, got, c.want)
		}
	}
}

// TestHealthIsExemptFromLimits: an overloaded service is not a dead one.
func TestHealthIsExemptFromLimits(t *testing.T) {
	w := newWorld(t, func(w *world) { w.limits = Limits{RatePerSecond: 0.001, Burst: maxCost} })
	logs := w.logService()
	var err error
	for range maxCost + 1 {
		_, err = logs.GetCheckpoint(t.Context(), &avowv1.GetCheckpointRequest{})
	}
	st := wantReason(t, err, reasonRateLimited)
	for _, d := range st.Details() {
		if r, ok := d.(*errdetails.RetryInfo); ok && r.GetRetryDelay().AsDuration() < time.Minute {
			t.Errorf("got a delay of %v, want the true one, minutes", r.GetRetryDelay().AsDuration())
		}
	}
	leave := must(w.server.load.enter(w.server.load.maxBytes))(t)
	defer leave()
	health := grpchealth.NewHealthClient(w.conn)
	for range 50 {
		if _, err := health.Check(t.Context(), &grpchealth.HealthCheckRequest{}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestHealth: red before the first look, green when everything works, red when the store is gone, and its own for the
// parts.
func TestHealth(t *testing.T) {
	w := newWorld(t)
	health := grpchealth.NewHealthClient(w.conn)
	want := func(service string, serving grpchealth.HealthCheckResponse_ServingStatus) {
		t.Helper()
		got, err := health.Check(t.Context(), &grpchealth.HealthCheckRequest{Service: service})
		if err != nil || got.GetStatus() != serving {
			t.Errorf("%q: got %v, %v, want %v", service, got.GetStatus(), err, serving)
		}
	}
	const green, red = grpchealth.HealthCheckResponse_SERVING, grpchealth.HealthCheckResponse_NOT_SERVING
	want("", red)
	w.server.checkHealth(t.Context())
	for _, service := range []string{"", "avow.v1.AttestationService", "avow.v1.TrustService", HealthLog, HealthStore, HealthRegistry} {
		want(service, green)
	}
	if _, err := health.Check(t.Context(), &grpchealth.HealthCheckRequest{Service: "nobody"}); status.Code(err) != codes.NotFound {
		t.Errorf("unknown service: got %v, want NOT_FOUND", err)
	}
	w.server.draining.Store(true)
	w.server.checkHealth(t.Context())
	want("", red)
	want("avow.v1.LogService", red)
	w.server.draining.Store(false)
}

// TestRun ends with its context, and completes what is pending meanwhile through Reconcile, which has tests of its own.
func TestRun(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.server.Run(ctx) }()
	health := grpchealth.NewHealthClient(w.conn)
	watch := must(health.Watch(t.Context(), &grpchealth.HealthCheckRequest{}))(t)
	for {
		got, err := watch.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if got.GetStatus() == grpchealth.HealthCheckResponse_SERVING {
			break
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestReflection lists the services.
func TestReflection(t *testing.T) {
	w := newWorld(t)
	stream := must(reflectionv1.NewServerReflectionClient(w.conn).ServerReflectionInfo(t.Context()))(t)
	wantOK(t, stream.Send(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}))
	got := must(stream.Recv())(t)
	var names []string
	for _, s := range got.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	for _, want := range []string{
		"avow.v1.AttestationService", "avow.v1.VerificationService", "avow.v1.LogService", "avow.v1.TrustService",
		"avow.v1.StandingService",
	} {
		if !strings.Contains(strings.Join(names, " "), want) {
			t.Errorf("%s is not listed: %v", want, names)
		}
	}
}

// TestMessageLimit: a message over the limit is refused by gRPC, before it is looked at.
func TestMessageLimit(t *testing.T) {
	w := newWorld(t)
	_, err := w.attestation().Issue(t.Context(), rawRequest(make([]byte, MaxMessageBytes), "x"))
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("got %v, want RESOURCE_EXHAUSTED", err)
	}
}

// TestMetricSeriesAreBounded: whatever callers send, no time series comes into being.
func TestMetricSeriesAreBounded(t *testing.T) {
	w := newWorld(t)
	w.issue(dataFlows(t), w.acme)
	touch := func(n int) {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "user-agent", strings.Repeat("u", n), "x-tenant", strings.Repeat("t", n))
		_, _ = w.attestation().GetStatement(ctx, &avowv1.GetStatementRequest{StatementId: strings.Repeat("a", n)})
		_, _ = w.attestation().ListStatements(ctx, &avowv1.ListStatementsRequest{
			Vendor: strings.Repeat("v", n), Product: strings.Repeat("p", n)})
		_, _ = w.trust().GetVendor(ctx, &avowv1.GetVendorRequest{Name: strings.Repeat("n", n)})
		method := "/avow.v1.Service" + strings.Repeat("x", n) + "/M"
		_ = w.conn.Invoke(ctx, method, &avowv1.GetVendorRequest{}, &avowv1.GetVendorResponse{})
	}
	touch(1)
	before := seriesCount(t, w)
	for n := range 200 {
		touch(n + 2)
	}
	if after := seriesCount(t, w); after != before {
		t.Errorf("%d series became %d", before, after)
	}
}

func seriesCount(t testing.TB, w *world) (n int) {
	t.Helper()
	for _, f := range must(w.reg.Gather())(t) {
		n += len(f.GetMetric())
	}
	return n
}

// metricValue returns the value of a metric without labels.
func metricValue(t testing.TB, w *world, name string) float64 {
	t.Helper()
	for _, f := range must(w.reg.Gather())(t) {
		if f.GetName() == name && f.GetType() == dto.MetricType_COUNTER {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("there is no counter %s", name)
	return 0
}

// TestEmptyFields sends every method a full request in which each field in turn is absent or empty, and an empty
// request. None may panic: recovery would answer INTERNAL.
func TestEmptyFields(t *testing.T) {
	w := newWorld(t, withRekor(false))
	flows := w.issue(dataFlows(t), w.acme)
	full := map[string]proto.Message{
		avowv1.AttestationService_Issue_FullMethodName: signed(t, dataFlows(t), w.acme),
		avowv1.AttestationService_IssueBatch_FullMethodName: &avowv1.IssueBatchRequest{Requests: []*avowv1.IssueRequest{
			signed(t, dataFlows(t), w.acme), unsigned(heldFlows(t))}},
		avowv1.AttestationService_GetStatement_FullMethodName: &avowv1.GetStatementRequest{
			StatementId: flows.GetStatementId(), KeyId: flows.GetKeyId()},
		avowv1.AttestationService_ListStatements_FullMethodName: &avowv1.ListStatementsRequest{
			SubjectSha256: strings.Repeat("0", 64), Vendor: "acme", Product: "p", PredicateType: "t", PageSize: 1},
		avowv1.VerificationService_Verify_FullMethodName:     w.verifyRequest(flows.GetBundle()),
		avowv1.LogService_GetCheckpoint_FullMethodName:       &avowv1.GetCheckpointRequest{},
		avowv1.LogService_GetInclusionProof_FullMethodName:   &avowv1.GetInclusionProofRequest{LogIndex: 1},
		avowv1.LogService_GetConsistencyProof_FullMethodName: &avowv1.GetConsistencyProofRequest{FirstTreeSize: 1, SecondTreeSize: 1},
		avowv1.TrustService_GetTrustedRoot_FullMethodName:    &avowv1.GetTrustedRootRequest{},
		avowv1.TrustService_GetSigningConfig_FullMethodName:  &avowv1.GetSigningConfigRequest{},
		rekorpb.Rekor_CreateEntry_FullMethodName:             w.entry(w.acme, "empty fields"),
		avowv1.TrustService_ListVendors_FullMethodName:       &avowv1.ListVendorsRequest{PageSize: 1},
		avowv1.TrustService_GetVendor_FullMethodName:         &avowv1.GetVendorRequest{Name: "acme"},
		avowv1.StandingService_GetStanding_FullMethodName:    byID(flows.GetStatementId()),
		avowv1.StandingService_BatchGetStanding_FullMethodName: &avowv1.BatchGetStandingRequest{
			Requests: []*avowv1.GetStandingRequest{byID(flows.GetStatementId())}},
	}
	ctx := withToken(t.Context(), w.heldToken)
	sent := 0
	for method := range rules {
		if !strings.HasPrefix(method, "/avow.v1.") && method != rekorpb.Rekor_CreateEntry_FullMethodName || method == avowv1.VerificationService_BatchVerify_FullMethodName ||
			method == avowv1.StandingService_Watch_FullMethodName {
			continue // streams have tests of their own
		}
		req, ok := full[method]
		if !ok {
			t.Errorf("%s has no request here", method)
			continue
		}
		requests := variants(req.ProtoReflect())
		requests = append(requests, req.ProtoReflect(), req.ProtoReflect().New())
		for _, m := range requests {
			sent++
			err := w.conn.Invoke(ctx, method, m.Interface(), emptyAnswer(t, method))
			if c := status.Code(err); c == codes.Internal || c == codes.Unknown || c == codes.Unavailable {
				t.Errorf("%s %v: %v", method, m.Interface(), err)
			}
		}
	}
	if sent < 50 {
		t.Errorf("only %d requests were made", sent)
	}
	if got := metricValue(t, w, "avow_panics_total"); got != 0 {
		t.Errorf("%v panics", got)
	}
}

// emptyAnswer makes a message for the answer of a method.
func emptyAnswer(t testing.TB, method string) proto.Message {
	t.Helper()
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	d := must(protoregistry.GlobalFiles.FindDescriptorByName(name))(t)
	return dynamicpb.NewMessage(d.(protoreflect.MethodDescriptor).Output())
}

// variants returns copies of m, each with one field at some depth absent, or present and empty.
func variants(m protoreflect.Message) []protoreflect.Message {
	var out []protoreflect.Message
	with := func(change func(protoreflect.Message)) {
		c := proto.Clone(m.Interface()).ProtoReflect()
		change(c)
		out = append(out, c)
	}
	fields := m.Descriptor().Fields()
	for n := range fields.Len() {
		f := fields.Get(n)
		with(func(c protoreflect.Message) { c.Clear(f) })
		switch {
		case f.IsList() && f.Kind() == protoreflect.MessageKind:
			with(func(c protoreflect.Message) { c.Mutable(f).List().AppendMutable() })
			for e := range m.Get(f).List().Len() {
				for _, v := range variants(m.Get(f).List().Get(e).Message()) {
					with(func(c protoreflect.Message) { c.Mutable(f).List().Set(e, protoreflect.ValueOfMessage(v)) })
				}
			}
		case f.Kind() == protoreflect.MessageKind:
			with(func(c protoreflect.Message) { c.Set(f, c.NewField(f)) })
			if m.Has(f) {
				for _, v := range variants(m.Get(f).Message()) {
					with(func(c protoreflect.Message) { c.Set(f, protoreflect.ValueOfMessage(v)) })
				}
			}
		}
	}
	return out
}

// TestDrain: calls in hand are answered, new ones are not taken, and the log and the store can be closed afterwards.
func TestDrain(t *testing.T) {
	gate := &gatedTimestamper{entered: make(chan struct{}, 1), open: make(chan struct{})}
	w := newWorld(t, func(w *world) { gate.Timestamper = w.authority; w.stamps = []Timestamper{gate} })
	req := signed(t, dataFlows(t), w.acme)
	answered := make(chan error, 1)
	go func() {
		_, err := w.attestation().Issue(t.Context(), req)
		answered <- err
	}()
	<-gate.entered
	drained := make(chan error, 1)
	go func() { drained <- w.server.Drain(t.Context()) }()
	for !w.server.draining.Load() {
		time.Sleep(time.Millisecond)
	}
	_, err := w.logService().GetCheckpoint(t.Context(), &avowv1.GetCheckpointRequest{}, grpc.WaitForReady(false))
	if status.Code(err) != codes.Unavailable {
		t.Errorf("a new call: got %v, want UNAVAILABLE", err)
	}
	close(gate.open)
	if err := <-answered; err != nil {
		t.Errorf("the call in hand: %v", err)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// TestLimitsValidate: every limit that cannot be used is refused, the zero value is not.
func TestLimitsValidate(t *testing.T) {
	if err := (Limits{}).Validate(); err != nil {
		t.Errorf("zero value: %v", err)
	}
	for name, l := range map[string]Limits{
		"bytes": {BytesInFlight: 1}, "calls": {CallsInFlight: -1}, "rate": {RatePerSecond: -1}, "burst": {Burst: 1},
		"callers": {Callers: -1}, "deadline": {DefaultDeadline: time.Hour}, "idle": {IdleTimeout: -1}, "age": {MaxConnectionAge: -1},
	} {
		if err := l.Validate(); err == nil || !strings.Contains(err.Error(), "got") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestConfigValidate: every part that is missing is named.
func TestConfigValidate(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*Config){
		"log": func(c *Config) { c.Log = nil }, "store": func(c *Config) { c.Store = nil },
		"registry":  func(c *Config) { c.Vendors = nil },
		"timestamp": func(c *Config) { c.Timestampers = nil }, "minimum": func(c *Config) { c.MinTimestamps = 2 },
		"trusted root": func(c *Config) { c.TrustedRoot = nil }, "logger": func(c *Config) { c.Logger = nil },
	} {
		c := w.config()
		c.Registerer = nil
		change(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	c := w.config()
	c.Registerer, c.TrustedRoot = nil, []byte("{}")
	if _, err := New(c); err == nil {
		t.Error("a trusted root that does not parse was taken")
	}
}
