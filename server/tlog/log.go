package tlog

import (
	"context"
	"crypto/ed25519"
	"sync"
	"sync/atomic"
	"time"

	"github.com/transparency-dev/tessera"
)

// Log is an open log. It is safe for concurrent use. Close it with [Log.Close].
type Log struct {
	cfg     Config
	id      identity
	public  ed25519.PublicKey
	storage Storage
	guard   *guard
	tiles   *tileProver
	metrics metrics

	add      tessera.AddFn
	shutdown func(context.Context) error
	cancel   context.CancelFunc // ends Tessera's goroutines and this log's
	running  sync.WaitGroup

	current    atomic.Pointer[published] // the published tree; nil before the first checkpoint
	integrated atomic.Uint64
	submitted  atomic.Int64    // leaves given to Tessera and not yet answered by it
	slots      chan struct{}   // one per leaf in flight
	wake       chan struct{}   // a leaf was queued
	written    chan struct{}   // Tessera has answered for all that it was given
	futures    chan submission // what the collector waits for, in the order of the log
	toPublish  chan struct{}   // a tree was signed

	appending // everything below its lock
}

// appending is the state of the leaves in flight.
type appending struct {
	mu       sync.Mutex
	closing  bool
	failed   *Error           // why the log stopped for good
	signed   tree             // the last signed tree, published or about to be
	queue    []*waiter        // not yet given to Tessera
	pending  map[hash]*waiter // every unresolved leaf, so that an equal one joins it
	waiting  []*waiter        // integrated, not yet covered by a checkpoint
	open     int              // unresolved waiters
	idle     chan struct{}    // closed when closing and none is open
	recent   recentLeaves
	lagSince time.Time // since when something integrated is unpublished; zero if nothing is
	late     bool      // the watchdog found publication late
	unwell   *Error    // the last answer of Storage.Writable
}

// published is a tree that readers know about, with all that its proofs need. It does not change.
type published struct {
	tree  tree
	edges []hash
	root  hash
	raw   []byte
}

func newPublished(t tree, raw []byte) *published {
	return &published{tree: t, edges: t.edges(), root: t.root(), raw: raw}
}

// Open opens the log that storage holds, after having verified its right edge against the anchor and the published
// checkpoint. It returns an [*Error]: [CodeNotFound], [CodeAnchorMissing], [CodeAnchorInvalid], [CodeRollback] and
// [CodeCorrupt] are refusals that need an operator's decision. The context bounds the opening, not the life of the log.
func Open(ctx context.Context, cfg Config, storage Storage) (*Log, error) {
	l, err := newLog(ctx, cfg, storage)
	if err != nil {
		return nil, err
	}
	found, err := examine(ctx, l.cfg, l.id, storage)
	if err != nil {
		return nil, err
	}
	if err := l.start(ctx, found); err != nil {
		return nil, err
	}
	return l, nil
}

// Create creates an empty log and its anchor, publishes the checkpoint of the empty tree, and closes the log. It
// refuses with [CodeExists] where a log or another log's anchor is; a creation that was interrupted is completed.
func Create(ctx context.Context, cfg Config, storage Storage) error {
	l, err := newLog(ctx, cfg, storage)
	if err != nil {
		return err
	}
	found, err := l.found(ctx)
	if err != nil {
		return err
	}
	if err := l.start(ctx, found); err != nil {
		return err
	}
	return l.stop(ctx)
}

// found makes sure that there is no log and writes the anchor of the empty one: before the log itself, because a log
// without an anchor is a refusal.
func (l *Log) found(ctx context.Context) (state, error) {
	s := state{publishedHead: head{root: emptyRoot}, integrated: head{root: emptyRoot}}
	s.anchor = anchor{origin: l.id.origin, logID: l.id.logID}.marshal()
	a, _, err := s.readHeads(ctx, l.cfg, l.id, l.storage)
	switch {
	case err == nil && (a.size > 0 || s.integrated.size > 0 || s.publishedHead.size > 0):
		return state{}, &Error{Code: CodeExists, Message: "there is a log already"}
	case err == nil:
		// Interrupted after the tree state of the empty log was written, or created and never used.
		if l.exists(ctx) {
			return state{}, &Error{Code: CodeExists, Message: "there is an empty log already", Hint: "use it as it is"}
		}
		return s, nil
	case CodeOf(err) != CodeNotFound:
		return state{}, err
	}
	s.anchor = anchor{origin: l.id.origin, logID: l.id.logID}.marshal()
	if err := writeAnchor(l.cfg.AnchorPath, s.anchor); err != nil {
		return state{}, Unavailable("writing the anchor", err)
	}
	return s, nil
}

// exists reports whether the checkpoint of the empty tree was published, the last step of a creation.
func (l *Log) exists(ctx context.Context) bool {
	_, _, ok, err := l.id.readCheckpoint(ctx, l.storage.Reader)
	return ok || err != nil
}

func newLog(ctx context.Context, cfg Config, storage Storage) (*Log, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.WithDefaults()
	id, err := newIdentity(ctx, cfg.Origin, cfg.Signer)
	if err != nil {
		return nil, err
	}
	if len(cfg.WitnessPolicy) > 0 && storage.Witnesses == nil {
		return nil, &Error{Code: CodeInvalidConfig, Message: "there is a witness policy, but the driver asks no witnesses"}
	}
	public, _ := cfg.Signer.Public().(ed25519.PublicKey) // checked by newIdentity
	return &Log{cfg: cfg, id: id, public: public, storage: storage, tiles: newTileProver(storage.Reader)}, nil
}

// start hands the examined log to Tessera and starts the goroutines that serve appends.
func (l *Log) start(ctx context.Context, found state) error {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel = cancel
	l.slots = make(chan struct{}, maxInFlight)
	l.wake = make(chan struct{}, 1)
	l.written = make(chan struct{}, 1)
	l.futures = make(chan submission, maxInFlight)
	l.toPublish = make(chan struct{}, 1)
	l.pending = map[hash]*waiter{}
	l.idle = make(chan struct{})
	l.signed = found.signed
	if found.published != nil {
		l.current.Store(found.published)
	}
	l.integrated.Store(found.integrated.size)
	if found.integrated.size > found.publishedHead.size {
		l.lagSince = l.cfg.Clock()
	}
	l.guard = &guard{ctx: running, id: l.id, reader: l.storage.Reader, path: l.cfg.AnchorPath, window: uint64(l.cfg.ProofWindow),
		signed: l.onSigned, refused: l.onRefused, last: found.anchor, tree: found.signed}
	// A checkpoint file from the future would stop publication until then; to be rid of its time costs one signature.
	if err := l.storage.Backdate(longAgo); err != nil {
		cancel()
		return Unavailable("resetting the checkpoint's time", err)
	}
	l.metrics = newMetrics(l)
	if err := l.startTessera(running); err != nil {
		cancel()
		l.metrics.unregister()
		return err
	}
	for _, f := range []func(context.Context){l.submit, l.collect, l.publish, l.watch} {
		l.running.Go(func() { f(running) })
	}
	if err := l.awaitFirst(ctx); err != nil {
		l.guard.close()
		cancel()
		l.metrics.unregister()
		return err
	}
	return nil
}

// handOver is how long Tessera waits for the rest of a batch that submit gives it at once.
const handOver = time.Millisecond

func (l *Log) startTessera(ctx context.Context) error {
	opts := tessera.NewAppendOptions().
		WithCheckpointSigner(l.guard).
		WithBatching(uint(l.cfg.BatchMaxSize), handOver).
		WithCheckpointInterval(l.cfg.CheckpointInterval)
	if w := l.storage.Witnesses; w != nil {
		opts.WithWitnesses(w.policy.group, &tessera.WitnessOptions{Timeout: w.timeout, FailOpen: false})
	}
	appender, shutdown, _, err := tessera.NewAppender(ctx, l.storage.Driver, opts)
	if err != nil {
		return Unavailable("starting the log", err)
	}
	l.add, l.shutdown = appender.Add, shutdown
	return nil
}

// awaitFirst returns when there is a published checkpoint: at once, except for a log that is being created or whose
// checkpoint file was lost.
func (l *Log) awaitFirst(ctx context.Context) error {
	l.signal(l.toPublish)
	ctx, cancel := context.WithTimeout(ctx, MaxLag)
	defer cancel()
	ticker := time.NewTicker(publishPoll)
	defer ticker.Stop()
	for l.current.Load() == nil {
		select {
		case <-ctx.Done():
			return Unavailable("waiting for the first checkpoint", ctx.Err())
		case <-ticker.C:
			if err := l.stopped(); err != nil {
				return err
			}
		}
	}
	return nil
}

// signal wakes the one reader of a channel of capacity 1.
func (l *Log) signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Close refuses new leaves, waits until every accepted one is published and answered, ends the log's goroutines and
// gives back its locks. If the context ends first, the leaves that are still open are answered with [CodeClosed], and
// the error says that the end was not clean; the locks are given back all the same. Only the first call does something.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	if l.closing {
		l.mu.Unlock()
		return nil
	}
	l.closing = true
	if l.open == 0 {
		close(l.idle)
	}
	l.mu.Unlock()
	return l.stop(ctx)
}

func (l *Log) stop(ctx context.Context) error {
	defer l.metrics.unregister()
	var err error
	if l.stopped() == nil {
		err = l.drain(ctx)
	}
	l.settle(ctx)
	// From here on nothing is signed, whatever Tessera's goroutines still do until they notice their context.
	l.guard.close()
	l.cancel()
	l.failAll(&Error{Code: CodeClosed, Message: "the log is closed"})
	done := make(chan struct{})
	go func() { l.running.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
	if releaseErr := l.storage.Release(); err == nil && releaseErr != nil {
		err = Unavailable("giving back the log's locks", releaseErr)
	}
	return err
}

// drain waits until everything that was accepted is answered and published.
func (l *Log) drain(ctx context.Context) error {
	l.mu.Lock()
	idle := l.idle
	if !l.closing { // Create: nothing was ever accepted
		close(idle)
	}
	l.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
		return Unavailable("closing the log", ctx.Err())
	}
	if l.stopped() != nil {
		return nil
	}
	if err := l.shutdown(ctx); err != nil {
		return Unavailable("closing the log", err)
	}
	return nil
}

// settle waits until Tessera has answered everything that it was given: after the end of its context it answers
// nothing.
func (l *Log) settle(ctx context.Context) {
	ticker := time.NewTicker(publishPoll)
	defer ticker.Stop()
	for l.submitted.Load() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// stopped returns why the log stopped for good, or nil.
func (l *Log) stopped() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return l.failed
	}
	return nil
}

// Checkpoint returns the latest published checkpoint, a signed note, with the size and the root of its tree. The slices
// are shared: read only.
func (l *Log) Checkpoint() (raw []byte, size uint64, root []byte) {
	p := l.current.Load()
	return p.raw, p.tree.size, p.root[:]
}

// Size returns the number of integrated entries, published or not: the index that the next new leaf gets at the
// earliest. A caller that is about to append remembers it, so that [Log.Find] later knows where to begin.
func (l *Log) Size() uint64 { return l.integrated.Load() }

// LogID returns the 32 bytes that trusted_root.json and bundles call logId.keyId: SHA-256 over origin, newline, 0x01
// and the public key (rekor-tiles pkg/note).
func (l *Log) LogID() []byte { return append([]byte(nil), l.id.logID[:]...) }

// Origin returns the log's name.
func (l *Log) Origin() string { return l.id.origin }

// PublicKey returns a copy of the log's public key.
func (l *Log) PublicKey() ed25519.PublicKey { return append(ed25519.PublicKey(nil), l.public...) }
