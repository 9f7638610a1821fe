package follow

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"
)

// TestRetryAfter: a server that asks for a longer pause gets it, within reason, and one that asks for none gets the client's own.
func TestRetryAfter(t *testing.T) {
	asks := []string{"7", "", "tomorrow", "4000000000"}
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n < len(asks) {
			w.Header().Set("Retry-After", asks[n])
			w.WriteHeader(http.StatusTooManyRequests)
		}
		n++
	}))
	defer server.Close()
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	var slept []time.Duration
	c := &Client{Base: base, Transport: http.DefaultTransport, Sleep: func(_ context.Context, d time.Duration) error {
		slept = append(slept, d)
		return nil
	}}
	if _, err := c.get(t.Context(), "/checkpoint", 10); err != nil {
		t.Fatal(err)
	}
	if want := []time.Duration{7 * time.Second, 2 * firstPause, 4 * firstPause, maxRetryAfter}; !slices.Equal(slept, want) {
		t.Errorf("slept %v, want %v", slept, want)
	}
}
