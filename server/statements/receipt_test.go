package statements_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/avow-dev/avow/server/statements"
)

// certified is a statement by an identity: its signer is a text, and it brings a certificate and tokens.
func certified(name string) statements.Pending {
	identity := []byte("avow-identity-v1\nhttps://issuer.example\n" + name + "\n")
	p := statement(signer{id: sha256ID(identity), der: identity}, name)
	p.Certificate, p.ReceiptTokens = []byte("certificate of "+name), [][]byte{[]byte("early token"), []byte("another")}
	return p
}

// TestReceipts: what came with a statement comes back with it, before and after it is committed, and after a restart.
func TestReceipts(t *testing.T) {
	s, path := create(t)
	both, alone := certified("both"), statement(newSigner(t), "tokens alone")
	alone.ReceiptTokens = [][]byte{[]byte("of a key")}
	plain := statement(newSigner(t), "plain")
	all := []statements.Pending{both, alone, plain}
	records, _, err := s.PutPending(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s, path)
	pending, err := s.PendingRows(t.Context(), 0, 0)
	if err != nil || !reflect.DeepEqual(pending, records) {
		t.Errorf("got  %+v, %v\nwant %+v", pending, err, records)
	}
	// Put again with another certificate: the first stays.
	again := both
	again.Certificate, again.ReceiptTokens = []byte("another certificate"), nil
	found, existed, err := s.PutPending(t.Context(), []statements.Pending{again})
	if err != nil || !existed[0] || !reflect.DeepEqual(found[0], records[0]) {
		t.Errorf("put again: %+v, %v, %v", found, existed, err)
	}
	for i, p := range all {
		commit(t, s, committed(p, uint64(i)))
	}
	s = reopen(t, s, path)
	for i, p := range all {
		got, err := s.GetBy(t.Context(), p.StatementID, p.KeyID)
		if err != nil || got.State != statements.StateCommitted || !reflect.DeepEqual(got.Pending, records[i].Pending) {
			t.Errorf("got  %+v, %v\nwant %+v", got.Pending, err, records[i].Pending)
		}
		if by, err := s.Signer(t.Context(), p.KeyID); err != nil || !slices.Equal(by, p.Signer) {
			t.Errorf("got signer %q, %v", by, err)
		}
	}
	_, err = s.Signer(t.Context(), newSigner(t).id)
	wantCode(t, err, statements.NotFound)
	_, err = s.Signer(t.Context(), "x")
	wantCode(t, err, statements.Invalid)
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestReceiptLimits(t *testing.T) {
	s, _ := create(t)
	for name, change := range map[string]func(*statements.Pending){
		"certificate": func(p *statements.Pending) { p.Certificate = make([]byte, statements.MaxCertificateBytes+1) },
		"tokens":      func(p *statements.Pending) { p.ReceiptTokens = make([][]byte, statements.MaxTokens+1) },
		"empty token": func(p *statements.Pending) { p.ReceiptTokens = [][]byte{{}} },
		"large token": func(p *statements.Pending) { p.ReceiptTokens = [][]byte{make([]byte, statements.MaxTokenBytes+1)} },
		"signer": func(p *statements.Pending) {
			p.Signer = make([]byte, statements.MaxSignerBytes+1)
			p.KeyID = sha256ID(p.Signer)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := certified("x")
			change(&p)
			_, _, err := s.PutPending(t.Context(), []statements.Pending{p})
			wantCode(t, err, statements.Invalid)
		})
	}
}

// TestRottenReceipts changes one value at a time: the row's checksum covers them, and that they are there.
func TestRottenReceipts(t *testing.T) {
	for name, change := range map[string]string{
		"certificate":    "UPDATE receipts SET certificate = x'00'",
		"no certificate": "UPDATE receipts SET certificate = x''",
		"tokens":         "UPDATE receipts SET tokens = x'00'",
		"cut tokens":     "UPDATE receipts SET tokens = x'05'",
		"no receipt":     "DELETE FROM receipts",
		"of another row": "PRAGMA foreign_keys = 0; UPDATE receipts SET id = 2",
		"identity":       "UPDATE signers SET public_key = x'00'",
	} {
		t.Run(name, func(t *testing.T) {
			s, path := create(t)
			p := certified("1")
			put(t, s, p)
			shut(t, s)
			edit(t, path, change)
			s, err := statements.Open(t.Context(), config(t, path))
			if err != nil {
				t.Fatal(err)
			}
			defer shut(t, s)
			_, err = s.Get(t.Context(), p.StatementID)
			wantCode(t, err, statements.Corrupt)
			wantCode(t, s.Check(t.Context()), statements.Corrupt)
		})
	}
}

// TestOlderStore: a store from before there were receipts is read and goes on.
func TestOlderStore(t *testing.T) {
	s, path := create(t)
	old := statement(newSigner(t), "old")
	put(t, s, old)
	commit(t, s, committed(old, 0))
	shut(t, s)
	edit(t, path, "DROP TABLE receipts", "DELETE FROM schema_versions WHERE version_id = 3")
	s, err := statements.Open(t.Context(), config(t, path))
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, s)
	put(t, s, certified("new"))
	if _, err := s.GetBy(t.Context(), old.StatementID, old.KeyID); err != nil {
		t.Error(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}
