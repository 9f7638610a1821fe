package server

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/verdictpb"
	"github.com/avow-dev/avow/server/statements"
)

// attestationService is avow.v1.AttestationService.
type attestationService struct {
	avowv1.UnsafeAttestationServiceServer // a new method without an implementation does not compile
	issuer                                *issuer
	server                                *Server
}

// Issue implements avow.v1.AttestationService.
func (a *attestationService) Issue(ctx context.Context, req *avowv1.IssueRequest) (*avowv1.IssueResponse, error) {
	sub, err := a.issuer.open(ctx, req, a.issuer.cfg.Clock())
	if err != nil {
		return nil, err
	}
	subs := []*submission{sub}
	results, err := a.issuer.checkAndIssue(ctx, subs, "", "")
	if err != nil {
		return nil, err
	}
	return a.response(sub, results), nil
}

// IssueBatch implements avow.v1.AttestationService: everything is checked before anything is stored.
func (a *attestationService) IssueBatch(
	ctx context.Context, req *avowv1.IssueBatchRequest,
) (*avowv1.IssueBatchResponse, error) {
	requests := req.GetRequests()
	if len(requests) == 0 || len(requests) > MaxBatch {
		return nil, invalidField("requests", "got %d, want 1 to %d", len(requests), MaxBatch)
	}
	subs, err := a.openAll(ctx, requests)
	if err != nil {
		return nil, err
	}
	declaration, err := declarationID(subs)
	if err != nil {
		return nil, err
	}
	results, err := a.issuer.checkAndIssue(ctx, subs, declaration, "requests[%d]")
	if err != nil {
		return nil, err
	}
	resp := &avowv1.IssueBatchResponse{Responses: make([]*avowv1.IssueResponse, len(subs))}
	for n, sub := range subs {
		resp.Responses[n] = a.response(sub, results)
	}
	return resp, nil
}

// openAll opens every member. Broken rules of all members are reported together; any other fault ends it.
func (a *attestationService) openAll(ctx context.Context, requests []*avowv1.IssueRequest) ([]*submission, error) {
	subs := make([]*submission, len(requests))
	var broken *refusal
	now := a.issuer.cfg.Clock()
	for n, r := range requests {
		sub, err := a.issuer.open(ctx, r, now)
		subs[n] = sub
		var rules *predicate.RulesError
		switch member := fmt.Sprintf("requests[%d]", n); {
		case errors.As(err, &rules):
			broken = joinRules(broken, rulesRefusal(member, rules.Findings))
		case err != nil:
			return nil, ofMember(member, toRefusal(err))
		}
	}
	if broken != nil {
		return nil, broken
	}
	return subs, nil
}

// member is the place of a batch's member in the request.
func member(n int) string { return fmt.Sprintf("requests[%d].", n) }

// ofMember says which member of a batch a refusal is about.
func ofMember(member string, r *refusal) *refusal {
	named := *r
	named.message = member + ": " + r.message
	for _, v := range named.violations {
		v.Field = member + "." + v.Field
	}
	return &named
}

func joinRules(a, b *refusal) *refusal {
	if a == nil {
		return b
	}
	a.violations = append(a.violations, b.violations...)
	a.message = fmt.Sprintf("the statements break %d issuance rules", len(a.violations))
	return a
}

// declarationID names a batch by its members, so that a repeated batch is the same declaration. It refuses what is
// not one.
func declarationID(subs []*submission) (string, error) {
	h := sha256.New()
	seen := make(map[string]int, len(subs))
	for n, sub := range subs {
		id := sub.envelope.StatementID()
		if first, ok := seen[id]; ok {
			return "", refuse(reasonBatchInvalid, "requests[%d] and requests[%d] are the same statement %s", first, n, id)
		}
		seen[id] = n
		if sub.vendor.Name != subs[0].vendor.Name {
			return "", refuse(reasonBatchInvalid,
				"requests[0] is of %s and requests[%d] of %s; a declaration is one vendor's",
				subs[0].vendor.Name, n, sub.vendor.Name)
		}
		h.Write([]byte(id + sub.row().keyID))
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

// checkAndIssue applies what needs other statements, and takes the submissions through steps 7 to 12. member is the format of a
// batch's field prefix.
func (i *issuer) checkAndIssue(
	ctx context.Context, subs []*submission, declaration, member string,
) (map[rowKey]*issued, error) {
	if err := i.life.check(ctx, subs, member); err != nil {
		return nil, err
	}
	if err := i.checkRelated(ctx, subs, member); err != nil {
		return nil, err
	}
	if err := i.life.warn(ctx, subs); err != nil && ctx.Err() == nil {
		i.cfg.Logger.WarnContext(ctx, "contradictions were not looked for", slog.Any("error", err))
	}
	release, err := i.life.admit(ctx, subs)
	if err != nil {
		return nil, err
	}
	return i.issue(ctx, subs, declaration, release)
}

// checkRelated applies the rules that need other statements. member is the format of a batch's field prefix.
func (i *issuer) checkRelated(ctx context.Context, subs []*submission, member string) error {
	all, err := i.related.check(ctx, subs)
	if err != nil {
		return err
	}
	var broken *refusal
	for n, findings := range all {
		if blocking := findings.Errors(); len(blocking) > 0 {
			prefix := ""
			if member != "" {
				prefix = fmt.Sprintf(member, n)
			}
			broken = joinRules(broken, rulesRefusal(prefix, blocking))
		}
	}
	if broken != nil {
		return broken
	}
	return nil
}

func (a *attestationService) response(sub *submission, results map[rowKey]*issued) *avowv1.IssueResponse {
	row := sub.row()
	out := results[row]
	return &avowv1.IssueResponse{
		StatementId: row.statementID, KeyId: row.keyID, Bundle: out.bundle, LogIndex: out.logIndex,
		LogOrigin: a.issuer.cfg.Log.Origin(), AlreadyIssued: out.before,
		Warnings: verdictpb.Findings(slices.Concat(sub.envelope.Warnings(), sub.warnings)), Identity: identityMessage(sub.envelope),
	}
}

// GetStatement implements avow.v1.AttestationService.
func (a *attestationService) GetStatement(
	ctx context.Context, req *avowv1.GetStatementRequest,
) (*avowv1.GetStatementResponse, error) {
	id, keyID := req.GetStatementId(), req.GetKeyId()
	if !isDigestID(id) {
		return nil, invalidField("statement_id", wantDigestID, clip(id, 80))
	}
	if keyID != "" && !isDigestID(keyID) {
		return nil, invalidField("key_id", wantDigestID, clip(keyID, 80))
	}
	records, err := committedRecords(ctx, a.issuer.cfg.Store, id)
	if err != nil {
		return nil, err
	}
	resp := &avowv1.GetStatementResponse{StatementId: id, SignerCount: uint32(len(records))}
	size := 0
	for n := range records {
		rec := &records[n]
		if keyID != "" && rec.KeyID != keyID {
			continue
		}
		env, err := reopen(rec)
		if err != nil {
			return nil, err
		}
		if resp.Statement == nil {
			resp.Statement, resp.PredicateType = env.Statement().Payload(), env.Statement().Type
		}
		bundle, err := bundleOf(rec, env)
		if err != nil {
			return nil, err
		}
		if size += len(bundle); size > maxAnswerBytes {
			break
		}
		resp.Bundles = append(resp.Bundles, &avowv1.IssuedBundle{
			KeyId: rec.KeyID, Vendor: rec.Vendor, Bundle: bundle, LogIndex: rec.LogIndex,
			CommitTime: timestamppb.New(rec.CommittedAt), Identity: identityMessage(env),
		})
	}
	if len(resp.GetBundles()) == 0 {
		return nil, refuse(reasonStatementNotFound, "no statement %s by key %s", id, keyID)
	}
	return resp, nil
}

// committedRecords returns the records of a statement that are in the log. A pending one is not public yet.
func committedRecords(ctx context.Context, store *statements.Store, id string) ([]statements.Record, error) {
	all, err := store.Get(ctx, id)
	if err != nil && !errors.Is(err, statements.ErrNotFound) {
		return nil, err
	}
	var committed []statements.Record
	for n := range all {
		if all[n].State == statements.StateCommitted {
			committed = append(committed, all[n])
		}
	}
	if len(committed) == 0 {
		return nil, refuse(reasonStatementNotFound, "no statement %s", id)
	}
	return committed, nil
}

// ListStatements implements avow.v1.AttestationService.
func (a *attestationService) ListStatements(
	ctx context.Context, req *avowv1.ListStatementsRequest,
) (*avowv1.ListStatementsResponse, error) {
	filter := []string{req.GetSubjectSha256(), req.GetVendor(), req.GetProduct(), req.GetPredicateType()}
	for n, name := range []string{"subject_sha256", "vendor", "product", "predicate_type"} {
		if len(filter[n]) > MaxFilterBytes {
			return nil, invalidField(name, "got %d bytes, want at most %d", len(filter[n]), MaxFilterBytes)
		}
	}
	if s := filter[0]; s != "" && (len(s) != 64 || !isHex(s)) {
		return nil, invalidField("subject_sha256", "got %q, want 64 lower-case hexadecimal digits", clip(s, 80))
	}
	if req.GetProve() {
		return a.proveStatements(ctx, req)
	}
	from, err := readPageToken(req.GetPageToken(), filter)
	if err != nil {
		return nil, err
	}
	page, next, err := a.issuer.cfg.Store.List(ctx, statements.Query{
		SubjectSHA256: filter[0], Vendor: filter[1], Product: filter[2], PredicateType: filter[3],
		From: from, Limit: pageSize(req.GetPageSize()),
	})
	if err != nil {
		return nil, err
	}
	if len(page) == 0 && from == 0 {
		if err := a.vendorKnown(ctx, req.GetVendor()); err != nil {
			return nil, err
		}
	}
	identities, err := a.identitiesOf(ctx, page)
	if err != nil {
		return nil, err
	}
	resp := &avowv1.ListStatementsResponse{Statements: make([]*avowv1.StatementSummary, len(page))}
	for n, s := range page {
		resp.Statements[n] = &avowv1.StatementSummary{
			StatementId: s.StatementID, KeyId: s.KeyID, Vendor: s.Vendor, PredicateType: s.PredicateType,
			LogIndex: s.LogIndex, CommitTime: timestamppb.New(s.CommittedAt),
			Products: s.Products, SubjectSha256S: s.Subjects, Identity: identities[s.KeyID],
		}
	}
	if next != 0 {
		resp.NextPageToken = pageToken(next, filter)
	}
	return resp, nil
}

// identitiesOf finds those of the signers of a page that are identities.
func (a *attestationService) identitiesOf(ctx context.Context, page []statements.Summary) (map[string]*avowv1.SignerIdentity, error) {
	known := map[string]*avowv1.SignerIdentity{}
	for n := range page {
		id := page[n].KeyID
		if _, ok := known[id]; ok {
			continue
		}
		signer, err := a.issuer.cfg.Store.Signer(ctx, id)
		if err != nil {
			return nil, err
		}
		known[id] = nil
		if i, ok := attest.ParseIdentity(signer); ok {
			known[id] = &avowv1.SignerIdentity{Issuer: i.Issuer, Subject: i.Subject}
		}
	}
	return known, nil
}

// vendorKnown tells a vendor that declared nothing from a name that is misspelt. A vendor that left the registry is known
// by its statements: they stay.
func (a *attestationService) vendorKnown(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	if _, ok := a.issuer.cfg.Vendors.Registry().ByName(name); ok {
		return nil
	}
	page, _, err := a.issuer.cfg.Store.List(ctx, statements.Query{Vendor: name, Limit: 1})
	if err == nil && len(page) == 0 {
		err = refuse(reasonVendorNotFound, "no vendor is registered as %q, and none of that name has statements", clip(name, 80))
	}
	return err
}

func pageSize(asked uint32) int {
	if asked == 0 {
		return DefaultPageSize
	}
	return int(min(asked, MaxPageSize))
}

const filterSumBytes = 16

// pageToken encodes where the next page begins, bound to the filter: a token that is used with another filter would
// skip statements without anybody noticing. It holds no secret and needs no key.
func pageToken(from uint64, filter []string) string {
	raw := binary.BigEndian.AppendUint64(make([]byte, 0, 8+filterSumBytes), from)
	return base64.RawURLEncoding.EncodeToString(append(raw, filterSum(filter)...))
}

// readPageToken is the inverse of pageToken; an empty token is the beginning.
func readPageToken(token string, filter []string) (uint64, error) {
	if token == "" {
		return 0, nil
	}
	bad := badPageToken()
	if len(token) > 64 {
		return 0, bad
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) != 8+filterSumBytes {
		return 0, bad
	}
	// Compared as it is written: base64 has more than one spelling of the same bytes, with line breaks for one.
	from := binary.BigEndian.Uint64(raw)
	if token != pageToken(from, filter) {
		return 0, bad
	}
	return from, nil
}

func badPageToken() error {
	return refuse(reasonPageTokenInvalid, "the page token is not one that was given out for this filter; start again without a token")
}

func filterSum(filter []string) []byte {
	h := sha256.New()
	for _, f := range filter {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(f))))
		h.Write([]byte(f))
	}
	return h.Sum(nil)[:filterSumBytes]
}
