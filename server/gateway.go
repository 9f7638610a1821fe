package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	fulciopb "github.com/sigstore/fulcio/pkg/generated/protobuf"
	rekorpb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
)

const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 5 * time.Minute // longer than a call may take, so that it is answered rather than cut
	httpIdleTimeout   = 2 * time.Minute
)

// HTTPServer wraps the handler in an http.Server with timeouts and a header limit. The caller sets TLS and the address.
func HTTPServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       httpIdleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
	}
}

// Handler makes the handler of the HTTP port:
//
//	/api/v1/...                  the REST interface, as in /api/openapi.json
//	/api/v1/timestamp            RFC 3161, if configured
//	/api/v2/log/entries          Rekor v2, if configured
//	/api/v2/checkpoint, .../tile the log, as Rekor's clients read it
//	/api/v2/signingCert, ...     Fulcio, if configured: certificates for identity tokens
//	/ct/checkpoint, /ct/tile/... the certificate log, if there is one
//	/index/checkpoint, ../tile   the log of the complete index, if there is one
//	/checkpoint, /tile/...       the log, C2SP tlog-tiles
//	/tuf/...                     a TUF repository, if configured
//	/statements/sha256/<hex>     the exact bytes of a committed statement
//	/statements/by-index/<n>     the same, by the index of its log entry
//
// A REST call passes the same interceptors as a gRPC call: the gateway is a client on a connection inside this
// process. Drain closes that connection; the context is for the registration only.
func (s *Server) Handler(ctx context.Context) (http.Handler, error) {
	lis := s.inProcess(ctx)
	conn, err := grpc.NewClient("passthrough:in-process",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)))
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	s.mu.Lock()
	s.closers = append(s.closers, conn.Close)
	s.mu.Unlock()

	gateway := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.JSONPb{
			MarshalOptions: protojson.MarshalOptions{EmitUnpopulated: true},
		}),
		runtime.WithIncomingHeaderMatcher(incomingHeader),
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithOutgoingTrailerMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithMetadata(s.gatewayMetadata),
		runtime.WithForwardResponseOption(created),
		runtime.WithErrorHandler(gatewayError),
		runtime.WithRoutingErrorHandler(routingError),
	)
	for _, register := range []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
		avowv1.RegisterAttestationServiceHandler, avowv1.RegisterVerificationServiceHandler,
		avowv1.RegisterStandingServiceHandler, avowv1.RegisterLogServiceHandler, avowv1.RegisterTrustServiceHandler,
		rekorpb.RegisterRekorHandler, fulciopb.RegisterCAHandler,
	} {
		if err := register(ctx, gateway, conn); err != nil {
			return nil, fmt.Errorf("gateway: %w", err)
		}
	}
	return s.routes(gateway), nil
}

// incomingHeader lets no header of a REST call become metadata, above all none that would look like the gateway's
// own. The credentials arrive nevertheless: the gateway passes Authorization on by itself.
func incomingHeader(string) (string, bool) { return "", false }

// gatewayMetadata tells the service who is calling.
func (s *Server) gatewayMetadata(_ context.Context, r *http.Request) metadata.MD {
	md := metadata.Pairs(gatewayAddressKey, s.clientAddress(r).String())
	if token, ok := r.Context().Value(headerTokenKey{}).(string); ok {
		md.Set(gatewayTokenKey, token)
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		md.Set(gatewayCertKey, certFingerprint(r.TLS.PeerCertificates[0].Raw))
	}
	return md
}

// clientAddress is where a REST call comes from.
func (s *Server) clientAddress(r *http.Request) netip.Addr {
	var conn netip.Addr
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		conn = ap.Addr().Unmap()
	}
	return forwardedAddress(conn, r.Header.Values("X-Forwarded-For"), s.cfg.TrustedProxies)
}

// gatewayError answers an error of a REST call: the google.rpc.Status as JSON, and what HTTP has a header for.
func gatewayError(
	ctx context.Context, mux *runtime.ServeMux, m runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error,
) {
	st := status.Convert(err)
	if reasonOf(st) == "" {
		st = toStatus(gatewayRefusal(st, r.Context().Err() != nil))
	}
	for _, d := range st.Details() {
		if retry, ok := d.(*errdetails.RetryInfo); ok {
			seconds := math.Ceil(retry.GetRetryDelay().AsDuration().Seconds())
			w.Header().Set("Retry-After", strconv.Itoa(max(1, int(seconds))))
		}
	}
	if httpStatus, ok := httpStatuses[reasonOf(st)]; ok {
		err = &runtime.HTTPStatusError{HTTPStatus: httpStatus, Err: st.Err()}
	} else {
		err = st.Err()
	}
	runtime.DefaultHTTPErrorHandler(ctx, mux, m, w, r, err)
}

// gatewayRefusal gives the gateway's own errors, and those of its connection, a reason.
func gatewayRefusal(st *status.Status, callerGone bool) *refusal {
	reason := reasonInternal
	switch st.Code() {
	case codes.InvalidArgument:
		// A body or a parameter that does not parse: the text names the fault in the caller's input.
		return refuse(reasonRequestInvalid, "%s", st.Message())
	case codes.Unavailable, codes.Canceled:
		// Either the caller went away, or the connection inside this process did, which ends with the server.
		reason = reasonShuttingDown
		if callerGone {
			reason = reasonCancelled
		}
	case codes.DeadlineExceeded:
		reason = reasonDeadlineExceeded
	case codes.ResourceExhausted:
		reason = reasonMessageTooLarge
	case codes.Unimplemented:
		reason = reasonRouteUnknown
	default:
	}
	return &refusal{reason: reason, message: "the call could not be passed on", cause: st.Err()}
}

// httpStatuses are the reasons whose HTTP status is not the usual one of their code.
var httpStatuses = map[string]int{
	reasonName(reasonMessageTooLarge): http.StatusRequestEntityTooLarge,
	reasonName(reasonStorageFull):     http.StatusInsufficientStorage,
	reasonName(reasonOverloaded):      http.StatusServiceUnavailable,
}

// reasonOf returns the reason of a status, "" if it has none of this service.
func reasonOf(st *status.Status) string {
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == ErrorDomain {
			return info.GetReason()
		}
	}
	return ""
}

// routingError answers a path or a method that does not exist.
func routingError(
	ctx context.Context, mux *runtime.ServeMux, m runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int,
) {
	st := toStatus(refuse(reasonRouteUnknown, "%s", http.StatusText(code)))
	runtime.DefaultHTTPErrorHandler(ctx, mux, m, w, r, &runtime.HTTPStatusError{HTTPStatus: code, Err: st.Err()})
}

// writeRefusal answers a refusal outside of the gateway, in the same form.
func writeRefusal(w http.ResponseWriter, r *http.Request, err error) {
	st := toStatus(toRefusal(err))
	mux, m := runtime.NewServeMux(), &runtime.JSONPb{MarshalOptions: protojson.MarshalOptions{EmitUnpopulated: true}}
	gatewayError(r.Context(), mux, m, w, r, st.Err())
}

// limitBody reads the body of a request, at most MaxMessageBytes of it, before the gateway sees it: the gateway would
// answer an oversize body as a malformed one.
func limitBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		body := http.MaxBytesReader(w, r.Body, MaxMessageBytes)
		whole, err := io.ReadAll(body)
		var over *http.MaxBytesError
		switch {
		case errors.As(err, &over):
			writeRefusal(w, r, refuse(reasonMessageTooLarge, "the body has more than %d bytes", MaxMessageBytes))
			return
		case err != nil:
			writeRefusal(w, r, refuse(reasonRequestInvalid, "the body ends before its length"))
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(whole))
		next.ServeHTTP(w, r)
	})
}
