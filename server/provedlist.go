package server

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/server/index"
	"github.com/avow-dev/avow/server/vendors"
	vindex "github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/listing"
)

// provedList is a list of statements that is proved to be complete: the lists of the index under some keys, as long as they were
// when the first page was answered. Lists only grow at their end, so their lengths are all that a page token needs to remember.
type provedList struct {
	set    *index.Set
	keys   []string
	lists  [][]vindex.Entry
	proofs []*vindex.Proof
	filter []string
}

// proveStatements answers a page of a proved list.
func (a *attestationService) proveStatements(ctx context.Context, req *avowv1.ListStatementsRequest) (*avowv1.ListStatementsResponse, error) {
	keys, err := provedKeys(req, a.issuer.cfg.Vendors.Registry())
	if err != nil {
		return nil, err
	}
	until, cancel := context.WithTimeout(ctx, maxIndexWait)
	defer cancel()
	set, err := a.server.currentSet(ctx, until)
	if err != nil {
		return nil, err
	}
	l, from, err := openList(set, keys, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	// Who asks for a long list makes the service send and look through all of it.
	if err := a.server.charge(ctx, l.count()/entriesPerUnit); err != nil {
		return nil, err
	}
	resp := &avowv1.ListStatementsResponse{}
	if req.GetPageToken() == "" {
		resp.Proof = l.proof()
	}
	size := proto.Size(resp.GetProof())
	rows := l.indices()
	at, _ := slices.BinarySearch(rows, from)
	rows = rows[at:]
	for n, row := range rows {
		if n == pageSize(req.GetPageSize()) || size > maxAnswerBytes {
			resp.NextPageToken = l.token(row)
			break
		}
		one, err := a.summaryAt(ctx, until, row)
		if err != nil {
			return nil, err
		}
		size += proto.Size(one)
		resp.Statements = append(resp.Statements, one)
	}
	return resp, nil
}

// provedKeys are the texts of the keys whose lists are asked for, in ascending order.
func provedKeys(req *avowv1.ListStatementsRequest, registry *vendors.Registry) ([]string, error) {
	subject, vendor, product := req.GetSubjectSha256(), req.GetVendor(), req.GetProduct()
	given := 0
	for _, f := range []string{subject, vendor, product} {
		if f != "" {
			given++
		}
	}
	switch {
	case given != 1 || req.GetPredicateType() != "":
		return nil, invalidField("prove", "wants exactly one of subject_sha256, vendor and product, and no predicate_type")
	case subject != "":
		return []string{"subject:sha256:" + subject}, nil
	case product != "":
		return []string{vindex.ProductText(product)}, nil
	}
	v, ok := registry.ByName(vendor)
	if !ok {
		return nil, refuse(reasonVendorNotFound, "no vendor is registered as %q", clip(vendor, 80))
	}
	keys := make([]string, 0, len(v.Keys)+len(v.Identities))
	for n := range v.Keys {
		keys = append(keys, "issuer:"+v.Keys[n].ID)
	}
	for _, i := range v.Identities {
		keys = append(keys, "issuer:"+attest.Identity{Issuer: i.Issuer, Subject: i.SAN}.ID())
	}
	slices.Sort(keys)
	if keys = slices.Compact(keys); len(keys) > listing.MaxLists {
		return nil, refuse(reasonListingTooLarge, "%s has %d signers, at most %d can be listed with a proof", vendor, len(keys), listing.MaxLists)
	}
	return keys, nil
}

// openList looks the lists up: as they are, or as long as they were when the token was made, and then also where the page begins.
func openList(set *index.Set, keys []string, token string) (*provedList, uint64, error) {
	l := &provedList{set: set, keys: keys, filter: append([]string{"prove"}, keys...)}
	for _, k := range keys {
		entries, proof := set.Version.Lookup(vindex.TextKey(k))
		l.lists, l.proofs = append(l.lists, entries), append(l.proofs, proof)
	}
	var from uint64
	if token != "" {
		var err error
		if from, err = l.cut(token); err != nil {
			return nil, 0, err
		}
	}
	if n := l.count(); n > listing.MaxEntries {
		return nil, 0, refuse(reasonListingTooLarge, "the list has %d entries, at most %d can be proved in one answer; read the log instead (avow audit)",
			n, listing.MaxEntries)
	}
	return l, from, nil
}

func (l *provedList) count() int {
	n := 0
	for _, entries := range l.lists {
		n += len(entries)
	}
	return n
}

// indices are the log indices of the statements, each once, in ascending order.
func (l *provedList) indices() []uint64 { return statedIndices(slices.Concat(l.lists...)) }

// proof is what shows that the lists are complete.
func (l *provedList) proof() *statusv1.ListingProof {
	p := &statusv1.ListingProof{Checkpoint: string(l.set.Checkpoint), IndexCheckpoint: string(l.set.RootsCheckpoint),
		IndexRoot: string(l.set.Leaf), IndexRootProof: l.set.Proof}
	for n, k := range l.keys {
		p.Lists = append(p.Lists, &statusv1.KeyListing{Key: k, Proof: l.proofs[n].Append(nil), Entries: listing.Encode(l.lists[n])})
	}
	return p
}

// token encodes where the next page begins and how long the lists are, bound to the filter like [pageToken].
func (l *provedList) token(from uint64) string {
	raw := binary.BigEndian.AppendUint64(nil, from)
	for _, entries := range l.lists {
		raw = binary.AppendUvarint(raw, uint64(len(entries)))
	}
	return base64.RawURLEncoding.EncodeToString(append(raw, filterSum(l.filter)...))
}

// cut brings the lists to the length that they have in a token, and returns where the page begins.
func (l *provedList) cut(token string) (from uint64, err error) {
	bad := badPageToken()
	if len(token) > 64+14*len(l.lists) {
		return 0, bad
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) < 8+filterSumBytes {
		return 0, bad
	}
	from, raw = binary.BigEndian.Uint64(raw), raw[8:]
	for n := range l.lists {
		count, used := binary.Uvarint(raw)
		if used <= 0 || count > uint64(len(l.lists[n])) {
			return 0, bad
		}
		l.lists[n], raw = l.lists[n][:count], raw[used:]
	}
	if token != l.token(from) { // one spelling, as in readPageToken
		return 0, bad
	}
	return from, nil
}

// summaryAt summarises the statement of a log entry. The index can be a moment ahead of its commit, which is waited for.
func (a *attestationService) summaryAt(ctx, until context.Context, at uint64) (*avowv1.StatementSummary, error) {
	rec, err := a.server.committedAt(ctx, until, at)
	switch {
	case err != nil:
		return nil, err
	case rec == nil:
		return nil, refuse(reasonIndexUnavailable, "entry %d is in the index, and its statement is not committed yet; repeat the call", at)
	}
	s := &avowv1.StatementSummary{
		StatementId: rec.StatementID, KeyId: rec.KeyID, Vendor: rec.Vendor, PredicateType: rec.PredicateType, LogIndex: rec.LogIndex,
		CommitTime: timestamppb.New(rec.CommittedAt), Products: rec.Products, SubjectSha256S: rec.Subjects,
	}
	if i, ok := attest.ParseIdentity(rec.Signer); ok {
		s.Identity = &avowv1.SignerIdentity{Issuer: i.Issuer, Subject: i.Subject}
	}
	return s, nil
}
