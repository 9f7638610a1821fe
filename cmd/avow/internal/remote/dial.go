package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// Limits of what is read from files and from the service.
const (
	// maxCredentialBytes is the size of the largest certificate, key or token file.
	maxCredentialBytes = 1 << 20
	// maxAnswerBytes is the size of the largest answer: a statement of 256 KiB with 3 MiB of bundles, and room.
	maxAnswerBytes = 8 << 20
)

// Options say where the service is and how to speak to it.
type Options struct {
	// Address is "host:port". A prefix "https://" is taken off.
	Address string
	// CAFile holds the certificates (PEM) that the service's certificate must chain to. Empty: the system's.
	CAFile string
	// CertFile and KeyFile are a client certificate (PEM). Both or none.
	CertFile, KeyFile string
	// TokenFile holds a bearer token. Surrounding white space is ignored.
	TokenFile string
	// Insecure speaks without TLS, to loopback addresses only.
	Insecure bool
	// UserAgent is sent with every call.
	UserAgent string
}

// Usage is an error of the caller: options that contradict each other, or a file that cannot be used.
type Usage struct {
	Err  error
	Hint string
}

func (u *Usage) Error() string { return u.Err.Error() }

// Unwrap returns the cause.
func (u *Usage) Unwrap() error { return u.Err }

func usage(hint, format string, args ...any) error {
	return &Usage{Err: fmt.Errorf(format, args...), Hint: hint}
}

// Connection is a connection to the service. Dial makes it.
type Connection struct {
	*grpc.ClientConn
	address  string
	insecure bool
}

// Address returns "host:port", as people wrote it.
func (c *Connection) Address() string { return c.address }

// Dial prepares the connection. Nothing is sent before the first call. The error is *Usage.
func Dial(o Options) (*Connection, error) {
	address, err := o.address()
	if err != nil {
		return nil, err
	}
	options := []grpc.DialOption{
		grpc.WithUserAgent(o.UserAgent),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswerBytes)),
		grpc.WithDisableServiceConfig(), // retries are ours: no policy from DNS
	}
	if o.Insecure {
		options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(dialLoopback))
	} else {
		config, err := o.tls()
		if err != nil {
			return nil, err
		}
		options = append(options, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	}
	if o.TokenFile != "" {
		token, err := readToken(o.TokenFile)
		if err != nil {
			return nil, err
		}
		options = append(options, grpc.WithPerRPCCredentials(bearer{token: token, overTLS: !o.Insecure}))
	}
	target := "dns:///" + address
	if o.Insecure {
		target = "passthrough:///" + address // dialLoopback looks at what it reached
	}
	connection, err := grpc.NewClient(target, options...)
	if err != nil {
		return nil, usage("give the address as HOST:PORT", "address %q: %w", o.Address, err)
	}
	return &Connection{ClientConn: connection, address: address, insecure: o.Insecure}, nil
}

// address returns "host:port".
func (o Options) address() (string, error) {
	const hint = "give the address as HOST:PORT, with --server or in AVOW_SERVER"
	if o.Address == "" {
		return "", usage(hint, "no service was named")
	}
	if strings.HasPrefix(o.Address, "http://") {
		return "", usage("remove http://; for a service on this machine add --insecure",
			"address %q asks for a connection without TLS", o.Address)
	}
	address := strings.TrimSuffix(strings.TrimPrefix(o.Address, "https://"), "/")
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return "", usage(hint, "address %q is not HOST:PORT", o.Address)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", usage(hint, "address %q has no port number", o.Address)
	}
	return address, nil
}

func (o Options) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		data, err := readSmall(o.CAFile)
		if err != nil {
			return nil, usage("--ca is a file with PEM certificates", "%w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(data) {
			return nil, usage("--ca is a file with PEM certificates", "%s holds no certificate", o.CAFile)
		}
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return nil, usage("give both --cert and --cert-key", "a client certificate needs its key")
	}
	if o.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, usage("give a PEM certificate and its PEM key", "client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

var errNotLoopback = errors.New("--insecure is for loopback addresses only")

// dialLoopback connects, and keeps the connection only if the other end is on this machine.
func dialLoopback(ctx context.Context, address string) (net.Conn, error) {
	connection, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	peer, err := netip.ParseAddrPort(connection.RemoteAddr().String())
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		_ = connection.Close() // the refusal is the news
		return nil, fmt.Errorf("%w, and %s is %s", errNotLoopback, address, connection.RemoteAddr())
	}
	return connection, nil
}

// bearer sends the token with every call.
type bearer struct {
	token   string
	overTLS bool
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (b bearer) RequireTransportSecurity() bool { return b.overTLS }

func readToken(path string) (string, error) {
	const hint = "the file given with --token-file holds the token and nothing else"
	data, err := readSmall(path)
	if err != nil {
		return "", usage(hint, "%w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", usage(hint, "%s holds no token (one line of printable ASCII)", path) // the content is not shown
	}
	return token, nil
}

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxCredentialBytes+1))
	if err == nil && len(data) > maxCredentialBytes {
		err = fmt.Errorf("%s has more than %d bytes", path, maxCredentialBytes)
	}
	return data, err
}
