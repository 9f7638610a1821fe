package server

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
)

// lifeWorld is the world with everybody who has to say something about a statement of acme.
type lifeWorld struct {
	*world
	successor *attest.KeyFile   // of acme's first key
	recovery  []*attest.KeyFile // of acme, two of three
	disputer  *attest.KeyFile   // of another vendor
	assessor  *attest.KeyFile   // of a third one
	plain     *attest.KeyFile   // of a vendor without roles
}

const disputerName, assessorName, plainName = "Example Watch e.V.", "Example Test Laboratory", "Plain Vendor AG"

func newLifeWorld(t testing.TB, opts ...option) *lifeWorld {
	t.Helper()
	l := &lifeWorld{}
	for _, k := range []**attest.KeyFile{&l.successor, &l.disputer, &l.assessor, &l.plain} {
		*k = must(attest.GenerateKey())(t)
	}
	for range 3 {
		l.recovery = append(l.recovery, must(attest.GenerateKey())(t))
	}
	l.world = newWorld(t, append([]option{l.register}, opts...)...)
	return l
}

// register adds the vendors to the registry of the world.
func (l *lifeWorld) register(w *world) {
	t := w.t
	t.Helper()
	path := filepath.Join(w.dir, "vendors.yaml")
	text := string(must(os.ReadFile(path))(t))
	successor := keyEntry(t, l.successor, "") + fmt.Sprintf("        succeeds: [{key: %s}, {issuer: %q, san: %q}]\n", idOf(t, w.acme), ciIssuer, ciSAN)
	recovery := "    recovery:\n      threshold: 2\n      keys:\n"
	for _, k := range l.recovery {
		recovery += strings.ReplaceAll(strings.TrimSuffix("  "+strings.ReplaceAll(keyEntry(t, k, ""), "\n", "\n  "), "  "), "\n\n", "\n")
	}
	text = strings.Replace(text, "    identities:\n", successor+recovery+"    identities:\n", 1)
	for _, v := range []struct {
		name, declarant, roles string
		key                    *attest.KeyFile
	}{{"watch", disputerName, "[disputer]", l.disputer}, {"lab", assessorName, "[assessor]", l.assessor}, {"plain", plainName, "[]", l.plain}} {
		text += fmt.Sprintf("  - name: %s\n    declarant: %q\n    country: DE\n    roles: %s\n    keys:\n%s", v.name, v.declarant, v.roles, keyEntry(t, v.key, ""))
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.vendors.Reload(w.t.Context()); err != nil {
		t.Fatal(err)
	}
}

// saying is a statement about another one.
type saying map[string]any

// about makes a statement about a payload, with its subjects.
func about(t testing.TB, predicateType string, target []byte, members saying) []byte {
	t.Helper()
	st, err := predicate.Parse(target, predicate.Issuance)
	if err != nil {
		t.Fatal(err)
	}
	p := saying{"statementId": fmt.Sprintf("urn:uuid:00000000-0000-4000-8000-%012d", serial.Add(1)), "target": reference(st)}
	for name, value := range members {
		p[name] = value
	}
	return must(json.Marshal(map[string]any{"_type": predicate.StatementType, "subject": st.Subjects, "predicateType": predicateType,
		"predicate": p}))(t)
}

func reference(st *predicate.Statement) map[string]any {
	return map[string]any{"digest": map[string]any{"sha256": strings.TrimPrefix(st.ID(), "sha256:")}, "predicateType": st.Type}
}

func parsed(t testing.TB, payload []byte) *predicate.Statement {
	t.Helper()
	return must(predicate.Parse(payload, predicate.Issuance))(t)
}

func party(name string) saying { return saying{"name": name, "country": "DE"} }

func withdrawal(t testing.TB, target []byte, items ...string) []byte {
	t.Helper()
	m := saying{"reason": "falseStatement", "effect": "neverValid", "effectiveAt": "2026-09-01T09:00:00Z",
		"declarant": saying{"party": party(acmeDeclarant), "role": "manufacturer", "signatoryFunction": "Head of Product Security",
			"authority": "delegatedInWriting", "responsibility": "soleResponsibility"}}
	if len(items) > 0 {
		m["items"] = items
	}
	return about(t, predicate.WithdrawalType, target, m)
}

func dispute(t testing.TB, target []byte, event, by string, thread []byte) []byte {
	t.Helper()
	m := saying{"event": event, "ground": "undeclaredFlow", "summary": "opens a connection at start", "party": party(by),
		"occurredAt": "2026-09-01T09:00:00Z"}
	if thread != nil {
		m["thread"] = reference(parsed(t, thread))
	}
	return about(t, predicate.DisputeType, target, m)
}

func assessment(t testing.TB, target []byte, by, independence string) []byte {
	t.Helper()
	return about(t, predicate.AssessmentType, target, saying{"assessor": party(by), "independence": independence,
		"criteria":      []any{saying{"uri": "https://w3id.org/avow/criteria/flow-capture/v1"}},
		"performedFrom": "2026-08-02T00:00:00Z", "performedTo": "2026-08-09T00:00:00Z",
		"validity": saying{"issuedAt": "2026-09-01T09:00:00Z", "notAfter": "2027-09-01T09:00:00Z"},
		"findings": []any{saying{"item": "completeness", "result": "notContradicted", "method": "flowCapture"}},
		"overall":  "noContradictionFound", "limitations": "one device"})
}

// try issues and returns the error.
func (l *lifeWorld) try(payload []byte, key *attest.KeyFile) error {
	l.t.Helper()
	return l.refused(signed(l.t, payload, key))
}

func TestWithdrawalIsForTheSigner(t *testing.T) {
	w := newLifeWorld(t)
	target := dataFlows(t)
	w.issue(target, w.acme)
	if got := w.issue(withdrawal(t, target), w.acme).GetWarnings(); len(codesOf(got)) != 0 {
		t.Errorf("the own withdrawal has warnings %v", got)
	}
	w.issue(withdrawal(t, target), w.successor)
	wantReason(t, w.try(withdrawal(t, target), w.acmeSecond), reasonTargetNotYours) // of the same vendor, and no successor
	foreign := saying{}
	_ = json.Unmarshal(withdrawal(t, target), &foreign)
	foreign["predicate"].(map[string]any)["declarant"].(map[string]any)["party"] = party(plainName)
	wantReason(t, w.try(must(json.Marshal(foreign))(t), w.plain), reasonTargetNotYours)
	wantReason(t, w.try(withdrawal(t, target), w.plain), reasonDeclarantMismatch)
	wantReason(t, w.try(withdrawal(t, dataFlows(t)), w.acme), reasonTargetNotFound)
}

func codesOf(findings []*avowv1.Finding) []string {
	var codes []string
	for _, f := range findings {
		if slices.Contains([]string{"W09", "W10"}, f.GetCode()) {
			codes = append(codes, f.GetCode())
		}
	}
	return codes
}

func TestWithdrawalByIdentity(t *testing.T) {
	w := newLifeWorld(t, withCA)
	target := dataFlows(t)
	env, cert := w.certified(target, certificate{})
	must(w.attestation().Issue(t.Context(), certifiedRequest(env, cert)))(t)
	env, cert = w.certified(withdrawal(t, target), certificate{}) // another certificate of the same identity
	must(w.attestation().Issue(t.Context(), certifiedRequest(env, cert)))(t)
	w.issue(withdrawal(t, target), w.successor)
	wantReason(t, w.try(withdrawal(t, target), w.acme), reasonTargetNotYours)
}

// TestRecovery: two of three keys withdraw, one is warned that it is not enough, and none of them does anything else.
func TestRecovery(t *testing.T) {
	w := newLifeWorld(t)
	target := dataFlows(t)
	w.issue(target, w.acme)
	taken := withdrawal(t, target)
	for n, want := range [][]string{{"W10"}, nil} {
		got := w.issue(taken, w.recovery[n]).GetWarnings()
		if !slices.Equal(codesOf(got), want) {
			t.Fatalf("key %d: got warnings %v, want %v", n, got, want)
		}
		other := must(w.server.issuer.life.find(t.Context(), predicate.StatementRef{Digest: map[string]string{"sha256": digestOf(target)}}))(t)
		whole, _, err := w.server.issuer.life.withdrawn(t.Context(), other, maxSaidPages)
		if err != nil || whole != (n == 1) {
			t.Errorf("after %d keys: withdrawn %v, error %v", n+1, whole, err)
		}
	}
	again := w.issue(taken, w.recovery[0])
	if !again.GetAlreadyIssued() || len(codesOf(again.GetWarnings())) != 0 {
		t.Errorf("the first key again: %v", again)
	}
	wantReason(t, w.try(dataFlows(t), w.recovery[0]), reasonKeyUnknown)
	wantReason(t, w.try(dispute(t, target, "opened", acmeDeclarant, nil), w.recovery[0]), reasonKeyUnknown)
	lab := assessment(t, target, assessorName, "thirdParty")
	w.issue(lab, w.assessor)
	wantReason(t, w.try(withdrawal(t, lab), w.recovery[0]), reasonTargetNotYours) // of another vendor
}

func TestPartialWithdrawal(t *testing.T) {
	w := newLifeWorld(t)
	target := dataFlows(t)
	w.issue(target, w.acme)
	flow := parsed(t, target).ItemIDs()[0]
	w.issue(withdrawal(t, target, flow), w.acme)
	st := wantReason(t, w.try(withdrawal(t, target, "somebody-elses"), w.acme), reasonStatementInvalid)
	if reasons, fields := violations(st); !slices.Equal(reasons, []string{"R31"}) || fields[0] != "/predicate/items/0" {
		t.Errorf("got %v at %v, want R31 at the item", reasons, fields)
	}
	other := saying{}
	_ = json.Unmarshal(withdrawal(t, target), &other)
	other["subject"] = []any{saying{"name": "other", "digest": saying{"sha256": digestOf([]byte("other"))}}}
	st = wantReason(t, w.try(must(json.Marshal(other))(t), w.acme), reasonStatementInvalid)
	if reasons, _ := violations(st); !slices.Equal(reasons, []string{"R40"}) {
		t.Errorf("other subjects: got %v, want R40", reasons)
	}
}

// TestCircles: nothing is said about itself, and the kinds of statements that could go in circles are refused.
func TestCircles(t *testing.T) {
	w := newLifeWorld(t)
	target := dataFlows(t)
	w.issue(target, w.acme)
	taken := withdrawal(t, target)
	w.issue(taken, w.acme)
	opened := dispute(t, target, "opened", disputerName, nil)
	w.issue(opened, w.disputer)
	other := dataFlows(t)
	w.issue(other, w.acme)
	elsewhere := dispute(t, other, "opened", disputerName, nil)
	w.issue(elsewhere, w.disputer)
	answer := dispute(t, target, "answered", acmeDeclarant, opened)
	w.issue(answer, w.acme)
	lab := assessment(t, target, assessorName, "thirdParty")
	w.issue(lab, w.assessor)
	for name, c := range map[string]struct {
		payload []byte
		key     *attest.KeyFile
		rule    string
	}{
		"withdrawal of a withdrawal":  {withdrawal(t, taken), w.acme, "R40"},
		"dispute of a dispute":        {dispute(t, opened, "opened", disputerName, nil), w.disputer, "R40"},
		"assessment of an assessment": {assessment(t, lab, assessorName, "firstParty"), w.assessor, "R40"},
		"thread that is an answer":    {dispute(t, target, "answered", acmeDeclarant, answer), w.acme, "R40"},
		"thread about another target": {dispute(t, target, "answered", acmeDeclarant, elsewhere), w.acme, "R40"},
		"thread that is no dispute":   {dispute(t, target, "answered", acmeDeclarant, taken), w.acme, "R40"},
		"opened within a thread":      {dispute(t, target, "opened", disputerName, opened), w.disputer, "R40"},
		"superseding another type": {statement(t, "data-flows", func(common, _, _ map[string]any) {
			common["supersedes"] = []any{reference(parsed(t, taken))}
		}), w.acme, "R40"},
	} {
		st := wantReason(t, w.try(c.payload, c.key), reasonStatementInvalid)
		if reasons, _ := violations(st); !slices.Contains(reasons, c.rule) {
			t.Errorf("%s: got %v, want %s", name, reasons, c.rule)
		}
	}
	self := statement(t, "data-flows", func(common, _, _ map[string]any) {
		common["supersedes"] = []any{map[string]any{"digest": map[string]any{"sha256": strings.Repeat("ab", 32)}, "predicateType": predicate.DataFlowsType}}
	})
	wantReason(t, w.try(self, w.acme), reasonTargetNotFound) // its own digest it cannot hold
	late := dispute(t, target, "answered", acmeDeclarant, dispute(t, target, "opened", disputerName, nil))
	wantReason(t, w.try(late, w.acme), reasonTargetNotFound) // a thread that was never issued
}

func TestSupersedesOnlyOnesOwn(t *testing.T) {
	w := newLifeWorld(t)
	target := dataFlows(t)
	w.issue(target, w.acme)
	newer := func(change func(ref map[string]any)) []byte {
		return statement(t, "data-flows", func(common, _, _ map[string]any) {
			ref := reference(parsed(t, target))
			if change != nil {
				change(ref)
			}
			common["supersedes"] = []any{ref}
		})
	}
	wantReason(t, w.try(newer(nil), w.acmeSecond), reasonTargetNotYours)
	w.issue(newer(nil), w.acme)
	w.issue(newer(nil), w.successor)
	elsewhere := func(ref map[string]any) {
		ref["digest"] = map[string]any{"sha256": strings.Repeat("ab", 32)}
		ref["logOrigin"] = "other.example.test"
	}
	w.issue(newer(elsewhere), w.acme)
	claimed := func(ref map[string]any) { ref["logOrigin"] = "other.example.test" } // it is here all the same
	wantReason(t, w.try(newer(claimed), w.acmeSecond), reasonTargetNotYours)
}

// TestThread walks through a dispute, with everybody who may not take a step.
func TestThread(t *testing.T) {
	w := newLifeWorld(t)
	target := dataFlows(t)
	w.issue(target, w.acme)
	wantReason(t, w.try(dispute(t, target, "opened", plainName, nil), w.plain), reasonRoleRequired)
	wantReason(t, w.try(dispute(t, target, "opened", assessorName, nil), w.assessor), reasonRoleRequired)
	opened := dispute(t, target, "opened", disputerName, nil)
	w.issue(opened, w.disputer)
	step := func(event, by string) []byte { return dispute(t, target, event, by, opened) }
	wantReason(t, w.try(step("answered", disputerName), w.disputer), reasonTargetNotYours)
	wantReason(t, w.try(step("answered", acmeDeclarant), w.acmeSecond), reasonTargetNotYours)
	w.issue(step("answered", acmeDeclarant), w.acme)
	w.issue(step("answered", acmeDeclarant), w.successor)
	wantReason(t, w.try(step("evidenceAdded", plainName), w.plain), reasonTargetNotYours)
	w.issue(step("evidenceAdded", disputerName), w.disputer)
	w.issue(step("evidenceAdded", acmeDeclarant), w.acme)
	wantReason(t, w.try(step("settled", acmeDeclarant), w.acme), reasonTargetNotYours)
	for _, event := range []string{"upheld", "rejected"} {
		wantReason(t, w.try(step(event, acmeDeclarant), w.acme), reasonRoleRequired)
		wantReason(t, w.try(step(event, disputerName), w.disputer), reasonRoleRequired)
		wantReason(t, w.try(step(event, plainName), w.plain), reasonRoleRequired)
		w.issue(step(event, assessorName), w.assessor)
	}
	w.issue(step("settled", disputerName), w.disputer)
	w.issue(withdrawalBy(t, opened, disputerName), w.disputer) // one's own dispute
}

func withdrawalBy(t testing.TB, target []byte, by string) []byte {
	t.Helper()
	var whole saying
	if err := json.Unmarshal(withdrawal(t, target), &whole); err != nil {
		t.Fatal(err)
	}
	whole["predicate"].(map[string]any)["declarant"].(map[string]any)["party"] = party(by)
	return must(json.Marshal(whole))(t)
}

func TestAssessment(t *testing.T) {
	w := newLifeWorld(t)
	target := dataFlows(t)
	w.issue(target, w.acme)
	w.issue(assessment(t, target, assessorName, "thirdParty"), w.assessor)
	wantReason(t, w.try(assessment(t, target, disputerName, "thirdParty"), w.disputer), reasonRoleRequired)
	wantReason(t, w.try(assessment(t, target, disputerName, "thirdParty"), w.assessor), reasonDeclarantMismatch)
	// acme with the role, under the name of the registry that is not the declarant's of the target: the signer tells.
	path := filepath.Join(w.dir, "vendors.yaml")
	text := string(must(os.ReadFile(path))(t))
	text = strings.Replace(text, "    declarant: \""+acmeDeclarant+"\"\n", "    declarant: Other Name\n    roles: [assessor]\n", 1)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.vendors.Reload(w.t.Context()); err != nil {
		t.Fatal(err)
	}
	st := wantReason(t, w.try(assessment(t, target, "Other Name", "thirdParty"), w.acmeSecond), reasonStatementInvalid)
	if reasons, fields := violations(st); !slices.Equal(reasons, []string{"R41"}) || fields[0] != "/predicate/independence" {
		t.Errorf("got %v at %v, want R41", reasons, fields)
	}
	w.issue(assessment(t, target, "Other Name", "firstParty"), w.acmeSecond)
}

// TestDisputeStorm: the rate of one vendor ends it, for that vendor alone.
func TestDisputeStorm(t *testing.T) {
	w := newLifeWorld(t, func(w *world) { w.limits.OpinionsPerHour = 3 })
	var targets [][]byte
	for range 4 {
		targets = append(targets, dataFlows(t))
		w.issue(targets[len(targets)-1], w.acme)
	}
	first := dispute(t, targets[0], "opened", disputerName, nil)
	w.issue(first, w.disputer)
	for _, target := range targets[1:3] {
		w.issue(dispute(t, target, "opened", disputerName, nil), w.disputer)
	}
	wantReason(t, w.try(dispute(t, targets[3], "opened", disputerName, nil), w.disputer), reasonRateLimited)
	if !w.issue(first, w.disputer).GetAlreadyIssued() {
		t.Error("what was issued before is not answered again")
	}
	w.issue(assessment(t, targets[3], assessorName, "thirdParty"), w.assessor)
	w.issue(dispute(t, targets[0], "answered", acmeDeclarant, first), w.acme) // the vendor can answer all of it
	w.clock.add(21 * time.Minute)
	w.issue(dispute(t, targets[3], "opened", disputerName, nil), w.disputer)
}

// TestSaidBounds: at most MaxSaidByVendor by one vendor about one statement, also when they come at one time, and its
// signer withdraws all the same.
func TestSaidBounds(t *testing.T) {
	w := newLifeWorld(t, func(w *world) { w.limits.OpinionsPerHour = 1e6 })
	target := dataFlows(t)
	w.issue(target, w.acme)
	var storm sync.WaitGroup
	var mu sync.Mutex
	var refused []error
	const calls = MaxSaidByVendor + 5
	for range calls {
		payload := dispute(t, target, "opened", disputerName, nil)
		storm.Go(func() {
			if err := w.try(payload, w.disputer); err != nil {
				mu.Lock()
				defer mu.Unlock()
				refused = append(refused, err)
			}
		})
	}
	storm.Wait()
	if len(refused) != calls-MaxSaidByVendor {
		t.Errorf("%d of %d were refused, want %d", len(refused), calls, calls-MaxSaidByVendor)
	}
	for _, err := range refused {
		wantReason(t, err, reasonTargetLimit)
	}
	// The last work lets go just after its caller has the answer.
	said := w.server.issuer.life.said
	onTheirWay := func() int {
		said.mu.Lock()
		defer said.mu.Unlock()
		return len(said.pending)
	}
	waitFor(t, func() bool { return onTheirWay() == 0 })
	w.issue(assessment(t, target, assessorName, "thirdParty"), w.assessor)
	for range MaxWithdrawals + 1 {
		w.issue(withdrawal(t, target), w.acme)
	}
	for range MaxWithdrawals {
		w.issue(withdrawal(t, target), w.recovery[0])
	}
	wantReason(t, w.try(withdrawal(t, target), w.recovery[0]), reasonTargetLimit)
	w.issue(withdrawal(t, target), w.recovery[1])
}

func TestFits(t *testing.T) {
	many := func(n int, u utterance) []utterance { return slices.Repeat([]utterance{u}, n) }
	a := utterance{vendor: "a", signer: "x", bytes: 10}
	own := utterance{vendor: "acme", signer: "y", bytes: 10, own: true}
	for name, c := range map[string]struct {
		before []utterance
		more   utterance
		want   bool
	}{
		"first":               {nil, a, true},
		"last of a vendor":    {many(MaxSaidByVendor-1, a), a, true},
		"beyond of a vendor":  {many(MaxSaidByVendor, a), a, false},
		"another vendor":      {many(MaxSaidByVendor, a), utterance{vendor: "b", bytes: 10}, true},
		"bytes of a vendor":   {many(1, a), utterance{vendor: "a", bytes: MaxSaidBytesByVendor - 9}, false},
		"others are full":     {manyVendors(MaxSaidByOthers, 1), a, false},
		"others' bytes":       {manyVendors(2, MaxSaidBytesByOthers/2), a, false},
		"own when others are": {manyVendors(MaxSaidByOthers, 1), own, true},
		"last of one's own":   {many(MaxAnswers-1, own), own, true},
		"beyond one's own":    {many(MaxAnswers, own), own, false},
	} {
		if err := fits(c.before, c.more); (err == nil) != c.want {
			t.Errorf("%s: got %v, want it taken: %v", name, err, c.want)
		}
	}
}

func manyVendors(n, bytes int) []utterance {
	var all []utterance
	for i := range n {
		all = append(all, utterance{vendor: fmt.Sprint("v", i), bytes: bytes})
	}
	return all
}

// TestLifecycleBatch: the member that is at fault is named, and nothing of the batch is issued.
func TestLifecycleBatch(t *testing.T) {
	w := newLifeWorld(t)
	target, good := dataFlows(t), dataFlows(t)
	w.issue(target, w.acme)
	_, err := w.attestation().IssueBatch(t.Context(), &avowv1.IssueBatchRequest{Requests: []*avowv1.IssueRequest{
		signed(t, good, w.acmeSecond), signed(t, withdrawal(t, target), w.acmeSecond)}})
	st := wantReason(t, err, reasonTargetNotYours)
	if !strings.HasPrefix(st.Message(), "requests[1]: ") {
		t.Errorf("got %q, want the member's name", st.Message())
	}
	if _, err := w.store.Get(t.Context(), "sha256:"+digestOf(good)); err == nil {
		t.Error("a member of a refused batch was stored")
	}
}
