package statements_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/avow-dev/avow/server/statements"
)

// start is the time of the tests' clock.
var start = time.Date(2026, 11, 23, 12, 0, 0, 123456000, time.UTC)

func config(t testing.TB, path string) statements.Config {
	return statements.Config{Path: path, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Clock: func() time.Time { return start }}
}

func create(t testing.TB) (*statements.Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "statements.db")
	s, err := statements.Create(t.Context(), config(t, path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, s) })
	return s, path
}

func shut(t testing.TB, s *statements.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
}

func reopen(t testing.TB, s *statements.Store, path string) *statements.Store {
	t.Helper()
	shut(t, s)
	s, err := statements.Open(t.Context(), config(t, path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, s) })
	return s
}

// signer is a vendor's public key as the store sees it.
type signer struct {
	id  string
	der []byte
}

func newSigner(t testing.TB) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return signer{id: sha256ID(der), der: der}
}

func sha256ID(b []byte) string { return "sha256:" + sha256Hex(b) }

func sha256Hex(b []byte) string {
	d := sha256.Sum256(b)
	return hex.EncodeToString(d[:])
}

// statement makes the pending row of a payload that differs with name.
func statement(by signer, name string) statements.Pending {
	payload := []byte("payload of " + name)
	return statements.Pending{
		StatementID: sha256ID(payload), KeyID: by.id, Vendor: "acme", PredicateType: "https://w3id.org/avow/no-backdoor/v1",
		Envelope: fmt.Appendf(nil, "envelope around %q signed with %x", payload, rnd(8)),
		Signer:   by.der, Subjects: []string{sha256Hex([]byte("file of " + name))},
		Products: []string{"pkg:generic/acme/fw@" + name}, LogSize: 7, ReceivedAt: start, Declaration: "release",
	}
}

func rnd(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func committed(p statements.Pending, index uint64) statements.Committed {
	return statements.Committed{
		StatementID: p.StatementID, KeyID: p.KeyID, LogIndex: index,
		Entry: fmt.Appendf(nil, "entry %d", index), Tokens: [][]byte{[]byte("token"), fmt.Appendf(nil, "second of %d", index)},
	}
}

func put(t testing.TB, s *statements.Store, ps ...statements.Pending) {
	t.Helper()
	if _, _, err := s.PutPending(t.Context(), ps); err != nil {
		t.Fatal(err)
	}
}

func commit(t testing.TB, s *statements.Store, cs ...statements.Committed) {
	t.Helper()
	if err := s.Commit(t.Context(), cs); err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	var e *statements.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got error %v, want code %s", err, code)
	}
	for _, secret := range []string{os.TempDir(), "statements.db"} {
		if strings.Contains(e.Error(), secret) {
			t.Errorf("the message %q names %q", e.Error(), secret)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	s, path := create(t)
	by := newSigner(t)
	p := statement(by, "1")
	p.Products = []string{"pkg:generic/acme/fw@1", "cpe:2.3:h:acme:fw:1:*:*:*:*:*:*:*"}
	records, existed, err := s.PutPending(t.Context(), []statements.Pending{p})
	if err != nil || existed[0] {
		t.Fatalf("put: existed %v, error %v", existed, err)
	}
	want := statements.Record{Pending: p, Sequence: 1}
	if !reflect.DeepEqual(records[0], want) {
		t.Errorf("put returned\n%+v, want\n%+v", records[0], want)
	}
	s = reopen(t, s, path)
	got, err := s.GetBy(t.Context(), p.StatementID, p.KeyID)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("stored\n%+v, %v, want\n%+v", got, err, want)
	}
	c := committed(p, 41)
	commit(t, s, c)
	s = reopen(t, s, path)
	want.State, want.Tokens, want.Entry, want.LogIndex, want.CommittedAt = statements.StateCommitted, c.Tokens, c.Entry, 41, start
	all, err := s.Get(t.Context(), p.StatementID)
	if err != nil || len(all) != 1 || !reflect.DeepEqual(all[0], want) {
		t.Errorf("committed\n%+v, %v, want\n%+v", all, err, want)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestZeroLogIndexAndNoTokens(t *testing.T) {
	s, _ := create(t)
	p := statement(newSigner(t), "1")
	p.Subjects, p.Products, p.Declaration, p.LogSize = nil, nil, "", 0
	put(t, s, p)
	c := committed(p, 0)
	c.Tokens = nil
	commit(t, s, c)
	rec, err := s.GetBy(t.Context(), p.StatementID, p.KeyID)
	if err != nil || rec.State != statements.StateCommitted || rec.LogIndex != 0 || len(rec.Tokens) != 0 {
		t.Errorf("got %+v, %v", rec, err)
	}
	page, next, err := s.List(t.Context(), statements.Query{})
	if err != nil || len(page) != 1 || next != 0 {
		t.Errorf("list: %v, next %d, %v", page, next, err)
	}
}

func TestSecondPutReturnsTheFirst(t *testing.T) {
	s, _ := create(t)
	by := newSigner(t)
	p := statement(by, "1")
	put(t, s, p)
	again := statement(by, "1") // signed anew: another envelope, ECDSA is randomised
	again.Vendor = "other"
	records, existed, err := s.PutPending(t.Context(), []statements.Pending{statement(by, "2"), again, again})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(existed, []bool{false, true, true}) || !reflect.DeepEqual(records[1].Pending, p) {
		t.Errorf("existed %v, record %+v, want the one stored first", existed, records[1])
	}
	commit(t, s, committed(p, 3))
	records, existed, err = s.PutPending(t.Context(), []statements.Pending{again})
	if err != nil || !existed[0] || records[0].State != statements.StateCommitted || records[0].LogIndex != 3 {
		t.Errorf("after commit: %+v, %v, %v", records, existed, err)
	}
}

func TestTwoSignersAreTwoRecords(t *testing.T) {
	s, _ := create(t)
	a, b := statement(newSigner(t), "1"), statement(newSigner(t), "1")
	put(t, s, a)
	put(t, s, b)
	commit(t, s, committed(b, 9))
	all, err := s.Get(t.Context(), a.StatementID)
	if err != nil || len(all) != 2 {
		t.Fatalf("got %d records, %v, want 2", len(all), err)
	}
	if all[0].KeyID != a.KeyID || all[0].State != statements.StatePending || all[1].State != statements.StateCommitted {
		t.Errorf("got %+v", all)
	}
}

func TestConcurrentPutsOfOneKeyMakeOneRow(t *testing.T) {
	s, _ := create(t)
	by := newSigner(t)
	var fresh atomic.Int32
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			_, existed, err := s.PutPending(t.Context(), []statements.Pending{statement(by, "same")})
			if err != nil {
				t.Error(err)
			} else if !existed[0] {
				fresh.Add(1)
			}
		})
	}
	wg.Wait()
	rows, err := s.PendingRows(t.Context(), 0, 0)
	if err != nil || len(rows) != 1 || fresh.Load() != 1 {
		t.Errorf("%d rows, %d calls that made one, %v; want one of each", len(rows), fresh.Load(), err)
	}
}

func TestCommitRefusals(t *testing.T) {
	s, _ := create(t)
	by := newSigner(t)
	a, b := statement(by, "a"), statement(by, "b")
	put(t, s, a, b)
	commit(t, s, committed(a, 5))
	commit(t, s, committed(a, 5)) // again: nothing happens
	wantCode(t, s.Commit(t.Context(), []statements.Committed{committed(a, 6)}), statements.Conflict)
	wantCode(t, s.Commit(t.Context(), []statements.Committed{committed(b, 5)}), statements.Conflict)
	wantCode(t, s.Commit(t.Context(), []statements.Committed{committed(statement(by, "c"), 7)}), statements.NotFound)
	// All or none: b is not committed by a call that fails for c.
	wantCode(t, s.Commit(t.Context(), []statements.Committed{committed(b, 8), committed(statement(by, "c"), 9)}), statements.NotFound)
	if rows, err := s.PendingRows(t.Context(), 0, 0); err != nil || len(rows) != 1 || rows[0].StatementID != b.StatementID {
		t.Errorf("pending: %v, %v, want b alone", rows, err)
	}
	if err := s.Health(); err != nil {
		t.Errorf("a caller's fault made the store unhealthy: %v", err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestOneOperationDoesNotPoisonItsGroup lets good and bad operations meet in
// one transaction: the writer is kept busy while they queue.
func TestOneOperationDoesNotPoisonItsGroup(t *testing.T) {
	s, _ := create(t)
	by := newSigner(t)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			p := statement(by, fmt.Sprint(i))
			if i%4 == 0 {
				wantCodeIn(t, s.Commit(t.Context(), []statements.Committed{committed(p, uint64(i))}), statements.NotFound)
				return
			}
			if _, _, err := s.PutPending(t.Context(), []statements.Pending{p}); err != nil {
				t.Errorf("put %d: %v", i, err)
				return
			}
			if err := s.Commit(t.Context(), []statements.Committed{committed(p, uint64(i))}); err != nil {
				t.Errorf("commit %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	page, _, err := s.List(t.Context(), statements.Query{Limit: 1000})
	if err != nil || len(page) != 150 {
		t.Errorf("%d committed, %v, want 150", len(page), err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func wantCodeIn(t *testing.T, err error, code string) {
	t.Helper()
	var e *statements.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("got error %v, want code %s", err, code)
	}
}

func TestInvalidArguments(t *testing.T) {
	s, _ := create(t)
	by := newSigner(t)
	for name, change := range map[string]func(*statements.Pending){
		"statement id without prefix": func(p *statements.Pending) { p.StatementID = p.StatementID[7:] },
		"statement id in upper case":  func(p *statements.Pending) { p.StatementID = "sha256:" + strings.ToUpper(p.StatementID[7:]) },
		"statement id too short":      func(p *statements.Pending) { p.StatementID = p.StatementID[:70] },
		"key id of another key":       func(p *statements.Pending) { p.KeyID = newSigner(t).id },
		"no envelope":                 func(p *statements.Pending) { p.Envelope = nil },
		"large envelope":              func(p *statements.Pending) { p.Envelope = make([]byte, statements.MaxEnvelopeBytes+1) },
		"no public key":               func(p *statements.Pending) { p.Signer = nil },
		"no vendor":                   func(p *statements.Pending) { p.Vendor = "" },
		"no type":                     func(p *statements.Pending) { p.PredicateType = "" },
		"subject not hex":             func(p *statements.Pending) { p.Subjects = []string{strings.Repeat("x", 64)} },
		"too many subjects":           func(p *statements.Pending) { p.Subjects = make([]string, statements.MaxSubjects+1) },
		"empty product":               func(p *statements.Pending) { p.Products = []string{""} },
		"long product":                func(p *statements.Pending) { p.Products = []string{strings.Repeat("x", statements.MaxTextBytes+1)} },
		"log size too large":          func(p *statements.Pending) { p.LogSize = 1 << 63 },
		"no time":                     func(p *statements.Pending) { p.ReceivedAt = time.Time{} },
	} {
		p := statement(by, "x")
		change(&p)
		t.Run(name, func(t *testing.T) {
			_, _, err := s.PutPending(t.Context(), []statements.Pending{p})
			wantCode(t, err, statements.Invalid)
		})
	}
	p := statement(by, "x")
	put(t, s, p)
	for name, change := range map[string]func(*statements.Committed){
		"no entry":        func(c *statements.Committed) { c.Entry = nil },
		"large entry":     func(c *statements.Committed) { c.Entry = make([]byte, statements.MaxEntryBytes+1) },
		"empty token":     func(c *statements.Committed) { c.Tokens = [][]byte{{}} },
		"large token":     func(c *statements.Committed) { c.Tokens = [][]byte{make([]byte, statements.MaxTokenBytes+1)} },
		"too many tokens": func(c *statements.Committed) { c.Tokens = make([][]byte, statements.MaxTokens+1) },
		"large index":     func(c *statements.Committed) { c.LogIndex = 1 << 63 },
	} {
		c := committed(p, 1)
		change(&c)
		t.Run(name, func(t *testing.T) {
			wantCode(t, s.Commit(t.Context(), []statements.Committed{c}), statements.Invalid)
		})
	}
	_, _, err := s.PutPending(t.Context(), nil)
	wantCode(t, err, statements.Invalid)
	_, _, err = s.PutPending(t.Context(), make([]statements.Pending, statements.MaxBatch+1))
	wantCode(t, err, statements.Invalid)
}

func TestNotFound(t *testing.T) {
	s, _ := create(t)
	p := statement(newSigner(t), "absent")
	_, err := s.Get(t.Context(), p.StatementID)
	wantCode(t, err, statements.NotFound)
	if !errors.Is(err, statements.ErrNotFound) {
		t.Errorf("%v is not ErrNotFound", err)
	}
	_, err = s.GetBy(t.Context(), p.StatementID, p.KeyID)
	wantCode(t, err, statements.NotFound)
	_, err = s.Get(t.Context(), "sha256:zz")
	wantCode(t, err, statements.Invalid)
}

func TestContextThatHasEndedWritesNothing(t *testing.T) {
	s, _ := create(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := statement(newSigner(t), "1")
	if _, _, err := s.PutPending(ctx, []statements.Pending{p}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if _, err := s.Get(t.Context(), p.StatementID); !errors.Is(err, statements.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func TestPendingRowsPages(t *testing.T) {
	s, _ := create(t)
	by := newSigner(t)
	for i := range 7 {
		put(t, s, statement(by, fmt.Sprint(i)))
	}
	commit(t, s, committed(statement(by, "3"), 0))
	var seen []uint64
	for after := uint64(0); ; {
		rows, err := s.PendingRows(t.Context(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 0 {
			break
		}
		for _, r := range rows {
			seen = append(seen, r.Sequence)
			after = r.Sequence
		}
	}
	if want := []uint64{1, 2, 3, 5, 6, 7}; !slices.Equal(seen, want) {
		t.Errorf("sequences %v, want %v", seen, want)
	}
}

func TestClosedStore(t *testing.T) {
	s, _ := create(t)
	by := newSigner(t)
	p := statement(by, "1")
	put(t, s, p)
	shut(t, s)
	_, _, err := s.PutPending(t.Context(), []statements.Pending{p})
	wantCode(t, err, statements.Closed)
	_, err = s.Get(t.Context(), p.StatementID)
	wantCode(t, err, statements.Closed)
	_, _, err = s.List(t.Context(), statements.Query{})
	wantCode(t, err, statements.Closed)
	shut(t, s)
}

// TestCloseAnswersEverybody: each call that races with Close is either stored or refused.
func TestCloseAnswersEverybody(t *testing.T) {
	s, path := create(t)
	by := newSigner(t)
	var wg sync.WaitGroup
	var stored sync.Map
	for i := range 100 {
		wg.Go(func() {
			p := statement(by, fmt.Sprint(i))
			_, _, err := s.PutPending(t.Context(), []statements.Pending{p})
			if err != nil {
				wantCodeIn(t, err, statements.Closed)
				return
			}
			stored.Store(p.StatementID, true)
		})
		if i == 50 {
			wg.Go(func() { shut(t, s) })
		}
	}
	wg.Wait()
	s, err := statements.Open(t.Context(), config(t, path))
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, s)
	stored.Range(func(id, _ any) bool {
		if _, err := s.Get(t.Context(), id.(string)); err != nil {
			t.Errorf("acknowledged %s: %v", id, err)
		}
		return true
	})
}
