package command

import (
	"context"
	"testing"

	"github.com/avow-dev/avow/verify"
)

// silent is a policy that does not tell its digest; named is one that does.
type silent struct{}

func (silent) Judge(context.Context, verify.Facts) (*verify.PolicyResult, error) {
	return &verify.PolicyResult{}, nil
}

type named struct{ silent }

func (named) Digest() [32]byte { return [32]byte{7} }

// TestPolicyDigest: a policy that cannot be compared must not read as none.
func TestPolicyDigest(t *testing.T) {
	if digest, err := policyDigest(nil); digest != nil || err != nil {
		t.Errorf("no policy: got %v, %v", digest, err)
	}
	if digest, err := policyDigest(named{}); err != nil || digest == nil || *digest != [32]byte{7} {
		t.Errorf("a policy: got %v, %v; want its digest", digest, err)
	}
	if digest, err := policyDigest(silent{}); digest != nil || err == nil {
		t.Errorf("a policy without a digest: got %v, %v; want an error", digest, err)
	}
}
