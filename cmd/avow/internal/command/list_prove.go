package command

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/internal/trustroot"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/listing"
)

// logKeyFlags are the flags of commands that check what the complete index says: the keys of both logs, and the witnesses.
type logKeyFlags struct {
	trustedRoot string
	indexKey    string
	policy      string
	state       stateFlag
}

func (f *logKeyFlags) register(c *cobra.Command) {
	o := c.Flags()
	o.StringVar(&f.trustedRoot, "trusted-root", "", "`FILE` with the trusted root (trusted_root.json), which names the log")
	o.StringVar(&f.indexKey, "index-key", "", "`FILE|VKEY` with the key of the index log (default: "+indexKeyFile+" beside the trusted root)")
	o.StringVar(&f.policy, "witness-policy", "", "`FILE` that says which witnesses must have cosigned both logs (C2SP tlog-policy)")
	f.state.register(c)
}

// logKeys are the caller's keys of both logs.
type logKeys struct {
	trust     *verify.Trust
	entries   []trustroot.Entry
	index     *verify.LogKey
	witnesses *verify.WitnessPolicy
}

// read reads the keys.
func (f *logKeyFlags) read(a *app) (*logKeys, error) {
	index, err := (&standingFlags{indexKey: f.indexKey}).readIndexKey(a, f.trustedRoot)
	if err != nil {
		return nil, err
	}
	k, err := a.logKeysOf(f.trustedRoot, index)
	if err != nil || f.policy == "" {
		return k, err
	}
	data, err := a.readUpTo(f.policy, verify.MaxWitnessPolicyBytes+1)
	if err != nil {
		return nil, err
	}
	k.witnesses, err = verify.ParseWitnessPolicy(data)
	return k, about(f.policy, err)
}

// logKeysOf are the keys in a trusted root, and that of an index log.
func (a *app) logKeysOf(trustedRoot string, index *verify.LogKey) (*logKeys, error) {
	data, err := a.readUpTo(trustedRoot, verify.MaxTrustBytes+1)
	if err != nil {
		return nil, err
	}
	k := &logKeys{index: index}
	if k.trust, err = verify.ParseTrust(data); err != nil {
		return nil, about(trustedRoot, err)
	}
	root, err := trustroot.Parse(data)
	if err != nil {
		return nil, about(trustedRoot, err)
	}
	k.entries = root.Entries()
	return k, nil
}

// heads are the checkpoints of a status bundle that verify with the keys.
func (k *logKeys) heads(b *statusv1.StatusBundle) []signedHead {
	var heads []signedHead
	log, err := k.log(b.GetCheckpoint())
	if err == nil {
		heads = append(heads, signedHead{log, b.GetCheckpoint()})
	}
	heads = append(heads, signedHead{k.index, b.GetIndexCheckpoint()})
	return slices.DeleteFunc(heads, func(h signedHead) bool {
		_, err := verify.OpenCheckpoint(h.checkpoint, h.key, nil, time.Time{})
		return err != nil
	})
}

// log finds the key of the log that a checkpoint is of. Which one the checkpoint names decides nothing but which key it has to verify with.
func (k *logKeys) log(checkpoint string) (*verify.LogKey, error) {
	origin, _, _ := strings.Cut(checkpoint, "\n")
	var found *verify.LogKey
	for _, e := range k.entries {
		if e.Kind != trustroot.KindLog || e.Name != origin {
			continue
		}
		id, err := hex.DecodeString(e.ID)
		if err != nil {
			return nil, about(e.Ref(), err)
		}
		key := k.trust.LogKey(id)
		if key == nil {
			continue
		}
		found = key
		if _, err := verify.OpenCheckpoint(checkpoint, key, nil, e.Start); err == nil {
			break
		}
	}
	if found == nil {
		return nil, failed("give the trusted root of this service with --trusted-root", "the trusted root names no log %.100q", origin)
	}
	return found, nil
}

// prove checks that the answer has everything, and says so; the answer has been printed.
func (a *app) prove(request *avowv1.ListStatementsRequest, answer *avowv1.ListStatementsResponse, keys *logKeys, remember func(...signedHead) error) error {
	texts, err := provedTexts(request, answer.GetProof())
	if err != nil {
		return err
	}
	log, err := keys.log(answer.GetProof().GetCheckpoint())
	if err != nil {
		return err
	}
	r, err := listing.Check(answer.GetProof(), listing.Options{Log: log, IndexLog: keys.index, Keys: texts, Witnesses: keys.witnesses,
		At: a.env.Now()})
	var refused *listing.Error
	if errors.As(err, &refused) {
		return notProved("the proof of the list", refused)
	}
	if err != nil {
		return err
	}
	listed := make([]uint64, len(answer.GetStatements()))
	for n, s := range answer.GetStatements() {
		listed[n] = s.GetLogIndex()
	}
	if err := r.Matches(listed); errors.As(err, &refused) {
		return notProved("the list", refused)
	}
	if err := remember(signedHead{log, answer.GetProof().GetCheckpoint()}, signedHead{keys.index, answer.GetProof().GetIndexCheckpoint()}); err != nil {
		return err
	}
	for _, at := range r.Unresolved() {
		a.note("entry %d: unresolved; it is in the log, and nobody could read what it says: it may concern this", at)
	}
	a.note("%s", provedLine(r, request.GetVendor() != ""))
	return nil
}

// provedLine says what was proved.
func provedLine(r *listing.Result, ofVendor bool) string {
	line := fmt.Sprintf("complete as of tree size %d", r.TreeSize)
	if ofVendor {
		line += fmt.Sprintf(", for the %d signers that the service names as the vendor's", len(r.Lists))
	}
	if n := len(r.Cosignatures); n > 0 {
		line += fmt.Sprintf("; %d witnesses cosigned by %s", n, r.WitnessedBy.UTC().Format(time.RFC3339))
	}
	return line
}

// notProved is the answer that a list is not what it should be.
func notProved(what string, err *listing.Error) error {
	return &failure{code: exitNo, err: fmt.Errorf("%s: %s: %s", what, err.Code, err.Detail),
		hint: "do not rely on the list; keep the answer (--format json) and ask the operator of the service"}
}

// provedTexts are the texts of the keys that were asked for: the caller's own, but for a vendor's signers, which the service names.
func provedTexts(request *avowv1.ListStatementsRequest, proof *statusv1.ListingProof) ([]string, error) {
	switch {
	case request.GetSubjectSha256() != "":
		return []string{"subject:sha256:" + request.GetSubjectSha256()}, nil
	case request.GetProduct() != "":
		return []string{index.ProductText(request.GetProduct())}, nil
	}
	var texts []string
	for _, l := range proof.GetLists() {
		if !strings.HasPrefix(l.GetKey(), "issuer:sha256:") {
			return nil, notProved("the proof of the list", &listing.Error{Code: listing.CodeKeys,
				Detail: fmt.Sprintf("the key %.100q is not that of a signer", l.GetKey())})
		}
		texts = append(texts, l.GetKey())
	}
	slices.Sort(texts)
	if texts = slices.Compact(texts); len(texts) == 0 {
		return nil, notProved("the proof of the list", &listing.Error{Code: listing.CodeKeys, Detail: "it has no lists"})
	}
	return texts, nil
}

// runListProve lists everything, with the proof that it is everything.
func (a *app) runListProve(ctx context.Context, request *avowv1.ListStatementsRequest, f *listFlags) error {
	keys, err := f.keys.read(a)
	if err != nil {
		return err
	}
	m, err := a.memory(&f.keys.state)
	if err != nil {
		return err
	}
	prover, done, err := a.prover(&f.server)
	if err != nil {
		return err
	}
	defer done()
	request.Prove = true
	f.limit = listing.MaxEntries
	answer, err := a.listAll(ctx, request, f)
	if err != nil {
		return err
	}
	if answer.GetNextPageToken() != "" {
		return failed("tell the operator of the service", "the service lists more than the %d statements that a proof can have", listing.MaxEntries)
	}
	if f.format.json() {
		err = a.printMessage(answer)
	} else {
		err = a.printList(answer)
	}
	if err != nil {
		return err
	}
	return a.prove(request, answer, keys, func(s ...signedHead) error { return m.compare(ctx, prover, s...) })
}
