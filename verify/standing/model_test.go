package standing_test

import (
	"crypto/ecdsa"
	"testing"

	sumdbnote "golang.org/x/mod/sumdb/note"

	"github.com/avow-dev/avow/verify/standing"
)

type sumSigner = sumdbnote.Signer

type keyOf struct{ key *ecdsa.PrivateKey }

// deed is something that was said: 0 a declaration, 1 a withdrawal, 2 a withdrawal of an item, 3 a successor.
type deed struct {
	kind, by, of int
	at           uint64
	payload      []byte
	hidden       bool
}

func (d *deed) statement(t *testing.T, i int, said []deed) []byte {
	switch d.kind {
	case 1:
		return withdrawal(t, said[d.of].payload, "000000000007", hexOf(i))
	case 2:
		return withdrawal(t, said[d.of].payload, "000000000007", hexOf(i), `"reason"`, `"items": ["F1"], "reason"`)
	case 3:
		return successor(t, i, said[d.of].payload)
	}
	return declaration(t, i)
}

func hexOf(i int) string { return "00000000" + string("0123456789abcdef"[i%16]) + "000" }

// model is the standing by going through everything.
func model(said []deed, i int) standing.Standing {
	hidden, foreign, superseded, partly := false, false, false, false
	for _, d := range said {
		hidden = hidden || d.hidden && d.by == said[i].by
		if d.hidden || d.of != i || d.kind == 0 {
			continue
		}
		if d.by != said[i].by {
			foreign = foreign || d.kind != 3
			continue
		}
		switch d.kind {
		case 1:
			return standing.Withdrawn
		case 2:
			partly = true
		case 3:
			superseded = true
		}
	}
	switch {
	case hidden, foreign:
		return standing.Unknown
	case superseded:
		return standing.Superseded
	case partly:
		return standing.PartlyWithdrawn
	}
	return standing.InForce
}
