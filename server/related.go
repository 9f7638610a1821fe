package server

import (
	"container/list"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/server/statements"
)

// related finds the statements that a statement refers to, for the rules that need a second document: first among the
// other members of its declaration, then among the committed statements of the store.
type related struct {
	store *statements.Store

	mu    sync.Mutex
	order *list.List // of *predicate.Statement, the most recent first
	byID  map[string]*list.Element
}

func newRelated(store *statements.Store) *related {
	return &related{store: store, order: list.New(), byID: make(map[string]*list.Element)}
}

// check applies the rules that need a second document to every submission. A reference that leads nowhere is not an
// error here: the rules say which references must lead somewhere.
func (r *related) check(ctx context.Context, subs []*submission) ([]predicate.Findings, error) {
	findings := make([]predicate.Findings, len(subs))
	for n, sub := range subs {
		if sub.known != nil {
			continue
		}
		st := sub.envelope.Statement()
		var others []*predicate.Statement
		for m, other := range subs {
			if m != n {
				others = append(others, other.envelope.Statement())
			}
		}
		stored, err := r.referenced(ctx, st, others)
		if err != nil {
			return nil, err
		}
		findings[n] = st.CheckRelated(append(others, stored...))
	}
	return findings, nil
}

// referenced loads from the store what st refers to and is not among the others.
func (r *related) referenced(
	ctx context.Context, st *predicate.Statement, others []*predicate.Statement,
) ([]*predicate.Statement, error) {
	have := make(map[string]bool, len(others))
	for _, o := range others {
		have[o.ID()] = true
	}
	if common := st.Common(); common != nil && len(common.Related) > MaxReferences {
		return nil, invalidField("/predicate/common/related",
			"got %d references, want at most %d", len(common.Related), MaxReferences)
	}
	var found []*predicate.Statement
	for _, ref := range st.References() {
		id := ref.ID()
		if !isDigestID(id) || have[id] {
			continue
		}
		have[id] = true
		other, err := r.load(ctx, id)
		if err != nil {
			return nil, err
		}
		if other != nil {
			found = append(found, other)
		}
	}
	return found, nil
}

// load returns a committed statement, nil if there is none.
func (r *related) load(ctx context.Context, id string) (*predicate.Statement, error) {
	if st := r.cached(id); st != nil {
		return st, nil
	}
	records, err := r.store.Get(ctx, id)
	if errors.Is(err, statements.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, rec := range records {
		if rec.State != statements.StateCommitted {
			continue
		}
		env, err := reopen(&rec)
		if err != nil {
			return nil, err
		}
		r.remember(id, env.Statement(), len(rec.Envelope))
		return env.Statement(), nil
	}
	return nil, nil
}

func (r *related) cached(id string) *predicate.Statement {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.byID[id]
	if !ok {
		return nil
	}
	r.order.MoveToFront(e)
	return e.Value.(*predicate.Statement)
}

// remember keeps small statements: a release's statements refer to each other within seconds.
func (r *related) remember(id string, st *predicate.Statement, size int) {
	if size > maxCachedBytes {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.byID[id]; ok {
		return
	}
	if r.order.Len() >= maxCachedStatements {
		oldest := r.order.Back()
		r.order.Remove(oldest)
		delete(r.byID, oldest.Value.(*predicate.Statement).ID())
	}
	r.byID[id] = r.order.PushFront(st)
}

// reopen opens a stored envelope with the key or the certificate that is stored beside it.
func reopen(rec *statements.Record) (*attest.Envelope, error) {
	if len(rec.Certificate) > 0 {
		return reopenCertified(rec)
	}
	pub, err := x509.ParsePKIXPublicKey(rec.Signer)
	if err != nil {
		return nil, damaged("key", rec, err)
	}
	key, ok := pub.(*ecdsa.PublicKey)
	if !ok {
		return nil, damaged("key", rec, fmt.Errorf("got a %T, want ECDSA", pub))
	}
	env, err := attest.Reopen(rec.Envelope, key)
	if err != nil {
		return nil, damaged("envelope", rec, err)
	}
	return env, nil
}

func reopenCertified(rec *statements.Record) (*attest.Envelope, error) {
	cert, err := attest.ParseCertificate(rec.Certificate)
	if err != nil {
		return nil, damaged("certificate", rec, err)
	}
	if got := cert.Identity().ID(); got != rec.KeyID {
		return nil, damaged("certificate", rec, fmt.Errorf("it is of identity %s", got))
	}
	env, err := attest.ReopenCertified(rec.Envelope, cert)
	if err != nil {
		return nil, damaged("envelope", rec, err)
	}
	return env, nil
}

// damaged says that something stored cannot be read. It hides what kind of error that is: to a caller a damaged store is not
// the fault of an envelope.
func damaged(what string, rec *statements.Record, err error) error {
	return &refusal{reason: reasonInternal, message: "internal error",
		cause: fmt.Errorf("stored %s of statement %s by %s: %w", what, rec.StatementID, rec.KeyID, err)}
}
