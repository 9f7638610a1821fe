package follow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Outage is why something could not be checked: nobody answers, or not with what was asked for. It says nothing about
// whether the log is honest.
type Outage struct {
	// Path is what was asked for.
	Path string
	// Reason is what happened.
	Reason string
	// Err is the cause, if there is one.
	Err error
	// After is the least pause that the server asks for before the next try (Retry-After); 0 if it asks for none.
	After time.Duration
}

func (o *Outage) Error() string {
	if o.Err != nil {
		return o.Path + ": " + o.Reason + ": " + o.Err.Error()
	}
	return o.Path + ": " + o.Reason
}

// Unwrap returns the cause.
func (o *Outage) Unwrap() error { return o.Err }

// Client reads what a service publishes.
type Client struct {
	// Base is the address of the service's HTTP port. Required; see [ParseServerURL].
	Base *url.URL
	// Prefix comes before the paths of the log's checkpoint and tiles; empty for the statement log.
	Prefix string
	// Transport makes the requests. Required.
	Transport http.RoundTripper
	// Sleep waits between tries. Required.
	Sleep func(context.Context, time.Duration) error
	// Notify is told before each pause. May be nil.
	Notify func(cause error, pause time.Duration)
}

// ParseServerURL accepts https addresses, and http ones of this machine.
func ParseServerURL(s string) (*url.URL, error) {
	u, err := ParseWebhookURL(s)
	if err == nil && u.RawQuery != "" {
		err = fmt.Errorf("%.200q is not of the form https://HOST[:PORT][/PATH]", s)
	}
	if err != nil {
		return nil, err
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

// ParseWebhookURL is ParseServerURL for an address that may have a query.
func ParseWebhookURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, err
	case u.Host == "" || u.User != nil || u.Fragment != "":
		return nil, fmt.Errorf("%.200q is not of the form https://HOST[:PORT][/PATH]", s)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, fmt.Errorf("%.200q is without TLS, which is for this machine alone", s)
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("%.200q does not begin with https://", s)
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Answer is what came back: 200, or 404, which is an answer too.
type Answer struct {
	Status int
	Body   []byte
}

// get asks until there is an answer of at most limit bytes. Redirects are not followed: nobody but the operator of the
// monitor says whom it asks. The error is *Outage.
func (c *Client) get(ctx context.Context, path string, limit int) (Answer, error) {
	pause := firstPause
	for try := 1; ; try++ {
		a, err := c.try(ctx, path, limit)
		if err == nil {
			return a, nil
		}
		if try == maxTries || ctx.Err() != nil {
			return Answer{}, err
		}
		wait := pause
		var o *Outage
		if errors.As(err, &o) {
			wait = max(wait, o.After)
		}
		if c.Notify != nil {
			c.Notify(err, wait)
		}
		if c.Sleep(ctx, wait) != nil {
			return Answer{}, err // the reason says more than that time was up
		}
		pause *= 2
	}
}

// retryAfter reads the seconds of a Retry-After header (RFC 9110, 10.2.3). A date, and what is none of both, ask for nothing; more than
// maxRetryAfter is asked for in vain.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.ParseUint(h.Get("Retry-After"), 10, 32)
	if err != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxRetryAfter)
}

func (c *Client) try(ctx context.Context, path string, limit int) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Base.String()+path, nil)
	if err != nil {
		return Answer{}, &Outage{Path: path, Reason: "no request", Err: err}
	}
	resp, err := c.Transport.RoundTrip(req) // below http.Client: no redirects, no cookies
	if err != nil {
		return Answer{}, &Outage{Path: path, Reason: "no answer", Err: err}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNotFound {
		return Answer{}, &Outage{Path: path, Reason: "the answer is " + resp.Status, After: retryAfter(resp.Header)}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(limit)+1))
	switch {
	case err != nil:
		return Answer{}, &Outage{Path: path, Reason: "the answer breaks off", Err: err}
	case len(body) > limit:
		return Answer{}, &Outage{Path: path, Reason: fmt.Sprintf("the answer has more than %d bytes", limit)}
	}
	return Answer{resp.StatusCode, body}, nil
}

// need is get for what must be there.
func (c *Client) need(ctx context.Context, path string, limit int) ([]byte, error) {
	a, err := c.get(ctx, path, limit)
	if err == nil && a.Status != http.StatusOK {
		err = &Outage{Path: path, Reason: "it is not there"}
	}
	return a.Body, err
}

// Checkpoint asks for the log's checkpoint and verifies it. What no log of the trusted root signed may come from
// anybody on the way: that is an outage.
func (c *Client) Checkpoint(ctx context.Context, logs *Logs) (*Head, error) {
	raw, err := c.need(ctx, c.Prefix+"/checkpoint", maxCheckpointBytes)
	if err != nil {
		return nil, err
	}
	h, err := logs.Open(raw)
	if err != nil {
		return nil, &Outage{Path: c.Prefix + "/checkpoint", Reason: "the answer is not a checkpoint of a log whose key was given", Err: err}
	}
	return h, nil
}

// Statement asks for the statement of an entry. A statement is stored a moment after its entry is in the tree, so what
// is not there is asked for again; if it stays away, the answer is returned with missing set.
func (c *Client) Statement(ctx context.Context, index uint64, limit int) (a Answer, missing bool, err error) {
	path := fmt.Sprintf("/statements/by-index/%d", index)
	pause := firstPause
	for try := 1; ; try++ {
		a, err = c.get(ctx, path, limit)
		switch {
		case err != nil:
			return a, false, err
		case a.Status == http.StatusOK:
			return a, false, nil
		case notOffered(a.Body):
			return a, false, &Outage{Path: path, Reason: "the service does not tell statements by log index", Err: errors.ErrUnsupported}
		case try == maxTries-1:
			return a, true, nil
		}
		if err := c.Sleep(ctx, pause); err != nil {
			return a, false, &Outage{Path: path, Reason: "interrupted", Err: err}
		}
		pause *= 2
	}
}

// notOffered reports whether a refusal says that the service knows no such path.
func notOffered(body []byte) bool {
	var status struct {
		Details []struct {
			Reason string `json:"reason"`
		} `json:"details"`
	}
	if json.Unmarshal(body, &status) != nil {
		return false
	}
	for _, d := range status.Details {
		if d.Reason == "ROUTE_UNKNOWN" {
			return true
		}
	}
	return false
}
