package result

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
)

// bundleJSON is a Sigstore bundle v0.3 as signed verdicts use it: a key by its
// hint, no certificate, no log entry. Like a statement it is read by writing it
// again; but nobody signs it, so JSON's own freedom is left to it.
type bundleJSON struct {
	MediaType string       `json:"mediaType"`
	Material  materialJSON `json:"verificationMaterial"`
	Envelope  envelopeJSON `json:"dsseEnvelope"`
}

type materialJSON struct {
	PublicKey struct {
		Hint string `json:"hint"`
	} `json:"publicKey"`
	Timestamps *timestampsJSON `json:"timestampVerificationData,omitempty"`
}

type timestampsJSON struct {
	RFC3161 []timestampJSON `json:"rfc3161Timestamps"`
}

type timestampJSON struct {
	SignedTimestamp []byte `json:"signedTimestamp"`
}

type envelopeJSON struct {
	Payload     []byte          `json:"payload"`
	PayloadType string          `json:"payloadType"`
	Signatures  []signatureJSON `json:"signatures"`
}

type signatureJSON struct {
	Sig []byte `json:"sig"`
}

// parseBundle reads a bundle's form. Nothing in it is verified. How many
// signatures there may be is the caller's question, because it has a reason of
// its own.
func parseBundle(data []byte) (*bundleJSON, error) {
	if err := predicate.StrictJSON(data, predicate.BundleJSONLimits()); err != nil {
		return nil, err
	}
	b := &bundleJSON{}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(b); err != nil {
		return nil, err
	}
	if b.MediaType != verify.BundleMediaType {
		return nil, fmt.Errorf("mediaType %q, want %s", clip(b.MediaType), verify.BundleMediaType)
	}
	if b.Envelope.PayloadType != predicate.PayloadType {
		return nil, fmt.Errorf("payloadType %q, want %s", clip(b.Envelope.PayloadType), predicate.PayloadType)
	}
	if err := b.checkTimestamps(); err != nil {
		return nil, err
	}
	again, err := encode(b)
	if err != nil {
		return nil, err
	}
	if !sameJSON(again, data) {
		return nil, errors.New("member names or base64 are not in the canonical form, or a member is missing")
	}
	return b, nil
}

// sameJSON reports whether two documents differ in nothing but white space, the
// order of members and escapes.
func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

func (b *bundleJSON) checkTimestamps() error {
	if b.Material.Timestamps == nil {
		return nil
	}
	list := b.Material.Timestamps.RFC3161
	if n := len(list); n == 0 || n > verify.MaxTimestamps {
		return fmt.Errorf("%d timestamps, want 1 to %d or none at all", n, verify.MaxTimestamps)
	}
	for i, t := range list {
		if len(t.SignedTimestamp) == 0 {
			return fmt.Errorf("timestamp %d is empty", i+1)
		}
	}
	return nil
}
