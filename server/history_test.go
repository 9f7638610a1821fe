package server

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/verify/standing"
)

// TestHistories issues random histories of declarations, withdrawals, successors, disputes and assessments by several vendors, allowed
// ones and others, and compares every answer about them with a model that goes through all that was said. One service takes them all,
// so that each is asked about among the others. -rapid.checks runs more of them than the first few.
func TestHistories(t *testing.T) {
	w := newLifeWorld(t, func(w *world) { w.limits.OpinionsPerHour = 1e6 })
	h := &histories{w: w, keys: map[string]*attest.KeyFile{"acme": w.acme, "second": w.acmeSecond, "heir": w.successor, "recovery0": w.recovery[0],
		"recovery1": w.recovery[1], "recovery2": w.recovery[2], "held": w.held, "watch": w.disputer, "lab": w.assessor}}
	standings, refusals, left := map[string]int{}, 0, 30
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() != checks.DefValue {
		left = math.MaxInt
	}
	rapid.Check(t, func(rt *rapid.T) {
		if left--; left < 0 {
			return
		}
		h.begin()
		for range rapid.IntRange(5, 12).Draw(rt, "steps") {
			if h.step(rt) {
				refusals++
			}
		}
		waitFor(t, func() bool { return w.index.Current().Root.Size == w.size() })
		h.compare(rt, standings)
	})
	for _, s := range []string{"STANDING_IN_FORCE", "STANDING_WITHDRAWN", "STANDING_PARTLY_WITHDRAWN", "STANDING_SUPERSEDED", "STANDING_UNKNOWN"} {
		if standings[s] == 0 {
			t.Errorf("no history came to %s: %v", s, standings)
		}
	}
	if refusals == 0 {
		t.Error("no step was refused")
	}
	t.Logf("%d statements by all, %d refused, standings %v", len(h.all), refusals, standings)
}

// deed is a statement in the log, by one signer.
type deed struct {
	at                      uint64
	id, by, kind            string
	payload                 []byte
	artifacts               []string
	about, thread, replaces string // ids
	items                   []string
}

// histories is the model: everything that was ever said, and where the history at hand begins in it.
type histories struct {
	w         *lifeWorld
	keys      map[string]*attest.KeyFile
	all       []deed
	first     int
	artifacts []string
}

func (h *histories) begin() {
	h.first, h.artifacts = len(h.all), nil
	for range 3 {
		h.artifacts = append(h.artifacts, digestOf(fmt.Appendf(nil, "artifact %d", serial.Add(1))))
	}
}

func (h *histories) now() []deed { return h.all[h.first:] }

// of are the deeds at hand of a kind.
func (h *histories) of(kind string) []deed {
	return slices.DeleteFunc(slices.Clone(h.now()), func(d deed) bool { return d.kind != kind })
}

// signers are who signed a statement.
func (h *histories) signers(id string) (names []string) {
	for _, d := range h.all {
		if d.id == id {
			names = append(names, d.by)
		}
	}
	return names
}

// speaksFor: the signer, or the one key that the registry calls a successor.
func (h *histories) speaksFor(by, id string) bool {
	signers := h.signers(id)
	return slices.Contains(signers, by) || by == "heir" && slices.Contains(signers, "acme")
}

func vendorOf(signer string) string {
	if slices.Contains([]string{"held", "watch", "lab"}, signer) {
		return signer
	}
	return "acme"
}

func (h *histories) step(rt *rapid.T) (refused bool) {
	one := func(what string, of ...string) string { return rapid.SampledFrom(of).Draw(rt, what) }
	declared := h.of("declaration")
	kind := one("step", "declare", "declare", "withdraw", "withdraw", "withdraw", "co-sign", "supersede", "supersede", "dispute", "thread", "assess")
	if len(declared) == 0 {
		kind = "declare"
	}
	if kind == "declare" {
		by := one("by", "acme", "second", "heir", "held")
		return h.say(rt, h.declaration(rt, by, nil), true)
	}
	target := rapid.SampledFrom(declared).Draw(rt, "target")
	switch kind {
	case "withdraw":
		d := h.withdrawal(rt, target, one("by", target.by, target.by, "acme", "second", "heir", "recovery0", "recovery1", "recovery2", "held"))
		ofRecovery := strings.HasPrefix(d.by, "recovery") && slices.ContainsFunc(h.signers(target.id), func(s string) bool { return vendorOf(s) == "acme" })
		return h.say(rt, d, ofRecovery || h.speaksFor(d.by, target.id))
	case "co-sign":
		d := rapid.SampledFrom(append(declared, h.of("withdrawal")...)).Draw(rt, "co-signed")
		if vendorOf(d.by) != "acme" {
			return false
		}
		d.by = one("by", "acme", "second", "heir", "recovery0", "recovery1", "recovery2")
		recovery := strings.HasPrefix(d.by, "recovery")
		switch {
		case d.kind == "declaration" && recovery:
			return false // KEY_UNKNOWN, which lifecycle_test.go has
		case d.kind == "declaration":
			return h.say(rt, d, d.replaces == "" || h.speaksFor(d.by, d.replaces) || slices.Contains(h.signers(d.id), d.by))
		}
		ofRecovery := recovery && slices.ContainsFunc(h.signers(d.about), func(s string) bool { return vendorOf(s) == "acme" })
		return h.say(rt, d, ofRecovery || h.speaksFor(d.by, d.about))
	case "supersede":
		d := h.declaration(rt, one("by", target.by, target.by, "acme", "second", "heir", "held"), &target)
		return h.say(rt, d, h.speaksFor(d.by, target.id))
	case "dispute":
		payload := dispute(h.w.t, target.payload, "opened", disputerName, nil)
		return h.say(rt, deed{by: "watch", kind: "dispute", payload: payload, about: target.id, artifacts: target.artifacts}, true)
	case "assess":
		payload := assessment(h.w.t, target.payload, assessorName, "thirdParty")
		return h.say(rt, deed{by: "lab", kind: "assessment", payload: payload, about: target.id, artifacts: target.artifacts}, true)
	}
	return h.thread(rt, one)
}

// thread goes on with a dispute.
func (h *histories) thread(rt *rapid.T, one func(string, ...string) string) bool {
	opened := slices.DeleteFunc(h.of("dispute"), func(d deed) bool { return d.thread != "" })
	if len(opened) == 0 {
		return false
	}
	d := rapid.SampledFrom(opened).Draw(rt, "dispute")
	event := one("event", "answered", "settled", "rejected", "upheld")
	by, name, allowed := "lab", assessorName, true
	switch {
	case event == "answered":
		by, name = one("by", "acme", "second", "heir"), acmeDeclarant
		allowed = h.speaksFor(by, d.about)
	case event == "settled":
		by, name = "watch", disputerName
	}
	target := h.payload(d.about)
	payload := dispute(h.w.t, target, event, name, d.payload)
	return h.say(rt, deed{by: by, kind: "dispute", payload: payload, about: d.about, thread: d.id, artifacts: d.artifacts}, allowed)
}

func (h *histories) payload(id string) []byte {
	return h.all[slices.IndexFunc(h.all, func(d deed) bool { return d.id == id })].payload
}

func (h *histories) declaration(rt *rapid.T, by string, old *deed) deed {
	d := deed{by: by, kind: "declaration"}
	d.artifacts = rapid.SliceOfNDistinct(rapid.SampledFrom(h.artifacts), 1, 2, rapid.ID[string]).Draw(rt, "artifacts")
	d.payload = twoFlows(h.w.t, func(common map[string]any) {
		if by == "held" {
			party := common["declarant"].(map[string]any)["party"].(map[string]any)
			party["name"], party["country"] = heldDeclarant, "US"
			common["product"].(map[string]any)["identifiers"].([]any)[0].(map[string]any)["value"] = "pkg:generic/held/app@1.2.3"
		}
		if old != nil {
			d.replaces = old.id
			common["supersedes"] = []any{reference(parsed(h.w.t, old.payload))}
		}
	})
	whole := saying{}
	if err := json.Unmarshal(d.payload, &whole); err != nil {
		rt.Fatal(err)
	}
	var subjects []any
	for _, a := range d.artifacts {
		subjects = append(subjects, saying{"name": a[:8], "digest": saying{"sha256": a}})
	}
	whole["subject"] = subjects
	d.payload = must(json.Marshal(whole))(h.w.t)
	return d
}

func (h *histories) withdrawal(rt *rapid.T, target deed, by string) deed {
	d := deed{by: by, kind: "withdrawal", about: target.id, artifacts: target.artifacts}
	n := rapid.SampledFrom([]int{1, 0, 1, 2}).Draw(rt, "number of items")
	d.items = rapid.SliceOfNDistinct(rapid.SampledFrom(parsed(h.w.t, target.payload).ItemIDs()), n, n, rapid.ID[string]).Draw(rt, "items")
	d.payload = withdrawal(h.w.t, target.payload, d.items...)
	if by == "held" {
		whole := saying{}
		if err := json.Unmarshal(d.payload, &whole); err != nil {
			rt.Fatal(err)
		}
		whole["predicate"].(map[string]any)["declarant"].(map[string]any)["party"] = saying{"name": heldDeclarant, "country": "US"}
		d.payload = must(json.Marshal(whole))(h.w.t)
	}
	return d
}

// say issues a deed, and wants it taken or refused. It reports whether it was refused.
func (h *histories) say(rt *rapid.T, d deed, allowed bool) (refused bool) {
	d.id = "sha256:" + digestOf(d.payload)
	resp, err := h.w.attestation().Issue(h.w.t.Context(), signed(h.w.t, d.payload, h.keys[d.by]))
	if !allowed {
		if got := reasonOf(status.Convert(err)); got != reasonName(reasonTargetNotYours) {
			rt.Fatalf("%s by %s: got %v, want it refused as another one's", d.kind, d.by, err)
		}
		return true
	}
	if err != nil {
		rt.Fatalf("%s by %s: %v", d.kind, d.by, err)
	}
	if before := slices.Contains(h.signers(d.id), d.by); before != resp.GetAlreadyIssued() {
		rt.Fatalf("%s by %s: already issued %v, want %v", d.kind, d.by, resp.GetAlreadyIssued(), before)
	} else if before {
		return false
	}
	if d.at = resp.GetLogIndex(); d.at != uint64(len(h.all)) {
		rt.Fatalf("entry %d, want %d", d.at, len(h.all))
	}
	h.all = append(h.all, d)
	return false
}

// counts reports whether what a deed says about one counts like the word of its signer: what service counts, or a buyer without a registry.
func (h *histories) counts(said, target deed, service bool) bool {
	switch {
	case said.by == target.by:
		return true
	case !service:
		return false
	case said.by == "heir":
		return target.by == "acme"
	case !strings.HasPrefix(said.by, "recovery") || said.kind != "withdrawal" || vendorOf(target.by) != "acme":
		return false
	}
	keys := slices.DeleteFunc(h.signers(said.id), func(s string) bool { return !strings.HasPrefix(s, "recovery") })
	return len(keys) >= 2
}

// verdict is how a deed stands, what of it was withdrawn, and the entries that are about it.
func (h *histories) verdict(d deed, service bool) (s avowv1.Standing, reason standing.Reason, items []string, said []uint64) {
	foreign, superseded, gone := false, false, false
	all := parsed(h.w.t, d.payload).ItemIDs()
	for _, x := range h.all {
		if x.about != d.id && x.replaces != d.id {
			continue
		}
		said = append(said, x.at)
		counts := h.counts(x, d, service)
		switch {
		case x.kind == "declaration":
			superseded = superseded || counts
		case x.kind != "withdrawal" || gone:
		case !counts:
			foreign = true
		case len(x.items) == 0:
			gone, items = true, nil
		default:
			items = slices.Compact(slices.Sorted(slices.Values(append(items, x.items...))))
			gone = len(items) == len(all)
		}
	}
	switch {
	case gone:
		return avowv1.Standing_STANDING_WITHDRAWN, standing.ReasonWithdrawal, items, said
	case foreign:
		return avowv1.Standing_STANDING_UNKNOWN, standing.ReasonForeign, items, said
	case superseded:
		return avowv1.Standing_STANDING_SUPERSEDED, standing.ReasonSuccessor, items, said
	case len(items) > 0:
		return avowv1.Standing_STANDING_PARTLY_WITHDRAWN, standing.ReasonWithdrawal, items, said
	}
	return avowv1.Standing_STANDING_IN_FORCE, standing.ReasonNothing, nil, said
}

// line is an answer, or what the model wants of one, to be compared.
func line(at uint64, s avowv1.Standing, reason string, items []string, said []uint64) string {
	return fmt.Sprint(at, " ", s, " ", reason, " ", items, " ", said)
}

func (h *histories) lines(of func(deed) bool) (want []string) {
	for _, d := range h.of("declaration") {
		if of(d) {
			s, reason, items, said := h.verdict(d, true)
			want = append(want, line(d.at, s, string(reason), items, said))
		}
	}
	return want
}

// compare asks everything about the history at hand, one by one and in a batch.
func (h *histories) compare(rt *rapid.T, standings map[string]int) {
	batch := &avowv1.BatchGetStandingRequest{}
	var want [][]string
	ask := func(req *avowv1.GetStandingRequest, lines []string) {
		batch.Requests, want = append(batch.Requests, req), append(want, lines)
	}
	ids := map[string]bool{}
	for _, d := range h.of("declaration") {
		if !ids[d.id] {
			ids[d.id] = true
			ask(byID(d.id), h.lines(func(x deed) bool { return x.id == d.id }))
		}
	}
	for _, a := range h.artifacts {
		about := func(d deed) bool { return slices.Contains(d.artifacts, a) }
		ask(byArtifact(a), h.lines(about))
		r, list := h.w.proved(&avowv1.ListStatementsRequest{SubjectSha256: a, PageSize: 3}, "subject:sha256:"+a)
		h.wantList(rt, "artifact", indicesOf(list), about)
		if err := r.Matches(indicesOf(list)); err != nil {
			rt.Fatal(err)
		}
	}
	ask(byID("sha256:"+strings.Repeat("0", 64)), nil)
	together := must(h.w.standing().BatchGetStanding(h.w.t.Context(), batch))(h.w.t).GetResponses()
	for n, req := range batch.GetRequests() {
		answers := [][]*avowv1.StatementStanding{together[n].GetStandings()}
		if one, err := h.w.standing().GetStanding(h.w.t.Context(), req); err == nil {
			answers = append(answers, one.GetStandings())
		} else if want[n] != nil || req.GetStatementId() == "" {
			rt.Fatal(err)
		}
		for _, a := range answers {
			h.wantAnswer(rt, req, a, want[n], standings)
		}
	}
	h.compareLists(rt)
	h.compareBuyer(rt)
}

func (h *histories) wantAnswer(rt *rapid.T, req *avowv1.GetStandingRequest, answer []*avowv1.StatementStanding, want []string, standings map[string]int) {
	var got []string
	for _, s := range answer {
		r := s.GetResult()
		var said []uint64
		for _, x := range r.GetSaid() {
			said = append(said, x.GetLogIndex())
		}
		standings[r.GetStanding().String()]++
		got = append(got, line(s.GetLogIndex(), r.GetStanding(), r.GetReason(), r.GetWithdrawnItems(), said))
	}
	if !slices.Equal(got, want) {
		rt.Fatalf("%v:\n got %q\nwant %q", req, got, want)
	}
}

func (h *histories) wantList(rt *rapid.T, what string, got []uint64, of func(deed) bool) {
	var want []uint64
	for _, d := range h.all {
		if of(d) {
			want = append(want, d.at)
		}
	}
	if !slices.Equal(got, want) {
		rt.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

// compareLists asks for the proved lists that go over all histories: of a vendor and of the products.
func (h *histories) compareLists(rt *rapid.T) {
	keys := must(provedKeys(&avowv1.ListStatementsRequest{Vendor: "acme"}, h.w.vendors.Registry()))(h.w.t)
	r, list := h.w.proved(&avowv1.ListStatementsRequest{Vendor: "acme", PageSize: MaxPageSize}, keys...)
	h.wantList(rt, "vendor", indicesOf(list), func(d deed) bool { return slices.Contains([]string{"acme", "second", "heir"}, d.by) })
	if err := r.Matches(indicesOf(list)); err != nil {
		rt.Fatal(err)
	}
	for product, held := range map[string]bool{"pkg:generic/held/app": true, "pkg:generic/example-gateway": false} {
		_, list := h.w.proved(&avowv1.ListStatementsRequest{Product: product, PageSize: MaxPageSize}, "product:"+product)
		h.wantList(rt, product, indicesOf(list), func(d deed) bool { return d.kind == "declaration" && (d.by == "held") == held })
	}
}

// compareBuyer verifies one of the answers offline, where no registry is.
func (h *histories) compareBuyer(rt *rapid.T) {
	d := rapid.SampledFrom(h.of("declaration")).Draw(rt, "bought")
	req := byID(d.id)
	req.KeyId = idOf(h.w.t, h.keys[d.by])
	one := must(h.w.standing().GetStanding(h.w.t.Context(), req))(h.w.t).GetStandings()[0]
	bundle := must(h.w.fetch(d.id, req.KeyId))(h.w.t).GetBundles()[0].GetBundle()
	r := must(h.w.asBuyer(one, bundle, h.keys[d.by]))(h.w.t)
	s, reason, items, said := h.verdict(d, false)
	var got []uint64
	for _, x := range r.Said {
		got = append(got, x.LogIndex)
	}
	if g, w := fmt.Sprint(r.Standing, r.Reason, r.Items, got), fmt.Sprint(buyersWord(s), reason, items, said); g != w {
		rt.Fatalf("offline: got %s, want %s", g, w)
	}
}

// buyersWord is a standing as verification has it.
func buyersWord(s avowv1.Standing) standing.Standing {
	return map[avowv1.Standing]standing.Standing{
		avowv1.Standing_STANDING_IN_FORCE: standing.InForce, avowv1.Standing_STANDING_WITHDRAWN: standing.Withdrawn,
		avowv1.Standing_STANDING_PARTLY_WITHDRAWN: standing.PartlyWithdrawn, avowv1.Standing_STANDING_SUPERSEDED: standing.Superseded,
	}[s]
}
