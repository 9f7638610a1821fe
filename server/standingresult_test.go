package server

import (
	"maps"
	"strings"
	"testing"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/verify/standing"
)

// TestStandingInPlace: by its registry the service counts who speaks in the signer's place; a buyer, who has none, comes to unknown.
func TestStandingInPlace(t *testing.T) {
	type said struct {
		payload func(w *lifeWorld, target []byte) []byte
		key     func(w *lifeWorld) *attest.KeyFile
	}
	whole := func(w *lifeWorld, target []byte) []byte { return withdrawal(w.t, target) }
	part := func(w *lifeWorld, target []byte) []byte {
		return withdrawal(w.t, target, parsed(w.t, target).ItemIDs()[0])
	}
	newer := func(w *lifeWorld, target []byte) []byte { return flowsOf(w.t, "core", superseding(w.t, target)) }
	successor := func(w *lifeWorld) *attest.KeyFile { return w.successor }
	recovery := func(n int) func(*lifeWorld) *attest.KeyFile {
		return func(w *lifeWorld) *attest.KeyFile { return w.recovery[n] }
	}
	const unknown, withdrawn = avowv1.Standing_STANDING_UNKNOWN, avowv1.Standing_STANDING_WITHDRAWN
	for name, c := range map[string]struct {
		said   []said // of one payload, where payload is nil: the one before
		want   avowv1.Standing
		reason standing.Reason
		buyer  standing.Standing
	}{
		"a successor withdraws":       {[]said{{whole, successor}}, withdrawn, standing.ReasonWithdrawal, standing.Unknown},
		"a successor withdraws parts": {[]said{{part, successor}}, avowv1.Standing_STANDING_PARTLY_WITHDRAWN, standing.ReasonWithdrawal, standing.Unknown},
		"a successor supersedes":      {[]said{{newer, successor}}, avowv1.Standing_STANDING_SUPERSEDED, standing.ReasonSuccessor, standing.InForce},
		"one recovery key":            {[]said{{whole, recovery(0)}}, unknown, standing.ReasonForeign, standing.Unknown},
		"two recovery keys":           {[]said{{whole, recovery(0)}, {nil, recovery(2)}}, withdrawn, standing.ReasonWithdrawal, standing.Unknown},
		"two of a part, one of all": {[]said{{part, recovery(0)}, {nil, recovery(1)}, {whole, recovery(0)}}, unknown, standing.ReasonForeign,
			standing.Unknown},
		"two withdrawals by one each": {[]said{{whole, recovery(0)}, {whole, recovery(1)}}, unknown, standing.ReasonForeign, standing.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			w := newLifeWorld(t)
			target := twoFlows(t, nil)
			issued := w.issue(target, w.acme)
			var payload []byte
			for _, s := range c.said {
				if s.payload != nil {
					payload = s.payload(w, target)
				}
				w.issue(payload, s.key(w))
			}
			got := must(w.standing().GetStanding(t.Context(), byID(issued.GetStatementId())))(t).GetStandings()[0]
			r := got.GetResult()
			if r.GetStanding() != c.want || r.GetReason() != string(c.reason) || len(r.GetSaid()) != len(c.said) {
				t.Errorf("got %v, want %v by %s", r, c.want, c.reason)
			}
			if counted := strings.Contains(r.GetDetail(), "in the place of its signer"); counted && r.GetSaid()[0].GetOwn() ||
				counted != (c.want == withdrawn || c.want == avowv1.Standing_STANDING_SUPERSEDED) {
				t.Errorf("the detail is %q", r.GetDetail())
			}
			buyer, err := w.asBuyer(got, issued.GetBundle(), w.acme)
			if err != nil || buyer.Standing != c.buyer {
				t.Errorf("%v: a buyer makes %v of it, want %v", err, buyer, c.buyer)
			}
			w.deregister()
			after := must(w.standing().GetStanding(t.Context(), byID(issued.GetStatementId())))(t).GetStandings()[0].GetResult()
			if want := standingOf(c.buyer); after.GetStanding() != want {
				t.Errorf("without successor and recovery keys in the registry: got %v, want %v", after, want)
			}
		})
	}
}

// twoFlows makes a data-flows statement with two flows, so that one can be withdrawn and the other not.
func twoFlows(t testing.TB, change func(common map[string]any)) []byte {
	t.Helper()
	return statement(t, "data-flows", func(common, p, _ map[string]any) {
		second := maps.Clone(p["flows"].([]any)[0].(map[string]any))
		second["id"] = "second"
		p["flows"] = append(p["flows"].([]any), second)
		if change != nil {
			change(common)
		}
	})
}

func standingOf(s standing.Standing) avowv1.Standing {
	if s == standing.InForce {
		return avowv1.Standing_STANDING_IN_FORCE
	}
	return avowv1.Standing_STANDING_UNKNOWN
}

// deregister takes the succession and the recovery keys out of the registry.
func (l *lifeWorld) deregister() {
	l.t.Helper()
	l.reload(func(text string) string {
		from, to := strings.Index(text, "        succeeds:"), strings.Index(text, "    identities:\n")
		return text[:from] + text[to:]
	})
}

// TestStandingInPlaceOfAnother: a successor of one vendor's key is nobody to another vendor's statements, and recovery keys withdraw their
// own vendor's alone, whatever is in the log.
func TestStandingInPlaceOfAnother(t *testing.T) {
	w := newLifeWorld(t)
	lab := assessment(t, w.own(t), assessorName, "thirdParty")
	w.issue(lab, w.assessor)
	rec := must(w.store.GetBy(t.Context(), "sha256:"+digestOf(lab), idOf(t, w.assessor)))(t)
	taken := parsed(t, withdrawal(t, lab))
	all := make([]standing.Said, 0, 3)
	for _, k := range []*attest.KeyFile{w.successor, w.recovery[0], w.recovery[1]} {
		all = append(all, standing.Said{StatementID: taken.ID(), Statement: taken, Signer: idOf(t, k)})
	}
	own := must(w.store.GetBy(t.Context(), "sha256:"+digestOf(w.own(t)), idOf(t, w.acme)))(t)
	for i := range all {
		if inPlaceOf(w.vendors.Registry(), &rec, all, &all[i]) {
			t.Errorf("%s speaks for the laboratory", all[i].Signer)
		}
		if !inPlaceOf(w.vendors.Registry(), &own, all, &all[i]) {
			t.Errorf("%s does not speak for acme", all[i].Signer)
		}
	}
}

// own issues a declaration of acme's.
func (l *lifeWorld) own(t testing.TB) []byte {
	t.Helper()
	payload := dataFlows(t)
	l.issue(payload, l.acme)
	return payload
}
