package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/avow-dev/avow/internal/trustroot"
	"github.com/avow-dev/avow/server"
)

// windowed is an authority that is asked only while the trusted root lets buyers believe it. A token outside of its window
// would be found by the service's own check of the bundle, after the statement was logged; here it is never made.
type windowed struct {
	server.Timestamper
	entry trustroot.Entry
	clock func() time.Time
}

// Timestamp implements server.Timestamper.
func (w *windowed) Timestamp(ctx context.Context, signature []byte) ([]byte, error) {
	if state := w.entry.State(w.clock()); state != trustroot.InUse {
		return nil, fmt.Errorf("the %s is %s by the trusted root: valid %s", w.entry.Label(), state, w.entry.Window())
	}
	return w.Timestamper.Timestamp(ctx, signature)
}

// inWindow bounds an authority by the trusted root. One that the root does not name is no use: the service does not start.
func inWindow(t server.Timestamper, chain []*x509.Certificate, root *trustroot.Root) (server.Timestamper, error) {
	sum := sha256.Sum256(chain[0].Raw)
	id := hex.EncodeToString(sum[:])
	for _, e := range root.Entries() {
		if e.Kind == trustroot.KindTSA && e.ID == id {
			return &windowed{Timestamper: t, entry: e, clock: time.Now}, nil
		}
	}
	return nil, hintedError{errors.New("the trusted root does not name the timestamp authority " + chain[0].Subject.CommonName),
		"avowd trusted-root --in-place adds the authorities of the configuration; one that was removed must leave the configuration too"}
}
