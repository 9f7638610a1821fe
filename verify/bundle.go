package verify

import (
	"fmt"
	"strconv"

	"github.com/avow-dev/avow/attest/predicate"
)

// BundleMediaType is the one mediaType that is accepted: a Sigstore bundle v0.3
// in its present spelling.
const BundleMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// parsedBundle is a bundle in canonical form. Nothing in it is verified.
type parsedBundle struct {
	mediaType   string
	hint        string
	certificate []byte // DER, nil for a key
	entries     []parsedEntry
	timestamps  [][]byte
	payload     []byte
	payloadType string
	signatures  []parsedSignature
}

// parsedEntry is an entry of a transparency log, as the bundle claims it.
type parsedEntry struct {
	logIndex       int64
	logID          []byte
	kind, version  string
	integratedTime int64
	promise        bool
	proof          parsedProof
	hasProof       bool
	body           []byte
}

// parsedProof is an inclusion proof, as the bundle claims it.
type parsedProof struct {
	logIndex, treeSize int64
	rootHash           []byte
	hashes             [][]byte
	checkpoint         string
}

type parsedSignature struct {
	sig   []byte
	keyID string
}

// scanBundle is the strict pre-scan of a bundle's bytes.
func scanBundle(data []byte) error {
	return predicate.StrictJSON(data, predicate.BundleJSONLimits())
}

// bundleMediaType reads the mediaType of a bundle's tree, "" if there is none.
func bundleMediaType(tree node) string {
	for _, m := range tree.members {
		if m.name == "mediaType" {
			return m.value.text
		}
	}
	return ""
}

// parseBundle reads the tree of a bundle whose bytes passed scanBundle. It
// enforces the form alone: exact names, types, encodings and the mandatory
// members; how many signatures, entries and timestamps there may be is checked
// afterwards, with reasons of their own.
func parseBundle(tree node) (*parsedBundle, error) {
	b := &parsedBundle{}
	var material, envelope, message bool
	err := tree.fields("", map[string]func(string, node) error{
		"mediaType": readText(&b.mediaType),
		"verificationMaterial": func(at string, v node) error {
			material = true
			return b.readMaterial(at, v)
		},
		"dsseEnvelope": func(at string, v node) error {
			envelope = true
			return b.readEnvelope(at, v)
		},
		"messageSignature": func(string, node) error { message = true; return nil },
	})
	switch {
	case err != nil:
		return nil, err
	case message:
		return nil, &formError{"/messageSignature", "a DSSE envelope, the only form of a statement", "a message signature"}
	case !material:
		return nil, &formError{"/verificationMaterial", "an object", "nothing"}
	case !envelope:
		return nil, &formError{"/dsseEnvelope", "an object", "nothing"}
	}
	return b, nil
}

func (b *parsedBundle) readMaterial(at string, v node) error {
	keys := 0
	err := v.fields(at, map[string]func(string, node) error{
		"publicKey": func(at string, v node) error {
			keys++
			err := v.fields(at, map[string]func(string, node) error{"hint": readText(&b.hint)})
			if err == nil && b.hint == "" {
				err = &formError{at + "/hint", "the key's hint", "nothing"}
			}
			return err
		},
		"certificate": func(at string, v node) error {
			keys++
			err := v.fields(at, map[string]func(string, node) error{"rawBytes": readBytes(&b.certificate)})
			if err == nil && len(b.certificate) == 0 {
				err = &formError{at + "/rawBytes", "a certificate", "nothing"}
			}
			return err
		},
		"tlogEntries": func(at string, v node) error {
			return v.each(at, MaxBundleValues, func(at string, v node) error {
				e, err := readEntry(at, v)
				b.entries = append(b.entries, e)
				return err
			})
		},
		"timestampVerificationData": b.readTimestamps,
	})
	if err == nil && keys != 1 {
		err = &formError{at, "exactly one of publicKey and certificate", strconv.Itoa(keys) + " of them"}
	}
	return err
}

func (b *parsedBundle) readTimestamps(at string, v node) error {
	return v.fields(at, map[string]func(string, node) error{
		"rfc3161Timestamps": func(at string, v node) error {
			return v.each(at, MaxBundleValues, func(at string, v node) error {
				var ts []byte
				err := v.fields(at, map[string]func(string, node) error{"signedTimestamp": readBytes(&ts)})
				if err == nil && len(ts) == 0 {
					err = &formError{at + "/signedTimestamp", "a timestamp response", "nothing"}
				}
				b.timestamps = append(b.timestamps, ts)
				return err
			})
		},
	})
}

func (b *parsedBundle) readEnvelope(at string, v node) error {
	return v.fields(at, map[string]func(string, node) error{
		"payload":     readBytes(&b.payload),
		"payloadType": readText(&b.payloadType),
		"signatures": func(at string, v node) error {
			return v.each(at, MaxBundleValues, func(at string, v node) error {
				var s parsedSignature
				err := v.fields(at, map[string]func(string, node) error{
					"sig": readBytes(&s.sig), "keyid": readText(&s.keyID),
				})
				b.signatures = append(b.signatures, s)
				return err
			})
		},
	})
}

// readEntry reads a transparency log entry. A zero that protobuf's JSON mapping
// leaves out (logIndex of the first entry) may be absent.
func readEntry(at string, v node) (parsedEntry, error) {
	var e parsedEntry
	err := v.fields(at, map[string]func(string, node) error{
		"logIndex":       readInt64(&e.logIndex),
		"integratedTime": readInt64(&e.integratedTime),
		"logId": func(at string, v node) error {
			return v.fields(at, map[string]func(string, node) error{"keyId": readBytes(&e.logID)})
		},
		"kindVersion": func(at string, v node) error {
			return v.fields(at, map[string]func(string, node) error{
				"kind": readText(&e.kind), "version": readText(&e.version),
			})
		},
		"inclusionPromise": func(string, node) error { e.promise = true; return nil },
		"inclusionProof": func(at string, v node) error {
			e.hasProof = true
			return e.proof.read(at, v)
		},
		"canonicalizedBody": readBytes(&e.body),
	})
	if err == nil && !e.hasProof {
		err = &formError{at + "/inclusionProof", "an inclusion proof", "nothing"}
	}
	return e, err
}

func (p *parsedProof) read(at string, v node) error {
	return v.fields(at, map[string]func(string, node) error{
		"logIndex": readInt64(&p.logIndex),
		"treeSize": readInt64(&p.treeSize),
		"rootHash": readBytes(&p.rootHash),
		"hashes": func(at string, v node) error {
			return v.each(at, MaxProofHashes, func(at string, v node) error {
				var h []byte
				err := readBytes(&h)(at, v)
				if err == nil && len(h) != 32 {
					err = &formError{at, "32 bytes", fmt.Sprintf("%d bytes", len(h))}
				}
				p.hashes = append(p.hashes, h)
				return err
			})
		},
		"checkpoint": func(at string, v node) error {
			return v.fields(at, map[string]func(string, node) error{"envelope": readText(&p.checkpoint)})
		},
	})
}
