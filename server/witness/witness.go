package witness

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/time/rate"
)

// Limits and defaults of a witness.
const (
	// MaxNameBytes is the longest name of a witness.
	MaxNameBytes = 255
	// MaxOriginBytes is the longest origin of a log.
	MaxOriginBytes = 255
	// MaxLogs is the largest number of logs.
	MaxLogs = 1000
	// MaxKeysPerLog is the largest number of keys of one log.
	MaxKeysPerLog = 8
	// DefaultRatePerSecond is how many correctly signed checkpoints of one log are considered per second; twice as many at
	// once. It is well above a log that publishes every 100 ms.
	DefaultRatePerSecond = 50
	// maxConcurrent bounds the requests in hand.
	maxConcurrent = 64
)

// Log is a log that is witnessed.
type Log struct {
	// Origin is the first line of its checkpoints.
	Origin string
	// VerifierKeys are its public keys as signed-note verifier keys (vkey), 1 to [MaxKeysPerLog]; their name is usually
	// the origin.
	VerifierKeys []string
}

// Config describes a witness.
type Config struct {
	// Name is the witness's name, as in its vkey.
	Name string
	// Key is its Ed25519 key, used for nothing else.
	Key ed25519.PrivateKey
	// Dir holds the state of each log, and a lock.
	Dir string
	// Logs are the logs that are witnessed, at most [MaxLogs].
	Logs []Log
	// RatePerSecond limits each log; 0 means [DefaultRatePerSecond].
	RatePerSecond float64
	// Logger receives a line for each refusal of a signed checkpoint. Required.
	Logger *slog.Logger
	// Clock gives cosignatures their time. Required.
	Clock func() time.Time
}

// Witness is an open witness. It is safe for concurrent use. Close it with [Witness.Close].
type Witness struct {
	cfg    Config
	signer cosigner
	logs   map[string]*witnessed
	slots  chan struct{}
	lock   *os.File
}

// witnessed is a log with the last tree that was cosigned.
type witnessed struct {
	keys    note.Verifiers
	limiter *rate.Limiter

	mu     sync.Mutex // held over checking, persisting and signing: they are one act
	last   head
	closed bool
}

// Open opens the witness in cfg.Dir and takes its lock. A log without a state is refused, see [Enrol].
func Open(cfg Config) (*Witness, error) {
	if cfg.RatePerSecond == 0 {
		cfg.RatePerSecond = DefaultRatePerSecond
	}
	signer, err := newCosigner(cfg.Name, cfg.Key)
	switch {
	case err != nil:
		return nil, err
	case cfg.Logger == nil || cfg.Clock == nil:
		return nil, errors.New("logger and clock are required")
	case cfg.RatePerSecond < 0:
		return nil, fmt.Errorf("rate: got %v per second, want more than 0", cfg.RatePerSecond)
	case len(cfg.Logs) > MaxLogs:
		return nil, fmt.Errorf("got %d logs, want at most %d", len(cfg.Logs), MaxLogs)
	}
	w := &Witness{cfg: cfg, signer: signer, logs: map[string]*witnessed{}, slots: make(chan struct{}, maxConcurrent)}
	if w.lock, err = lockDir(cfg.Dir); err != nil {
		return nil, err
	}
	for _, l := range cfg.Logs {
		if err := w.add(l); err != nil {
			w.lock.Close()
			return nil, err
		}
	}
	return w, nil
}

func (w *Witness) add(l Log) error {
	if err := validateOrigin(l.Origin); err != nil {
		return err
	}
	if _, ok := w.logs[l.Origin]; ok {
		return fmt.Errorf("log %q is listed twice", l.Origin)
	}
	if n := len(l.VerifierKeys); n < 1 || n > MaxKeysPerLog {
		return fmt.Errorf("log %q: got %d keys, want 1 to %d", l.Origin, n, MaxKeysPerLog)
	}
	var keys []note.Verifier
	for _, vkey := range l.VerifierKeys {
		v, err := note.NewVerifier(vkey)
		if err != nil {
			return fmt.Errorf("log %q: vkey %q: %w", l.Origin, vkey, err)
		}
		if slices.ContainsFunc(keys, func(k note.Verifier) bool { return k.Name() == v.Name() && k.KeyHash() == v.KeyHash() }) {
			return fmt.Errorf("log %q: vkey %q is listed twice", l.Origin, vkey)
		}
		keys = append(keys, v)
	}
	last, err := readState(w.cfg.Dir, l.Origin)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("log %q: %w", l.Origin, ErrNotEnrolled)
	}
	if err != nil {
		return err
	}
	w.logs[l.Origin] = &witnessed{keys: note.VerifierList(keys...), last: last,
		limiter: rate.NewLimiter(rate.Limit(w.cfg.RatePerSecond), max(1, int(2*w.cfg.RatePerSecond)))}
	return nil
}

// ErrNotEnrolled is returned for a log without a state: a new one, or one whose state was lost.
var ErrNotEnrolled = errors.New("no state of this log: enrol it if it is new; if it was witnessed before, its state was lost")

func validateOrigin(origin string) error {
	if origin == "" || len(origin) > MaxOriginBytes || strings.ContainsAny(origin, "\r\n") {
		return fmt.Errorf("origin: got %.64q, want one line of 1 to %d bytes", origin, MaxOriginBytes)
	}
	return nil
}

// VerifierKey returns the witness's vkey, for the policies of others.
func (w *Witness) VerifierKey() string { return w.signer.verifierKey() }

// Close ends the witness: nothing is cosigned after it, and another process may take over.
func (w *Witness) Close() error {
	for _, l := range w.logs {
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
	}
	return w.lock.Close()
}

// Refusal is why a checkpoint was not cosigned.
type Refusal struct {
	// Status is the HTTP status that https://c2sp.org/tlog-witness gives to the reason.
	Status int
	// Message says what was found.
	Message string
	// Size is the size of the latest tree that was cosigned, where Behind is set.
	Size uint64
	// Behind is set where the old size is not that of the latest tree that was cosigned. The caller may repeat the call
	// with a proof from Size.
	Behind bool
}

// Error returns the message.
func (r *Refusal) Error() string { return r.Message }

func refuse(status int, format string, args ...any) *Refusal {
	return &Refusal{Status: status, Message: fmt.Sprintf(format, args...)}
}

// AddCheckpoint considers the body of an add-checkpoint call and returns the signature line, or a [*Refusal].
func (w *Witness) AddCheckpoint(ctx context.Context, body []byte) ([]byte, error) {
	r, err := parseRequest(body)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "%v", err)
	}
	l, ok := w.logs[r.head.origin]
	if !ok {
		return nil, refuse(http.StatusNotFound, "unknown log")
	}
	n, err := note.Open(r.note, l.keys)
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &unverified) || errors.As(err, &invalid):
		return nil, refuse(http.StatusForbidden, "no valid signature of a key of this log")
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "the checkpoint is not a signed note")
	}
	// From here on the log answers for the request: only the holder of its key gets so far.
	if !l.limiter.AllowN(w.cfg.Clock(), 1) {
		return nil, refuse(http.StatusTooManyRequests, "more than %v checkpoints per second", w.cfg.RatePerSecond)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.judge(r); err != nil {
		w.report(ctx, l.last, r, err)
		return nil, err
	}
	line, err := w.signer.cosign(n.Text, w.cfg.Clock())
	if err != nil {
		return nil, refuse(http.StatusInternalServerError, "%v", err)
	}
	if r.head == l.last {
		return line, nil
	}
	if err := writeState(w.cfg.Dir, r.head); err != nil {
		// The new state may be on disk or not. Both are true: nothing was cosigned yet.
		w.cfg.Logger.LogAttrs(ctx, slog.LevelError, "state not written", slog.String("log", r.head.origin), slog.Any("error", err))
		return nil, refuse(http.StatusInternalServerError, "the state cannot be written")
	}
	l.last = r.head
	return line, nil
}

// judge applies the rules of the specification, in its order.
func (l *witnessed) judge(r request) *Refusal {
	if l.closed {
		return refuse(http.StatusServiceUnavailable, "the witness is closed")
	}
	if r.old > r.head.size {
		return refuse(http.StatusBadRequest, "old size %d is larger than the checkpoint's %d", r.old, r.head.size)
	}
	if r.old != l.last.size {
		no := refuse(http.StatusConflict, "old size %d, but a tree of %d was cosigned", r.old, l.last.size)
		no.Behind, no.Size = true, l.last.size
		return no
	}
	if r.old == r.head.size && r.head.root != l.last.root {
		return refuse(http.StatusConflict, "another root was cosigned for the size %d", r.old)
	}
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, r.old, r.head.size, r.proof, l.last.root[:], r.head.root[:]); err != nil {
		return refuse(http.StatusUnprocessableEntity, "the tree of %d is not shown to grow from that of %d", r.head.size, r.old)
	}
	return nil
}

// report logs a refusal of what a log has signed. Where the trees contradict each other, the line holds the signed
// checkpoint: it may be proof that the log forked.
func (w *Witness) report(ctx context.Context, last head, r request, no *Refusal) {
	attrs := []slog.Attr{slog.String("log", last.origin), slog.String("reason", no.Message), slog.Int("status", no.Status),
		slog.Uint64("cosigned", last.size)}
	level := slog.LevelInfo
	if no.Behind {
		level = slog.LevelDebug // how a log asks for the size
	} else if no.Status == http.StatusConflict || no.Status == http.StatusUnprocessableEntity {
		level = slog.LevelError
		attrs = append(attrs, slog.String("cosigned_root", fmt.Sprintf("%x", last.root)), slog.String("checkpoint", string(r.note)))
	}
	w.cfg.Logger.LogAttrs(ctx, level, "checkpoint not cosigned", attrs...)
}
