package command

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/avow-dev/avow/attest/predicate"
)

// unverified is what a bundle or envelope says about itself. Nothing of it was checked.
type unverified struct {
	mediaType string
	envelope  json.RawMessage
	payload   []byte
	keyHint   string
	// certificate is DER, where the bundle names its signer so.
	certificate []byte
	logIndex    string
	checkpoint  string
	timestamps  int
	entries     int
}

// readUnverified takes a bundle, or a bare DSSE envelope, apart.
func readUnverified(data []byte) (*unverified, error) {
	const hint = "give a .sigstore.json file as `avow attest` writes it"
	if err := predicate.StrictJSON(data, predicate.BundleJSONLimits()); err != nil {
		return nil, failed(hint, "not strict JSON: %w", err)
	}
	var b struct {
		MediaType            string `json:"mediaType"`
		VerificationMaterial struct {
			PublicKey struct {
				Hint string `json:"hint"`
			} `json:"publicKey"`
			Certificate struct {
				RawBytes []byte `json:"rawBytes"`
			} `json:"certificate"`
			TlogEntries []struct {
				LogIndex       json.RawMessage `json:"logIndex"`
				InclusionProof struct {
					Checkpoint struct {
						Envelope string `json:"envelope"`
					} `json:"checkpoint"`
				} `json:"inclusionProof"`
			} `json:"tlogEntries"`
			TimestampVerificationData struct {
				Rfc3161Timestamps []json.RawMessage `json:"rfc3161Timestamps"`
			} `json:"timestampVerificationData"`
		} `json:"verificationMaterial"`
		DSSEEnvelope json.RawMessage `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(data, &b); err != nil {
		return nil, failed(hint, "not a Sigstore bundle: %w", err)
	}
	material := b.VerificationMaterial
	u := &unverified{mediaType: b.MediaType, envelope: b.DSSEEnvelope, keyHint: material.PublicKey.Hint,
		certificate: material.Certificate.RawBytes,
		timestamps:  len(material.TimestampVerificationData.Rfc3161Timestamps), entries: len(material.TlogEntries)}
	if u.entries > 0 {
		u.checkpoint = material.TlogEntries[0].InclusionProof.Checkpoint.Envelope
		u.logIndex = "0" // protobuf JSON leaves out a zero
		if raw := material.TlogEntries[0].LogIndex; raw != nil && json.Unmarshal(raw, &u.logIndex) != nil {
			u.logIndex = string(raw) // a number instead of a string
		}
	}
	if u.envelope == nil {
		u.envelope = data // a bare envelope; if it is not, the next step says so
	}
	var e struct {
		PayloadType string `json:"payloadType"`
		Payload     string `json:"payload"`
	}
	if err := json.Unmarshal(u.envelope, &e); err != nil || e.Payload == "" {
		return nil, failed(hint, "there is no DSSE envelope in it")
	}
	if e.PayloadType != predicate.PayloadType {
		return nil, failed(hint, "the payload is %q, want %q", e.PayloadType, predicate.PayloadType)
	}
	payload, err := base64.StdEncoding.Strict().DecodeString(e.Payload)
	if err != nil {
		return nil, failed(hint, "the payload is not standard base64: %w", err)
	}
	u.payload = payload
	return u, nil
}

// sameStatement reports whether the bundle is around exactly these bytes.
func (u *unverified) sameStatement(payload []byte) error {
	if string(u.payload) != string(payload) {
		return fmt.Errorf("the bundle holds another statement (%d bytes, want %d)", len(u.payload), len(payload))
	}
	return nil
}
