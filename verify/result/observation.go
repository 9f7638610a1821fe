package result

import (
	"context"

	"github.com/avow-dev/avow/attest/predicate/observation"
)

// SignObservation signs a summary of observed flows in the form in which verdicts
// are signed: the statement of the observation in a Sigstore bundle v0.3. Any
// Sigstore client verifies it; [Open] refuses it, because it is no verdict about
// an artifact. The payload is [observation.Observation.Payload], whose error is
// returned as it is; other errors are those of [Statement.Sign].
func SignObservation(ctx context.Context, o *observation.Observation, signer Signer) (*Signed, error) {
	payload, err := o.Payload()
	if err != nil {
		return nil, err
	}
	return (&Statement{payload: payload}).Sign(ctx, signer)
}
