package server

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	vindex "github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/replay"
	"github.com/avow-dev/avow/verify/listing"
)

// proved reads all pages of a proved list, and checks the proof as a buyer does.
func (w *world) proved(req *avowv1.ListStatementsRequest, keys ...string) (*listing.Result, []*avowv1.StatementSummary) {
	w.t.Helper()
	req = proto.CloneOf(req)
	req.Prove = true
	var all []*avowv1.StatementSummary
	var result *listing.Result
	for first := true; first || req.PageToken != ""; first = false {
		page := must(w.attestation().ListStatements(w.t.Context(), req))(w.t)
		if (page.GetProof() != nil) != first {
			w.t.Fatalf("a proof on the first page and on no other, got %v", page.GetProof())
		}
		if first {
			var err error
			if result, err = listing.Check(page.GetProof(), listing.Options{Log: must(logKey(w.log))(w.t),
				IndexLog: must(logKey(w.roots))(w.t), Keys: keys}); err != nil {
				w.t.Fatal(err)
			}
		}
		all, req.PageToken = append(all, page.GetStatements()...), page.GetNextPageToken()
	}
	return result, all
}

func indicesOf(list []*avowv1.StatementSummary) (all []uint64) {
	for _, s := range list {
		all = append(all, s.GetLogIndex())
	}
	return all
}

// TestProvedList: by artifact, product and vendor, each list is exactly what the proof shows, and nothing of others'.
func TestProvedList(t *testing.T) {
	w := newWorld(t)
	flows := dataFlows(t)
	subject := subjectOf(t, flows)
	var acme []uint64
	for n := range 7 {
		key := w.acme
		if n%2 == 1 {
			key = w.acmeSecond
		}
		acme = append(acme, w.issue(dataFlows(t), key).GetLogIndex())
	}
	held := must(w.attestation().Issue(withToken(t.Context(), w.heldToken), unsigned(heldFlows(t))))(t)
	_, withdrawn := w.say(withdrawalOf(t, "sha256:"+digestOf(flows)), w.acme)
	bare := must(must(attest.Reopen(envelope(t, dataFlows(t), w.acme), w.acme.PublicKey()))(t).Leaf())(t)
	entry := must(w.log.Append(t.Context(), bare))(t)

	r, list := w.proved(&avowv1.ListStatementsRequest{Product: "pkg:generic/example-gateway@9.9.9?arch=x", PageSize: 3},
		"product:pkg:generic/example-gateway")
	if got := indicesOf(list); !slices.Equal(got, acme) || r.Matches(got) != nil || r.TreeSize != entry.Index+1 {
		t.Errorf("product: got %v of %d, want %v", got, r.TreeSize, acme)
	}
	all := append(slices.Clone(acme), held.GetLogIndex())
	r, list = w.proved(&avowv1.ListStatementsRequest{SubjectSha256: subject, PageSize: 2}, "subject:sha256:"+subject)
	if got := indicesOf(list); r.Matches(got) != nil || !slices.Equal(got[:len(acme)], all[:len(acme)]) {
		t.Errorf("subject: got %v, want %v: %v", got, all, r.Matches(got))
	}
	var signers []string
	v, _ := w.vendors.Registry().ByName("acme")
	for _, k := range v.Keys {
		signers = append(signers, "issuer:"+k.ID)
	}
	for _, i := range v.Identities {
		signers = append(signers, "issuer:"+string(vindex.IdentitySigner(i.Issuer, i.SAN)))
	}
	slices.Sort(signers)
	r, list = w.proved(&avowv1.ListStatementsRequest{Vendor: "acme", PageSize: 4}, signers...)
	if got := indicesOf(list); !slices.Equal(got, append(slices.Clone(acme), withdrawn)) || r.Matches(got) != nil {
		t.Errorf("vendor: got %v, want %v and %d", got, acme, withdrawn)
	}
	if got := r.Unresolved(); !slices.Equal(got, []uint64{entry.Index}) {
		t.Errorf("unresolved: got %v, want %d", got, entry.Index)
	}
	nothing := strings.Repeat("0", 64)
	if r, list = w.proved(&avowv1.ListStatementsRequest{SubjectSha256: nothing}, "subject:sha256:"+nothing); len(list) != 0 || len(r.Stated()) != 0 {
		t.Errorf("nothing: got %v", list)
	}
	// A line is the same whichever way it was found.
	plain := must(w.attestation().ListStatements(t.Context(), &avowv1.ListStatementsRequest{Vendor: "acme"}))(t).GetStatements()
	_, list = w.proved(&avowv1.ListStatementsRequest{Vendor: "acme"}, signers...)
	for n := range list {
		if !proto.Equal(list[n], plain[n]) {
			t.Errorf("line %d: got %v, want %v", n, list[n], plain[n])
		}
	}
}

// TestProvedListGoesOn: pages belong to the proof of the first one, whatever is issued meanwhile.
func TestProvedListGoesOn(t *testing.T) {
	w := newWorld(t)
	for range 4 {
		w.issue(dataFlows(t), w.acme)
	}
	req := &avowv1.ListStatementsRequest{Product: "pkg:generic/example-gateway", Prove: true, PageSize: 3}
	first := must(w.attestation().ListStatements(t.Context(), req))(t)
	w.issue(dataFlows(t), w.acme)
	req.PageToken = first.GetNextPageToken()
	second := must(w.attestation().ListStatements(t.Context(), req))(t)
	if got := indicesOf(append(first.GetStatements(), second.GetStatements()...)); !slices.Equal(got, []uint64{0, 1, 2, 3}) || second.GetNextPageToken() != "" {
		t.Errorf("got %v, and then %q", got, second.GetNextPageToken())
	}
	for name, token := range map[string]string{
		"plain": pageToken(3, []string{"", "", req.GetProduct(), ""}), "longer": first.GetNextPageToken() + "A", "long": strings.Repeat("A", 200),
		"no token": "!", "another spelling": first.GetNextPageToken() + "\n", "short": first.GetNextPageToken()[:20],
	} {
		req.PageToken = token
		_, err := w.attestation().ListStatements(t.Context(), req)
		t.Log(name)
		wantReason(t, err, reasonPageTokenInvalid)
	}
	req.PageToken, req.Product = first.GetNextPageToken(), "pkg:generic/other"
	_, err := w.attestation().ListStatements(t.Context(), req)
	wantReason(t, err, reasonPageTokenInvalid)
}

// TestProvedListRequests: what cannot be proved is refused.
func TestProvedListRequests(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		req    *avowv1.ListStatementsRequest
		reason avowv1.ErrorReason
	}{
		"everything":    {&avowv1.ListStatementsRequest{}, reasonRequestInvalid},
		"two filters":   {&avowv1.ListStatementsRequest{Vendor: "acme", Product: "pkg:generic/x"}, reasonRequestInvalid},
		"a type":        {&avowv1.ListStatementsRequest{Vendor: "acme", PredicateType: "https://w3id.org/avow/data-flows/v1"}, reasonRequestInvalid},
		"nobody":        {&avowv1.ListStatementsRequest{Vendor: "nobody"}, reasonVendorNotFound},
		"a digest":      {&avowv1.ListStatementsRequest{SubjectSha256: "aa"}, reasonRequestInvalid},
		"a plain token": {&avowv1.ListStatementsRequest{Vendor: "acme", PageToken: pageToken(1, []string{"", "acme", "", ""})}, reasonPageTokenInvalid},
	} {
		c.req.Prove = true
		_, err := w.attestation().ListStatements(t.Context(), c.req)
		t.Log(name)
		wantReason(t, err, c.reason)
	}
	none := newWorld(t, withoutIndex)
	_, err := none.attestation().ListStatements(t.Context(), &avowv1.ListStatementsRequest{Vendor: "acme", Prove: true})
	wantReason(t, err, reasonIndexNotConfigured)
}

// TestProvedListTooLarge: a list beyond the limit is refused, one at the limit fits into a message.
func TestProvedListTooLarge(t *testing.T) {
	w := newWorld(t)
	w.issue(dataFlows(t), w.acme)
	set := *w.covered(1)
	const key = "subject:sha256:aa"
	tree := &replay.Tree{}
	for n := range uint64(listing.MaxEntries) {
		tree.Add(vindex.TextKey(key), vindex.Entry{LogIndex: n})
	}
	set.Version = tree.Publish()
	l, _, err := openList(&set, []string{key}, "")
	if err != nil {
		t.Fatal(err)
	}
	if size := proto.Size(l.proof()); size > maxAnswerBytes {
		t.Errorf("the largest proof has %d bytes, want at most %d", size, maxAnswerBytes)
	}
	token := l.token(7)
	tree.Add(vindex.TextKey(key), vindex.Entry{LogIndex: listing.MaxEntries})
	set.Version = tree.Publish()
	if _, _, err := openList(&set, []string{key}, ""); err == nil || toRefusal(err).reason != reasonListingTooLarge {
		t.Errorf("got %v, want LISTING_TOO_LARGE", err)
	}
	if again, from, err := openList(&set, []string{key}, token); err != nil || from != 7 || again.count() != listing.MaxEntries {
		t.Errorf("a page of a list that has grown beyond the limit: %v", err)
	}
}
