package server

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/verify"
)

// reload changes the registry.
func (l *lifeWorld) reload(change func(text string) string) {
	l.t.Helper()
	path := filepath.Join(l.dir, "vendors.yaml")
	text := string(must(os.ReadFile(path))(l.t))
	changed := change(text)
	if changed == text {
		l.t.Fatal("the registry is as it was")
	}
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		l.t.Fatal(err)
	}
	if err := l.vendors.Reload(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
}

// TestPartiesDoNotDecide: the role of an assessor lets nobody decide a dispute to which he is a party, and nobody but the opener, or a
// successor of his, settles one.
func TestPartiesDoNotDecide(t *testing.T) {
	w := newLifeWorld(t)
	heir := must(attest.GenerateKey())(t)
	w.reload(func(text string) string {
		text = strings.Replace(text, "roles: [disputer]", "roles: [disputer, assessor]", 1)
		text = strings.Replace(text, "    country: DE\n    keys:\n", "    country: DE\n    roles: [assessor]\n    keys:\n", 1)
		watch := keyEntry(t, w.disputer, "")
		return strings.Replace(text, watch, watch+keyEntry(t, heir, "")+"        succeeds: [{key: "+idOf(t, w.disputer)+"}]\n", 1)
	})
	target := dataFlows(t)
	w.issue(target, w.acme)
	opened := dispute(t, target, "opened", disputerName, nil)
	w.issue(opened, w.disputer)
	for _, event := range []string{"upheld", "rejected"} {
		for _, by := range []struct {
			name string
			key  *attest.KeyFile
		}{{acmeDeclarant, w.acme}, {acmeDeclarant, w.acmeSecond}, {acmeDeclarant, w.successor}, {disputerName, w.disputer}, {disputerName, heir}} {
			st := wantReason(t, w.try(dispute(t, target, event, by.name, opened), by.key), reasonRoleRequired)
			if !strings.Contains(st.Message(), "is a party to the dispute") {
				t.Errorf("%s by %s: %q", event, by.name, st.Message())
			}
		}
	}
	wantReason(t, w.try(dispute(t, target, "settled", acmeDeclarant, opened), w.acme), reasonTargetNotYours)
	wantReason(t, w.try(dispute(t, target, "settled", assessorName, opened), w.assessor), reasonTargetNotYours)
	w.issue(dispute(t, target, "settled", disputerName, opened), heir)
}

// TestDecidedDispute: what an assessor rejected is closed for a buyer who names him as an arbiter, and open for any other; what was upheld
// stays; what the opener settled is closed for all.
func TestDecidedDispute(t *testing.T) {
	w := newLifeWorld(t)
	target := dataFlows(t)
	issued := w.issue(target, w.acme)
	var opened [][]byte
	for range 4 {
		opened = append(opened, dispute(t, target, "opened", disputerName, nil))
		w.issue(opened[len(opened)-1], w.disputer)
	}
	w.issue(dispute(t, target, "rejected", assessorName, opened[0]), w.assessor)
	w.issue(dispute(t, target, "upheld", assessorName, opened[1]), w.assessor)
	w.issue(dispute(t, target, "settled", disputerName, opened[2]), w.disputer)
	got := must(w.standing().GetStanding(t.Context(), byID(issued.GetStatementId())))(t).GetStandings()[0]
	for name, c := range map[string]struct {
		arbiters []verify.Signer
		open     []int
	}{
		"no arbiter":               {nil, []int{0, 1, 3}},
		"the assessor":             {[]verify.Signer{{Key: &verify.Key{PublicKey: w.assessor.PublicKey()}}}, []int{1, 3}},
		"somebody else's":          {[]verify.Signer{{Key: &verify.Key{PublicKey: w.plain.PublicKey()}}}, []int{0, 1, 3}},
		"the statement's signer":   {[]verify.Signer{{Key: &verify.Key{PublicKey: w.acme.PublicKey()}}}, []int{0, 1, 3}},
		"who opened all of theirs": {[]verify.Signer{{Key: &verify.Key{PublicKey: w.disputer.PublicKey()}}}, []int{0, 1, 3}},
	} {
		var ids, want []string
		r := must(w.asBuyer(got, issued.GetBundle(), w.acme, c.arbiters...))(t)
		for _, d := range r.OpenDisputes {
			ids = append(ids, d.StatementID)
		}
		for _, n := range c.open {
			want = append(want, "sha256:"+digestOf(opened[n]))
		}
		if !slices.Equal(ids, want) {
			t.Errorf("%s: open are %v, want %v", name, ids, want)
		}
	}
}
