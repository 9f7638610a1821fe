package follow

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Webhook tells findings to an address that the operator of the monitor gave.
type Webhook struct {
	// URL is where to. Transport makes the requests, Sleep waits between tries. Required.
	URL       *url.URL
	Transport http.RoundTripper
	Sleep     func(context.Context, time.Duration) error
}

// Send posts a finding as JSON. Any 2xx answer will do; its body is not read and redirects are not followed.
func (w *Webhook) Send(ctx context.Context, f Finding) error {
	body, err := json.Marshal(f)
	if err != nil {
		return err
	}
	pause := firstPause
	for try := 1; ; try++ {
		err = w.post(ctx, body)
		if err == nil || try == maxTries {
			return err
		}
		if w.Sleep(ctx, pause) != nil {
			return err
		}
		pause *= 2
	}
}

func (w *Webhook) post(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.Transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("webhook: the answer is %s", resp.Status)
	}
	return nil
}
