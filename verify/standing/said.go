package standing

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/leaf"
	"github.com/avow-dev/avow/verify/index/replay"
)

// read verifies everything that was said about the target. What cannot be believed is remembered, not refused: the status bundle
// shows truly that something was said, and nobody knows what.
func (c *checking) read() error {
	for _, e := range c.b.GetAbout().GetEntries() {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		switch {
		case len(e.GetBundle()) == 0 || index.Kind(e.GetKind()) != index.Stated: // #nosec G115 -- checkForm
			c.doubt(ReasonUndelivered, "what entry %d says is not in the status bundle", e.GetLogIndex())
		case c.o.Verifier == nil:
			c.doubt(ReasonUnverified, "entry %d: there is no verifier for what was said", e.GetLogIndex())
		default:
			said, err := c.verify(e)
			if err != nil {
				c.doubt(ReasonUnverified, "entry %d: %v", e.GetLogIndex(), err)
				continue
			}
			c.said = append(c.said, *said)
		}
	}
	return nil
}

// doubt remembers the first problem.
func (c *checking) doubt(reason Reason, format string, args ...any) {
	if c.problem == "" {
		c.problem, c.detail = reason, fmt.Sprintf(format, args...)
	}
}

// verify verifies a bundle as one by whoever its log entry names, and that it is the entry's and about the target.
func (c *checking) verify(e *statusv1.ListEntry) (*Said, error) {
	l, err := signed(e.GetBundle())
	if err != nil {
		return nil, err
	}
	signer := verify.Signer{Key: &verify.Key{PublicKey: l.Key}} // of any time: a key that expired can still withdraw
	if l.SAN != "" {
		signer = verify.Signer{Identity: &verify.Identity{SAN: l.SAN, Issuer: l.Issuer}}
	}
	evidence, checks, err := c.o.Verifier.VerifyBundle(c.ctx, e.GetBundle(), signer)
	switch {
	case err != nil:
		return nil, err
	case evidence == nil:
		return nil, fmt.Errorf("its bundle does not verify: %s", failures(checks))
	case evidence.LogIndex != e.GetLogIndex() || evidence.LogOrigin != c.target.LogOrigin:
		return nil, fmt.Errorf("its bundle is entry %d of %s", evidence.LogIndex, evidence.LogOrigin)
	case !slices.Contains(replay.Keys(evidence.Statement), c.targetKey()):
		return nil, fmt.Errorf("its bundle is of statement %s, which says nothing about the target", evidence.StatementID)
	}
	by := SignerOf(evidence)
	return &Said{LogIndex: evidence.LogIndex, StatementID: evidence.StatementID, Statement: evidence.Statement, Signer: string(by), Own: by == c.signer,
		Identity: evidence.Signer.Identity, SignedBy: evidence.SignedBy}, nil
}

// signed reads who a bundle says signed it, from the body of its log entry; it is for VerifyBundle to see whether that is so.
func signed(bundle []byte) (*leaf.Leaf, error) {
	var b struct {
		VerificationMaterial struct {
			TlogEntries []struct {
				CanonicalizedBody []byte `json:"canonicalizedBody"`
			} `json:"tlogEntries"`
		} `json:"verificationMaterial"`
	}
	if err := json.Unmarshal(bundle, &b); err != nil {
		return nil, fmt.Errorf("its bundle is not JSON: %w", err)
	}
	if n := len(b.VerificationMaterial.TlogEntries); n != 1 {
		return nil, fmt.Errorf("its bundle has %d log entries, want 1", n)
	}
	return leaf.Read(b.VerificationMaterial.TlogEntries[0].CanonicalizedBody)
}

// failures names the checks that did not pass.
func failures(checks []verify.Check) string {
	var list []string
	for _, c := range checks {
		if c.Status == verify.StatusFail {
			list = append(list, string(c.ID))
		}
	}
	return strings.Join(list, ", ")
}
