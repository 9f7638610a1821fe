package verify

import (
	"bytes"
	"container/list"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"

	rekorverify "github.com/sigstore/rekor-tiles/v2/pkg/verify"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// The kind of log entry that avow writes and accepts.
const (
	entryKind    = "hashedrekord"
	entryVersion = "0.0.2"
)

// maxKnownCheckpoints bounds the verified checkpoints that a Verifier keeps. A
// service answers with its newest few; a buyer's bundles of one release often
// share one.
const maxKnownCheckpoints = 256

// checkpoint is a verified tree head.
type checkpoint struct {
	origin string
	size   uint64
	root   []byte
}

func (r *run) checkLogKey() Check {
	id := hex.EncodeToString(r.bundle.entries[0].logID)
	log, ok := r.v.trust.logs[id]
	if !ok {
		return fail("a log of the trusted root", "log id "+clip(id),
			r.v.ofTrust()+" does not know the log "+claimedOrigin(r.bundle.entries[0].proof.checkpoint), hintUpdate)
	}
	if log.problem != nil {
		return fail("a log with a usable key and base URL", log.problem.Error(),
			"the trusted root's entry for this log cannot be used", hintTrust)
	}
	r.log = log
	return pass("log %s of the trusted root", log.origin)
}

func (r *run) checkLogEntryKind() Check {
	e := r.bundle.entries[0]
	if e.kind != entryKind || e.version != entryVersion {
		return fail(entryKind+" "+entryVersion, clip(e.kind)+" "+clip(e.version),
			"the entry is labelled as something else than it is", hintForged)
	}
	return pass(entryKind + " " + entryVersion)
}

func (r *run) checkLogEntryTime() Check {
	e := r.bundle.entries[0]
	switch {
	case e.integratedTime != 0:
		return fail("no integratedTime", fmt.Sprintf("%d", e.integratedTime),
			"this log signs no integrated time, so whoever wrote the bundle made it up", hintForged)
	case e.promise:
		return fail("no inclusionPromise", "an inclusionPromise", "this log gives no inclusion promises", hintForged)
	}
	return pass("no unsigned times or promises")
}

// checkLogBody rebuilds the leaf from the verified signature, its key and its
// digest. sigstore-go proves the rebuilt leaf and never looks at the body that
// the bundle carries; whoever shows or indexes that body needs them to be equal.
func (r *run) checkLogBody() Check {
	want := r.leaf()
	r.leafHash = rfc6962.DefaultHasher.HashLeaf(want)
	if body := r.bundle.entries[0].body; !bytes.Equal(body, want) {
		got := rfc6962.DefaultHasher.HashLeaf(body)
		return fail("leaf hash "+hex.EncodeToString(r.leafHash), "leaf hash "+hex.EncodeToString(got),
			"canonicalizedBody is not the entry of this statement, signature and key", hintForged)
	}
	return pass("leaf %s", hex.EncodeToString(r.leafHash))
}

// leaf is the canonical entry (RFC 8785: sorted members, no white space) for the
// signature of this run. It is written out, because every value is fixed text or
// base64, which needs no escapes, and making it by protobuf, JSON and
// canonicalization costs as much as half a signature; a test compares it with
// rekor-tiles' own construction, and so does sigstore-go in each verification.
func (r *run) leaf() []byte {
	b64 := base64.StdEncoding.EncodeToString
	verifier := `"publicKey":{"rawBytes":"` + b64(r.spki) + `"}`
	if r.cert != nil {
		verifier = `"x509Certificate":{"rawBytes":"` + b64(r.cert.Raw) + `"}`
	}
	return []byte(`{"apiVersion":"` + entryVersion + `","kind":"` + entryKind + `","spec":{"hashedRekordV002":{` +
		`"data":{"algorithm":"SHA2_256","digest":"` + b64(r.pae[:]) + `"},` +
		`"signature":{"content":"` + b64(r.bundle.signatures[0].sig) + `","verifier":{` +
		`"keyDetails":"PKIX_ECDSA_P256_SHA_256",` + verifier + `}}}}}`)
}

func (r *run) checkCheckpoint() Check {
	text := r.bundle.entries[0].proof.checkpoint
	if len(text) > MaxCheckpointBytes {
		return fail(fmt.Sprintf("at most %d bytes", MaxCheckpointBytes), fmt.Sprintf("%d bytes", len(text)),
			"the checkpoint is too large", hintDamaged)
	}
	if n := signatureLines(text); n > MaxCheckpointSignatures {
		return fail(fmt.Sprintf("at most %d signatures", MaxCheckpointSignatures), fmt.Sprintf("%d", n),
			"the checkpoint carries too many signatures", hintDamaged)
	}
	cp, err := r.v.checkpoint(r.log, text)
	if err != nil {
		return fail("a checkpoint of "+r.log.origin+" signed by its key", "", err.Error(), hintForged)
	}
	r.checkpoint = cp
	return pass("%s, size %d", cp.origin, cp.size)
}

// checkpoint verifies a checkpoint's origin and log signature, or recalls that
// this Verifier did so for the same log and the same bytes.
func (v *Verifier) checkpoint(log *trustedLog, text string) (*checkpoint, error) {
	h := sha256.New()
	h.Write(log.id)
	h.Write([]byte(text))
	key := [sha256.Size]byte(h.Sum(nil))
	if cp := v.checkpoints.get(key); cp != nil {
		return cp, nil
	}
	cp, err := openCheckpoint(log, text)
	if err != nil {
		return nil, err
	}
	v.checkpoints.put(key, cp)
	return cp, nil
}

// openCheckpoint verifies a checkpoint's origin and log signature.
func openCheckpoint(log *trustedLog, text string) (*checkpoint, error) {
	// > The first line MUST be the origin; the log's signature line MUST carry it as its key name.
	head, err := rekorverify.VerifyCheckpoint(text, log.verifier)
	if err != nil {
		return nil, err
	}
	if len(head.Hash) != rfc6962.DefaultHasher.Size() {
		return nil, fmt.Errorf("root hash has %d bytes, want %d", len(head.Hash), rfc6962.DefaultHasher.Size())
	}
	// > Tree size is encoded in ASCII decimal with no leading zeroes; the root hash is standard base64.
	if !strings.HasPrefix(text, string(head.Marshal())) {
		return nil, errors.New("origin, size and root hash are not written in their canonical form")
	}
	if err := canonicalSignature(text, head.Origin); err != nil {
		return nil, err
	}
	return &checkpoint{origin: head.Origin, size: head.Size, root: head.Hash}, nil
}

// canonicalSignature refuses a signature line under the log's name whose base64 is not the one spelling of its bytes: loose base64 has
// bits that nothing is signed by. What lines under other names look like is nobody's business but the witnesses'.
func canonicalSignature(text, origin string) error {
	_, sigs, _ := strings.Cut(text, "\n\n")
	for line := range strings.Lines(sigs) {
		encoded, own := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "\u2014 "+origin+" ")
		if !own {
			continue
		}
		raw, err := strictBase64.DecodeString(encoded)
		if err != nil || strictBase64.EncodeToString(raw) != encoded {
			return errors.New("the log's signature is not in canonical base64")
		}
	}
	return nil
}

// signatureLines counts the lines after the blank line that ends a note's text.
func signatureLines(text string) int {
	_, sigs, _ := strings.Cut(text, "\n\n")
	return strings.Count(sigs, "\n")
}

func (r *run) checkLogProofFields() Check {
	e := r.bundle.entries[0]
	switch p := e.proof; {
	case p.logIndex != e.logIndex:
		return fail(fmt.Sprintf("logIndex %d in the proof", e.logIndex), fmt.Sprintf("%d", p.logIndex),
			"entry and proof name different places in the log", hintForged)
	case uint64(p.treeSize) != r.checkpoint.size: // #nosec G115 -- parsed as not negative
		return fail(fmt.Sprintf("treeSize %d, the checkpoint's", r.checkpoint.size), fmt.Sprintf("%d", p.treeSize),
			"the proof names another tree than the signed checkpoint", hintForged)
	case !bytes.Equal(p.rootHash, r.checkpoint.root):
		return fail("rootHash "+hex.EncodeToString(r.checkpoint.root)+", the checkpoint's",
			clip(hex.EncodeToString(p.rootHash)),
			"the proof names another tree than the signed checkpoint", hintForged)
	}
	return pass("index %d, size %d", e.logIndex, r.checkpoint.size)
}

func (r *run) checkLogInclusion() Check {
	e := r.bundle.entries[0]
	index := uint64(e.logIndex) // #nosec G115 -- parsed as not negative
	err := proof.VerifyInclusion(rfc6962.DefaultHasher, index, r.checkpoint.size, r.leafHash, e.proof.hashes,
		r.checkpoint.root)
	if err != nil {
		return fail("a path from the leaf to the checkpoint's root", "", err.Error(), hintForged)
	}
	return pass("entry %d of %d", index, r.checkpoint.size)
}

// checkpointCache keeps the most recently used verified checkpoints. Only what
// passed is kept: a refused checkpoint is verified, and refused, again.
type checkpointCache struct {
	mu    sync.Mutex
	limit int
	order *list.List // of cachedCheckpoint, most recently used first
	byKey map[[sha256.Size]byte]*list.Element
}

type cachedCheckpoint struct {
	key   [sha256.Size]byte // of the log id, whose length is fixed per log, and the note
	value *checkpoint
}

func newCheckpointCache(limit int) *checkpointCache {
	return &checkpointCache{limit: limit, order: list.New(), byKey: make(map[[sha256.Size]byte]*list.Element, limit)}
}

func (c *checkpointCache) get(key [sha256.Size]byte) *checkpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byKey[key]
	if !ok {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(cachedCheckpoint).value //nolint:forcetypeassert // the list holds nothing else
}

func (c *checkpointCache) put(key [sha256.Size]byte, value *checkpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byKey[key]; ok {
		return
	}
	c.byKey[key] = c.order.PushFront(cachedCheckpoint{key, value})
	if c.order.Len() > c.limit {
		oldest := c.order.Back()
		delete(c.byKey, c.order.Remove(oldest).(cachedCheckpoint).key) //nolint:forcetypeassert // the list holds nothing else
	}
}
