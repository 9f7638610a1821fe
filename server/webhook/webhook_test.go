package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/internal/deptest"
)

func TestDependencies(t *testing.T) {
	const module = "github.com/avow-dev/avow/"
	deptest.Forbid(t, map[string]string{module + "server/tlog": "events are handed in", module + "server/statements": "events are handed in",
		module + "cmd": "nobody imports a command", "cel.dev/cel-go": "nothing is judged here"})
}

const secretText = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // of the convention's own examples

// receiver takes messages, or does what the test says.
type receiver struct {
	t *testing.T
	*httptest.Server
	mu      sync.Mutex
	answers []int // before it takes what comes
	got     []received
}

type received struct {
	id   string
	data *avowv1.StatementEvent
	typ  string
}

func newReceiver(t *testing.T, answers ...int) *receiver {
	r := &receiver{t: t, answers: answers}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// ServeHTTP checks the signature as the convention says a receiver does, by itself.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	secret, err2 := base64.StdEncoding.DecodeString(strings.TrimPrefix(secretText, "whsec_"))
	if err != nil || err2 != nil {
		r.t.Error(err, err2)
	}
	id := req.Header.Get("webhook-id")
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.%s", id, req.Header.Get("webhook-timestamp"), body)
	if got := req.Header.Get("webhook-signature"); got != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
		r.t.Errorf("signature %q", got)
	}
	var m struct {
		Type string
		Data struct{ LogIndex string }
	}
	if err := json.Unmarshal(body, &m); err != nil {
		r.t.Error(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.answers) > 0 {
		answer := r.answers[0]
		r.answers = r.answers[1:]
		w.Header().Set("Location", r.URL+"/elsewhere")
		w.WriteHeader(answer)
		fmt.Fprint(w, strings.Repeat("x", 1<<14)) // more than is read
		return
	}
	if req.URL.Path != "/hook" {
		r.t.Errorf("%s was called", req.URL.Path)
	}
	r.got = append(r.got, received{id: id, typ: m.Type, data: &avowv1.StatementEvent{StatementId: m.Data.LogIndex}})
}

func (r *receiver) indices() (got []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.got {
		got = append(got, g.data.GetStatementId())
	}
	return got
}

// source tells of entries from where it is asked to, and then that there are no more.
func source(size uint64, done context.CancelFunc) func(context.Context, *avowv1.WatchRequest, func(*avowv1.WatchResponse) error) error {
	return func(ctx context.Context, req *avowv1.WatchRequest, send func(*avowv1.WatchResponse) error) error {
		progress := func(n uint64) error {
			return send(&avowv1.WatchResponse{Event: &avowv1.WatchResponse_Progress{Progress: &avowv1.WatchProgress{NextLogIndex: n}}})
		}
		if err := progress(req.GetFromLogIndex()); err != nil {
			return err
		}
		for n := req.GetFromLogIndex(); n < size; n++ {
			e := &avowv1.StatementEvent{LogIndex: n, StatementId: fmt.Sprintf("sha256:%064x", n)}
			if err := send(&avowv1.WatchResponse{Event: &avowv1.WatchResponse_Statement{Statement: e}}); err != nil {
				return err
			}
		}
		if err := progress(size); err != nil {
			return err
		}
		done()
		<-ctx.Done()
		return ctx.Err()
	}
}

// tell runs a teller over a log of a size until all was told.
func tell(t *testing.T, r *receiver, state string, size uint64, change func(*Config)) (slept []time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	u, err := ParseURL(r.URL + "/hook")
	if err != nil {
		t.Fatal(err)
	}
	secret, err := ParseSecret([]byte(secretText + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	cfg := Config{Origin: "log.example", State: state, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Watch: source(size, cancel),
		Endpoints: []Endpoint{{Name: "siem", URL: u, Secret: secret, Filter: &avowv1.WatchRequest{}}},
		Poster:    Poster{Now: func() time.Time { return now }},
		Sleep: func(ctx context.Context, d time.Duration) error {
			slept = append(slept, d)
			now = now.Add(d)
			return ctx.Err()
		}}
	if change != nil {
		change(&cfg)
	}
	teller, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	teller.Run(ctx)
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Fatal("not everything was told")
	}
	return slept
}

// TestInOrderAndResumed: events come in order, each is signed, and after a restart the next one is told.
func TestInOrderAndResumed(t *testing.T) {
	r, state := newReceiver(t), t.TempDir()
	tell(t, r, state, 3, nil)
	if got := r.indices(); !slices.Equal(got, []string{"0", "1", "2"}) || r.got[0].typ != TypeStatement || !strings.HasPrefix(r.got[0].id, "evt_") {
		t.Fatalf("told %v", got)
	}
	tell(t, r, state, 5, nil)
	if got := r.indices(); !slices.Equal(got, []string{"0", "1", "2", "3", "4"}) {
		t.Errorf("after a restart: %v", got)
	}
	first := r.got[0].id
	tell(t, r, t.TempDir(), 1, nil)
	if again := r.got[5].id; again != first || first == r.got[1].id {
		t.Errorf("ids %s and %s for one event", first, again)
	}
}

// TestTriedAgain: what is not taken, redirects included, is sent again with growing pauses, before anything else.
func TestTriedAgain(t *testing.T) {
	r := newReceiver(t, 500, 302, 404, 429)
	slept := tell(t, r, t.TempDir(), 2, nil)
	if got := r.indices(); !slices.Equal(got, []string{"0", "1"}) || len(slept) != 4 {
		t.Fatalf("told %v after %v", got, slept)
	}
	for n, pause := range slept {
		if most := firstPause << n; pause < most/2 || pause > most {
			t.Errorf("pause %d is %s", n, pause)
		}
	}
}

// TestReceiverComesBack: nobody listening is no reason to leave an event out.
func TestReceiverComesBack(t *testing.T) {
	r := newReceiver(t)
	down := errors.New("down")
	tries := 0
	tell(t, r, t.TempDir(), 1, func(c *Config) {
		c.Poster.Transport = roundTrip(func(req *http.Request) (*http.Response, error) {
			if tries++; tries < 4 {
				return nil, down
			}
			return http.DefaultTransport.RoundTrip(req)
		})
	})
	if got := r.indices(); !slices.Equal(got, []string{"0"}) || tries != 4 {
		t.Errorf("told %v after %d tries", got, tries)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestDeadLetter: an event that is never taken is kept as a file, and the next one is told.
func TestDeadLetter(t *testing.T) {
	r, state := newReceiver(t, slices.Repeat([]int{503}, 250)...), t.TempDir()
	count := 0
	tell(t, r, state, 2, func(c *Config) {
		inner := c.Sleep
		c.Sleep = func(ctx context.Context, d time.Duration) error {
			if count++; d > maxPause {
				t.Errorf("a pause of %s", d)
			}
			return inner(ctx, d)
		}
	})
	f, err := FilesOf(state, "siem")
	if err != nil {
		t.Fatal(err)
	}
	dead, err := f.Dead()
	if err != nil || len(dead) == 0 {
		t.Fatalf("%v: %d dead letters", err, len(dead))
	}
	l, err := f.Letter(dead[0])
	if err != nil || l.ID != dead[0] || l.Error != "the answer is HTTP 503" || l.Tries < 10 || !strings.Contains(string(l.Body), TypeStatement) {
		t.Errorf("%v: %+v", err, l)
	}
	if _, err := f.Letter("../cursor"); err == nil {
		t.Error("a path is taken for a name")
	}
	if err := f.Remove(dead[0]); err != nil {
		t.Error(err)
	}
}

// TestTimeout: a receiver that takes a message and does not answer is tried again like one that refuses it, and what it never answers
// becomes a dead letter. One that answers and then goes on for ever has taken it.
func TestTimeout(t *testing.T) {
	var calls, hang atomic.Int32
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		if calls.Add(1) > hang.Load() {
			w.WriteHeader(http.StatusAccepted)
			_ = http.NewResponseController(w).Flush()
		}
		<-req.Context().Done() // the caller gives up
	}))
	defer slow.Close()
	hang.Store(3)
	short := func(c *Config) { c.Poster.Timeout = 50 * time.Millisecond }
	if slept := tell(t, &receiver{t: t, Server: slow}, t.TempDir(), 1, short); len(slept) != 3 || calls.Load() != 4 {
		t.Errorf("%d calls, pauses %v", calls.Load(), slept)
	}
	state := t.TempDir()
	hang.Store(1 << 20)
	tell(t, &receiver{t: t, Server: slow}, state, 1, func(c *Config) { c.Poster.Timeout = 5 * time.Millisecond })
	f, err := FilesOf(state, "siem")
	if err != nil {
		t.Fatal(err)
	}
	dead, err := f.Dead()
	if err != nil || len(dead) != 1 {
		t.Fatalf("%v: %d dead letters, want 1", err, len(dead))
	}
	l, err := f.Letter(dead[0])
	if err != nil || !strings.Contains(l.Error, "deadline exceeded") || l.Tries < 48 || !strings.Contains(string(l.Body), TypeStatement) {
		t.Errorf("%v: given up after %d tries: %s", err, l.Tries, l.Error)
	}
	if next, known, err := f.Next(); err != nil || !known || next != 1 {
		t.Errorf("told up to %d, %v, %v", next, known, err)
	}
}

// TestPost: an error does not repeat an address, which can be a secret.
func TestPost(t *testing.T) {
	u, err := ParseURL("http://127.0.0.1:1/secret-path")
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewTest(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	err = (&Poster{}).Post(t.Context(), &Endpoint{Name: "x", URL: u, Secret: make([]byte, 32)}, &m)
	if err == nil || strings.Contains(err.Error(), "secret-path") {
		t.Errorf("%v", err)
	}
}

// TestConfig: addresses beyond this machine need TLS, secrets their form, names are file names.
func TestConfig(t *testing.T) {
	for _, bad := range []string{"http://siem.example/", "http://localhost/", "ftp://siem.example", "https://user@siem.example", "https:///x", "siem.example", "https://x/#y"} {
		if _, err := ParseURL(bad); err == nil || strings.Contains(err.Error(), "siem") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	for _, good := range []string{"https://siem.example/hook?token=1", "http://127.0.0.1:8080/", "http://[::1]:1/"} {
		if _, err := ParseURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "whsec_", "whsec_!!", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + strings.Repeat("A", 100)} {
		if _, err := ParseSecret([]byte(bad)); err == nil {
			t.Errorf("the secret %q is taken", bad)
		}
	}
	u, _ := ParseURL("https://siem.example")
	good := Endpoint{Name: "a", URL: u, Secret: make([]byte, 32), Filter: &avowv1.WatchRequest{}}
	for what, change := range map[string]func(*Endpoint){"name": func(e *Endpoint) { e.Name = "../a" }, "secret": func(e *Endpoint) { e.Secret = nil },
		"address": func(e *Endpoint) { e.URL = nil }} {
		e := good
		change(&e)
		if e.validate() == nil {
			t.Errorf("a bad %s is taken", what)
		}
	}
	cfg := Config{Origin: "o", State: t.TempDir(), Watch: source(0, func() {}), Logger: slog.Default(), Endpoints: []Endpoint{good, good}}
	if _, err := New(cfg); err == nil {
		t.Error("two endpoints of one name are taken")
	}
}

// TestSign is the convention's own example.
func TestSign(t *testing.T) {
	secret, err := ParseSecret([]byte(secretText))
	if err != nil {
		t.Fatal(err)
	}
	m := &Message{ID: "msg_p5jXN8AQM9LWM0D4loKWxJek", Body: []byte(`{"test": 2432232314}`)}
	if got := sign(secret, m, time.Unix(1614265330, 0)); got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("got %s", got)
	}
}
