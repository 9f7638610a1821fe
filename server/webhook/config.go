package webhook

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
)

// Limits. They are all here.
const (
	// MaxEndpoints is how many endpoints there are at most.
	MaxEndpoints = 32
	// GiveUpAfter is how long an event is tried before it becomes a dead letter.
	GiveUpAfter = 24 * time.Hour

	tryTime        = 15 * time.Second // one request, answer included
	firstPause     = 5 * time.Second  // between two tries; it doubles
	maxPause       = 30 * time.Minute // also where the receiver asks for more
	maxAnswerBytes = 4 << 10
	maxDeadLetters = 10_000 // of one endpoint
	maxCursorBytes = 4 << 10
	maxLetterBytes = 32 << 20
	minSecretBytes = 24 // by the convention
	maxSecretBytes = 64
)

// Endpoint is where events are told to.
type Endpoint struct {
	// Name is the endpoint's name in files, metrics and log lines: lower-case letters, digits and hyphens.
	Name string
	// URL is https, or http on a loopback address.
	URL *url.URL
	// Secret signs what is sent.
	Secret []byte
	// Filter is what is told; its from_log_index is not used.
	Filter *avowv1.WatchRequest
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

func (e *Endpoint) validate() error {
	if !nameForm.MatchString(e.Name) {
		return fmt.Errorf("name %.80q, want lower-case letters, digits and hyphens, at most 63", e.Name)
	}
	if e.URL == nil || e.Filter == nil || len(e.Secret) < minSecretBytes || len(e.Secret) > maxSecretBytes {
		return fmt.Errorf("%s: an address, a filter, and a secret of %d to %d bytes are needed", e.Name, minSecretBytes, maxSecretBytes)
	}
	return nil
}

// ParseURL reads the address of an endpoint. The error does not repeat it.
func ParseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return nil, fmt.Errorf("not of the form https://HOST[:PORT][/PATH]")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, fmt.Errorf("without TLS, which is for a loopback address alone")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("it does not begin with https://")
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// ParseSecret reads a secret as the convention writes it: "whsec_" and the base64 of 24 to 64 bytes. The error does not
// repeat it.
func ParseSecret(text []byte) ([]byte, error) {
	encoded, ok := strings.CutPrefix(string(bytes.TrimSpace(text)), "whsec_")
	if !ok {
		return nil, fmt.Errorf("it does not begin with whsec_")
	}
	secret, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("what follows whsec_ is not base64")
	}
	if n := len(secret); n < minSecretBytes || n > maxSecretBytes {
		return nil, fmt.Errorf("got %d bytes, want %d to %d", n, minSecretBytes, maxSecretBytes)
	}
	return secret, nil
}
