package webhook

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Poster sends messages. Its zero value is ready.
type Poster struct {
	// Transport makes the requests; nil means one that asks no proxy but the environment's.
	Transport http.RoundTripper
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Timeout is how long one request may take, its answer included; 0 means 15 seconds.
	Timeout time.Duration
}

// refused says that a message was not taken. It does not hold the address.
type refused struct {
	what  string
	after time.Duration // that the receiver asks to be left alone
}

// Error says why, without the address.
func (r *refused) Error() string { return r.what }

// Post sends a message once. An error says why it was not taken, and never names the address.
func (p *Poster) Post(ctx context.Context, e *Endpoint, m *Message) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(p.Timeout, tryTime))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL.String(), bytes.NewReader(m.Body))
	if err != nil {
		return &refused{what: "the request cannot be made"}
	}
	now := time.Now
	if p.Now != nil {
		now = p.Now
	}
	at := now()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "avowd")
	req.Header.Set("webhook-id", m.ID)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	req.Header.Set("webhook-signature", sign(e.Secret, m, at))
	client := &http.Client{Transport: p.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		var named *url.Error // which repeats the address
		if errors.As(err, &named) {
			err = named.Err
		}
		return &refused{what: err.Error()}
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswerBytes)) // so that the connection can be used again
	if resp.StatusCode/100 == 2 {
		return nil
	}
	r := &refused{what: fmt.Sprintf("the answer is HTTP %d", resp.StatusCode)}
	if s, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 16); err == nil {
		r.after = min(time.Duration(s)*time.Second, maxPause) // #nosec G115 -- 16 bits
	}
	return r
}
