package follow

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestWebhook: the finding arrives as JSON, a failing receiver is tried again, and a redirect is not followed.
func TestWebhook(t *testing.T) {
	for name, c := range map[string]struct {
		answers []int
		ok      bool
	}{
		"taken": {[]int{204}, true}, "taken at last": {[]int{500, 429, 200}, true},
		"redirect": {[]int{307, 307, 307, 307, 307}, false}, "refused": {[]int{400, 400, 400, 400, 400}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				body := must(io.ReadAll(r.Body))(t)
				got = append(got, r.Method+" "+r.URL.String()+" "+string(body))
				rw.Header().Set("Location", "/elsewhere")
				rw.WriteHeader(c.answers[len(got)-1])
			}))
			defer server.Close()
			h := &Webhook{URL: must(ParseWebhookURL(server.URL + "/hook?token=1"))(t), Transport: http.DefaultTransport, Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
			err := h.Send(context.Background(), Finding{Code: CodeFork, Class: Misbehaviour, Detail: "d"})
			if (err == nil) != c.ok || len(got) != len(c.answers) {
				t.Fatalf("%v after %d tries: %q", err, len(got), got)
			}
			want := `POST /hook?token=1 {"code":"fork","class":"misbehaviour","origin":"","treeSize":0,"detail":"d"}`
			if got[len(got)-1] != want {
				t.Errorf("got %s", got[len(got)-1])
			}
		})
	}
}
