package server

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net"
	"net/netip"
	"strings"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/avow-dev/avow/server/vendors"
)

// The metadata keys by which the REST gateway tells the service who is calling. They are read on the in-process
// connection only, which nobody else can reach; on a network connection they are ignored like any unknown key.
const (
	gatewayAddressKey = "avow-gateway-address"
	gatewayCertKey    = "avow-gateway-client-cert"
)

// caller is who makes a call.
type caller struct {
	// vendor is the vendor that the credentials belong to; nil without credentials.
	vendor *vendors.Vendor
	// address is where the call comes from; the zero value if unknown.
	address netip.Addr
}

// limitKey is what the caller's rate is counted under.
func (c caller) limitKey() string {
	if c.vendor != nil {
		return "vendor " + c.vendor.Name
	}
	return "address " + networkOf(c.address)
}

// networkOf reduces an address to what one subscriber has: an IPv4 address, or an IPv6 /64.
func networkOf(a netip.Addr) string {
	a = a.Unmap()
	if !a.Is6() {
		return a.String()
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return a.String()
	}
	return p.String()
}

type callerKey struct{}

// callerOf returns who makes the call; the zero value, which has no vendor, outside of a call.
func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// authenticator finds out who is calling.
type authenticator struct {
	registry func() *vendors.Registry
	proxies  []netip.Prefix
}

// fromNetwork identifies the caller of a connection that a client opened.
func (a *authenticator) fromNetwork(ctx context.Context) (caller, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	var address netip.Addr
	fingerprint := ""
	if p, ok := peer.FromContext(ctx); ok {
		address = addressOf(p.Addr)
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok && len(info.State.PeerCertificates) > 0 {
			fingerprint = certFingerprint(info.State.PeerCertificates[0].Raw)
		}
	}
	return a.identify(md, forwardedAddress(address, md.Get("x-forwarded-for"), a.proxies), fingerprint)
}

// fromGateway identifies the caller of a REST call from what the gateway attached.
func (a *authenticator) fromGateway(ctx context.Context) (caller, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	address, _ := netip.ParseAddr(only(md.Get(gatewayAddressKey)))
	return a.identify(md, address, only(md.Get(gatewayCertKey)))
}

// identify checks the credentials. Those that are given must be good, also where none are needed: a caller with a stale
// token is told so and does not go on as somebody else.
func (a *authenticator) identify(md metadata.MD, address netip.Addr, fingerprint string) (caller, error) {
	c := caller{address: address}
	invalid := func(what string) (caller, error) {
		return caller{address: address}, refuse(reasonCredentialsInvalid, "%s", what)
	}
	if values := md.Get("authorization"); len(values) > 0 {
		token, ok := bearerToken(values)
		if !ok {
			token, ok = basicToken(values)
		}
		if !ok {
			return invalid("the authorization metadata is not exactly one \"Bearer TOKEN\"")
		}
		if c.vendor, ok = a.registry().ByToken(token); !ok {
			return invalid("the token belongs to no registered vendor")
		}
	}
	if fingerprint != "" {
		vendor, ok := a.registry().ByClientCert(fingerprint)
		switch {
		case !ok:
			return invalid("the client certificate belongs to no registered vendor")
		case c.vendor != nil && c.vendor.Name != vendor.Name:
			return invalid("the token and the client certificate belong to different vendors")
		}
		c.vendor = vendor
	}
	return c, nil
}

// bearerToken takes the token out of the authorization metadata (RFC 6750, section 2.1).
func bearerToken(values []string) (string, bool) {
	scheme, token, found := strings.Cut(only(values), " ")
	if !found || !strings.EqualFold(scheme, "bearer") || token == "" || len(token) > MaxTokenBytes {
		return "", false
	}
	return token, true
}

// basicToken takes the token out of a password (RFC 7617), whatever the user's name is: the one form in which clients that
// know nothing of tokens send one, because it fits into an address.
func basicToken(values []string) (string, bool) {
	scheme, encoded, _ := strings.Cut(only(values), " ")
	if !strings.EqualFold(scheme, "basic") || len(encoded) > 4*MaxTokenBytes {
		return "", false
	}
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", false
	}
	_, token, _ := strings.Cut(string(decoded), ":")
	if token == "" || len(token) > MaxTokenBytes {
		return "", false
	}
	return token, true
}

// only returns the single value of a metadata key, "" if there are none or several.
func only(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}

// certFingerprint is how the registry names a client certificate.
func certFingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// addressOf takes the IP address out of a network address.
func addressOf(a net.Addr) netip.Addr {
	if a == nil {
		return netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// forwardedAddress is the address that limits and logs use. X-Forwarded-For counts only if the connection comes from a
// proxy that the operator named, and then only from the right, up to the first address that is not such a proxy:
// everything further left is what the client wrote.
func forwardedAddress(conn netip.Addr, headers []string, proxies []netip.Prefix) netip.Addr {
	if !isProxy(conn, proxies) {
		return conn
	}
	hops := strings.Split(strings.Join(headers, ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return conn
		}
		if hop = hop.Unmap(); !isProxy(hop, proxies) {
			return hop
		}
		conn = hop
	}
	return conn
}

func isProxy(a netip.Addr, proxies []netip.Prefix) bool {
	for _, p := range proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
