package tlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/transparency-dev/tessera"
	"golang.org/x/mod/sumdb/note"
)

// maxWitnessAnswer is the largest answer that is read from a witness: a few signature lines.
const maxWitnessAnswer = 16 << 10

// Witnesses are the witnesses of a log, as the log sees them: how to ask them, and which of them answer. It is a
// [http.RoundTripper] for Tessera, which does the asking (https://c2sp.org/tlog-witness) and counts cosignatures; what
// passes through here is checked first, so that no answer of a stranger gets any further, and remembered.
//
// Witnesses are not trusted: a wrong answer is no cosignature, a slow one is not waited for, a large one is cut. The
// methods with a nil receiver are those of a log without witnesses.
type Witnesses struct {
	policy  policy
	timeout time.Duration
	logger  *slog.Logger
	clock   func() time.Time
	base    *http.Transport
	// life ends the exchanges that outlive the round that began them.
	life context.Context
	end  context.CancelFunc

	byURL     map[string]*asked
	answering *prometheus.GaugeVec
	requests  *prometheus.CounterVec
}

// asked is one witness.
type asked struct {
	witness tessera.Witness

	mu        sync.Mutex
	busy      bool
	outcome   outcome // of the last exchange
	since     time.Time
	reason    string
	conflicts int // in a row
}

// outcome is how an exchange with a witness ended; a metric label.
type outcome string

const (
	outcomeNone     outcome = ""         // not asked yet
	outcomeCosigned outcome = "cosigned" // a cosignature that verifies
	outcomeBehind   outcome = "behind"   // it knows another size and says which; to be asked again
	outcomeSilent   outcome = "silent"   // no answer in time
	outcomeRefused  outcome = "refused"  // it does not cosign
	outcomeInvalid  outcome = "invalid"  // its answer is not one
	outcomeDisputed outcome = "disputed" // it has cosigned a tree that this log does not have
)

func outcomes() []outcome {
	return []outcome{outcomeCosigned, outcomeBehind, outcomeSilent, outcomeRefused, outcomeInvalid, outcomeDisputed}
}

// good reports whether a witness with this last outcome may be counted on.
func (o outcome) good() bool { return o == outcomeNone || o == outcomeCosigned || o == outcomeBehind }

// NewWitnesses reads the policy of a configuration; without one it returns nil. The witnesses' URLs are https, or http on
// this machine; their names and keys are distinct; the quorum needs at least one of them. A driver's package calls it,
// gives the client to Tessera's driver, and closes it when the log's storage is released.
func NewWitnesses(ctx context.Context, cfg Config) (*Witnesses, error) {
	if len(cfg.WitnessPolicy) == 0 {
		return nil, nil
	}
	cfg = cfg.WithDefaults()
	p, err := parsePolicy(cfg.WitnessPolicy)
	if err != nil {
		return nil, &Error{Code: CodeInvalidConfig, Message: fmt.Sprintf("witness policy: %v", err)}
	}
	w := &Witnesses{policy: p, timeout: cfg.WitnessTimeout, logger: cfg.Logger, clock: cfg.Clock, byURL: map[string]*asked{},
		base: &http.Transport{Proxy: http.ProxyFromEnvironment, MaxResponseHeaderBytes: maxWitnessAnswer, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute},
		answering: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "avow_log_witness_answering",
			Help: "1 if the witness cosigned when it was last asked, or was not asked yet."}, []string{"witness"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "avow_log_witness_requests_total",
			Help: "Requests to witnesses, by outcome."}, []string{"witness", "outcome"}),
	}
	w.life, w.end = context.WithCancel(context.WithoutCancel(ctx))
	for _, x := range p.witnesses {
		w.byURL[x.URL] = &asked{witness: x}
		w.answering.WithLabelValues(x.Key.Name()).Set(1)
		for _, o := range outcomes() {
			w.requests.WithLabelValues(x.Key.Name(), string(o))
		}
	}
	return w, nil
}

// Client returns the HTTP client for Tessera's driver. Without witnesses it connects to nothing.
func (w *Witnesses) Client() *http.Client { return &http.Client{Transport: w} }

// Close ends all exchanges.
func (w *Witnesses) Close() {
	if w != nil {
		w.end()
		w.base.CloseIdleConnections()
	}
}

// satisfied reports whether the cosignatures of a checkpoint are a quorum.
func (w *Witnesses) satisfied(checkpoint []byte) bool {
	return w == nil || w.policy.group.Satisfied(checkpoint)
}

// rounds is the number of intervals that a round may take.
func (w *Witnesses) rounds(interval time.Duration) int {
	if w == nil {
		return 0
	}
	return int(w.timeout/interval) + 1
}

func (w *Witnesses) collectors() []prometheus.Collector {
	if w == nil {
		return nil
	}
	return []prometheus.Collector{w.answering, w.requests}
}

// answer is what an exchange brought.
type answer struct {
	outcome outcome
	reason  string // if the outcome is not good
	status  int
	kind    string // content type
	body    []byte
}

// RoundTrip asks a witness of the policy, and returns an answer only if Tessera can use it: a cosignature that verifies,
// or the size at which to ask again. Redirects are not followed.
//
// Tessera ends a round when it has a quorum. The exchange goes on until its own timeout: a witness that is only slower
// than the others gets the checkpoint all the same, and one that is dead is noticed. Until then it is not asked again.
func (w *Witnesses) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		body, err = io.ReadAll(req.Body)
		if err = errors.Join(err, req.Body.Close()); err != nil {
			return nil, err
		}
	}
	if w == nil || w.byURL[req.URL.String()] == nil {
		return nil, errors.New("not the URL of a witness of the policy")
	}
	x := w.byURL[req.URL.String()]
	if !x.begin() {
		return nil, fmt.Errorf("witness %q has not answered the last request yet", x.witness.Key.Name())
	}
	done := make(chan answer, 1)
	go func() {
		ctx, cancel := context.WithTimeout(w.life, w.timeout)
		defer cancel()
		a := w.ask(ctx, x.witness, body)
		w.remember(ctx, x, &a)
		done <- a
	}()
	select {
	case <-req.Context().Done():
		return nil, req.Context().Err()
	case a := <-done:
		if !a.outcome.good() {
			return nil, fmt.Errorf("witness %q %s", x.witness.Key.Name(), a.reason)
		}
		return &http.Response{Status: http.StatusText(a.status), StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"Content-Type": {a.kind}}, Body: io.NopCloser(bytes.NewReader(a.body)),
			ContentLength: int64(len(a.body)), Request: req}, nil
	}
}

func (x *asked) begin() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.busy {
		return false
	}
	x.busy = true
	return true
}

// ask posts a request and judges the answer.
func (w *Witnesses) ask(ctx context.Context, x tessera.Witness, body []byte) answer {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, x.URL, bytes.NewReader(body))
	if err != nil {
		return answer{outcome: outcomeSilent, reason: "cannot be asked"}
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := w.base.RoundTrip(req)
	if err != nil {
		return answer{outcome: outcomeSilent, reason: w.silence(err)}
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(io.LimitReader(resp.Body, maxWitnessAnswer+1))
	if err != nil {
		return answer{outcome: outcomeSilent, reason: w.silence(err)}
	}
	a := answer{status: resp.StatusCode, kind: resp.Header.Get("Content-Type"), body: got}
	_, checkpoint, _ := bytes.Cut(body, []byte("\n\n"))
	a.judge(x.Key, checkpoint)
	return a
}

// silence says why there was no answer, without the addresses and paths that the error may hold.
func (w *Witnesses) silence(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("did not answer within %v", w.timeout)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refuses connections"
	}
	return "cannot be reached"
}

// judge decides what an answer is worth.
func (a *answer) judge(key note.Verifier, checkpoint []byte) {
	switch {
	case len(a.body) > maxWitnessAnswer:
		a.outcome, a.reason = outcomeInvalid, fmt.Sprintf("answers with more than %d bytes", maxWitnessAnswer)
	case a.status == http.StatusOK:
		a.outcome = outcomeCosigned
		text, _, _ := bytes.Cut(checkpoint, []byte("\n\n"))
		n, err := note.Open(append(bytes.Clone(checkpoint), a.body...), note.VerifierList(key))
		// An answer with an empty line in it would make everything before that a part of the text. Its signature would end
		// up in the checkpoint, where it is invalid, and spoil it for verifiers that know the key.
		if err != nil || n.Text != string(text)+"\n" {
			a.outcome, a.reason = outcomeInvalid, "answers with something else than its cosignature of this checkpoint"
		}
	case a.status == http.StatusConflict && a.kind == "text/x.tlog.size":
		a.judgeSize(checkpoint)
	case a.status == http.StatusConflict:
		a.outcome, a.reason = outcomeDisputed, "has cosigned another tree of the same size"
	case a.status == http.StatusUnprocessableEntity:
		a.outcome, a.reason = outcomeDisputed, "has cosigned a tree that is not a beginning of this one"
	case a.status == http.StatusNotFound:
		a.outcome, a.reason = outcomeRefused, "does not know this log"
	case a.status == http.StatusForbidden:
		a.outcome, a.reason = outcomeRefused, "does not know the key of this log"
	default:
		a.outcome, a.reason = outcomeRefused, fmt.Sprintf("answers with status %d", a.status)
	}
}

// judgeSize looks at the size that a witness says it has cosigned.
func (a *answer) judgeSize(checkpoint []byte) {
	lines := strings.SplitN(string(checkpoint), "\n", 3)
	size, err := strconv.ParseUint(strings.TrimSpace(string(a.body)), 10, 64)
	if err != nil || len(lines) < 3 {
		a.outcome, a.reason = outcomeInvalid, "answers with a conflict, but not with a size"
		return
	}
	own, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil || size > own {
		a.outcome, a.reason = outcomeDisputed, fmt.Sprintf("has cosigned a tree of %d, larger than this log's %d", size, own)
		return
	}
	a.outcome = outcomeBehind
}

// maxConflicts is how often in a row a witness may name another size: more than one has a reason only if something else
// asks it about the same log.
const maxConflicts = 3

// remember keeps the outcome, and logs one line when a witness begins or ceases to be of use. An exchange that Close ended
// says nothing about the witness.
func (w *Witnesses) remember(ctx context.Context, x *asked, a *answer) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.busy = false
	if w.life.Err() != nil {
		return
	}
	if x.conflicts++; x.conflicts > maxConflicts && a.outcome == outcomeBehind {
		a.outcome, a.reason = outcomeInvalid, "names another size each time"
	}
	if a.outcome != outcomeBehind {
		x.conflicts = 0 // it may have one again in the next round
	}
	name := x.witness.Key.Name()
	w.requests.WithLabelValues(name, string(a.outcome)).Inc()
	if a.outcome == outcomeBehind {
		return // half an exchange: the other half tells whether it cosigns
	}
	was := x.outcome
	x.outcome, x.reason = a.outcome, a.reason
	if was.good() && !a.outcome.good() {
		x.since = w.clock()
	}
	w.answering.WithLabelValues(name).Set(0)
	if a.outcome.good() {
		w.answering.WithLabelValues(name).Set(1)
	}
	attrs := []slog.Attr{slog.String("witness", name)}
	switch {
	case a.outcome.good() && !was.good():
		w.logger.LogAttrs(ctx, slog.LevelInfo, "witness answers again", attrs...)
	case a.outcome == outcomeDisputed && was != outcomeDisputed:
		w.logger.LogAttrs(ctx, slog.LevelError, "witness disputes this log", append(attrs, slog.String("reason", a.reason))...)
	case !a.outcome.good() && was.good():
		w.logger.LogAttrs(ctx, slog.LevelWarn, "witness does not cosign", append(attrs, slog.String("reason", a.reason))...)
	}
}

// complaint says which witnesses do not cosign, why and since when, if the others are no quorum; otherwise it is empty.
func (w *Witnesses) complaint() string {
	if w == nil {
		return ""
	}
	var bad []string
	can := map[string]bool{}
	for _, x := range w.policy.witnesses {
		a := w.byURL[x.URL]
		a.mu.Lock()
		if can[x.URL] = a.outcome.good(); !can[x.URL] {
			bad = append(bad, fmt.Sprintf("%s %s (since %s)", x.Key.Name(), a.reason, a.since.UTC().Format(time.RFC3339)))
		}
		a.mu.Unlock()
	}
	if satisfiable(w.policy.group, func(url string) bool { return can[url] }) {
		return ""
	}
	return fmt.Sprintf("too few of %d witnesses cosign: %s", len(w.policy.witnesses), strings.Join(bad, ", "))
}
