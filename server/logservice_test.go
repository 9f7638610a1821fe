package server

import (
	"testing"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
)

// TestConsistencyNamesItsLog: a proof is about the log of the origin that was asked for, says so, and no other log is answered for.
func TestConsistencyNamesItsLog(t *testing.T) {
	w := newWorld(t)
	origin := w.server.cfg.Log.Origin()
	_, err := w.logService().GetConsistencyProof(t.Context(), &avowv1.GetConsistencyProofRequest{FirstTreeSize: 1, Origin: "log.other.example"})
	wantReason(t, err, reasonRequestInvalid)
	for _, asked := range []string{"", origin} {
		_, err := w.logService().GetConsistencyProof(t.Context(), &avowv1.GetConsistencyProofRequest{FirstTreeSize: 1, SecondTreeSize: 1, Origin: asked})
		wantReason(t, err, reasonLogRange) // of an empty log: it was understood
	}
}
