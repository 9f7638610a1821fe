package pin_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	sgverify "github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"

	"crypto"
	"crypto/ecdsa"

	"github.com/avow-dev/avow/cmd/avow/internal/pin"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/internal/trustroot"
	"github.com/avow-dev/avow/verify"
)

// The days of the rehearsal: the successors are announced, are in use, the old ones end, the old log's key turns out to be
// stolen and is removed, and then everybody verifies.
var (
	announced = bundletest.Epoch.AddDate(0, 0, 1)
	inUse     = bundletest.Epoch.AddDate(0, 0, 2)
	ended     = bundletest.Epoch.AddDate(0, 0, 3)
	removed   = bundletest.Epoch.AddDate(0, 0, 5)
	judged    = bundletest.Epoch.AddDate(0, 0, 6)
)

const (
	identity = "https://ci.example/acme/release"
	issuer   = "https://ci.example"
)

// rotation is the old and the new log, timestamp authority and certificate authority.
type rotation struct {
	*bundletest.World
	t    *testing.T
	logs [2]*bundletest.Log
	tsas [2]*bundletest.TSA
	cas  [2]*bundletest.CA
}

func newRotation(t *testing.T) *rotation {
	w := bundletest.NewWorld(t)
	r := &rotation{World: w, t: t, logs: [2]*bundletest.Log{w.Log, bundletest.NewLog(t, "2027-1.example.test", inUse)},
		tsas: [2]*bundletest.TSA{w.TSA, bundletest.NewTSA(t, "https://2027-1.example.test/api/v1/timestamp", bundletest.Start)},
		cas:  [2]*bundletest.CA{w.CA, bundletest.NewCA(t, "https://2027-1.example.test", bundletest.Start)}}
	r.tsas[1].Start, r.cas[1].Start = inUse, inUse
	return r
}

// roots are the trusted roots before, with the announcement, with the old windows closed, and without the old log.
func (r *rotation) roots() [4][]byte {
	r.t.Helper()
	before := r.parse(bundletest.TrustedRoot(r.t, r.logs[:1], r.tsas[:1], r.cas[:1], nil))
	announcement := before.Clone()
	r.must(announcement.Merge(r.parse(bundletest.TrustedRoot(r.t, r.logs[1:], r.tsas[1:], r.cas[1:], nil))))
	closed := announcement.Clone()
	for _, ref := range []string{"log:log.example.test", "tsa:https://tsa.example.test", "ca:https://ca.example.test"} {
		r.must(closed.Retire(ref, ended))
	}
	without := closed.Clone()
	r.must(without.Remove("log:log.example.test"))
	var all [4][]byte
	for i, root := range []*trustroot.Root{before, announcement, closed, without} {
		data, err := root.JSON()
		r.must(err)
		all[i] = data
	}
	return all
}

func (r *rotation) parse(data []byte) *trustroot.Root {
	r.t.Helper()
	root, err := trustroot.Parse(data)
	r.must(err)
	return root
}

func (r *rotation) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// bundle is issued with old (0) or new (1) parts at a time; ca is -1 for the vendor's key.
func (r *rotation) bundle(log, tsa, ca int, at time.Time) []byte {
	r.t.Helper()
	spec := bundletest.Spec{Payload: bundletest.Statement(r.t, "data-flows"), Log: r.logs[log], TSAs: []*bundletest.TSA{r.tsas[tsa]}, At: at}
	if ca >= 0 {
		spec.Key = bundletest.NewKey(r.t)
		spec.Certificate = r.cas[ca].Certify(r.t, &spec.Key.PublicKey, identity, issuer, at.Add(-time.Minute), at.Add(10*time.Minute), nil)
	}
	return r.IssueJSON(r.t, spec)
}

// outcome is "ok", or the check that failed.
func (r *rotation) outcome(trusted, b []byte, updated time.Time) (string, string) {
	r.t.Helper()
	trust, err := verify.ParseTrust(trusted)
	r.must(err)
	v, err := verify.New(verify.Config{Trust: trust, TrustDate: updated})
	r.must(err)
	verdict, err := v.Verify(r.t.Context(), verify.Input{ArtifactSHA256: bundletest.ArtifactSHA256, At: judged,
		Bundles: []verify.NamedBundle{{Name: "bundle", Data: b}},
		Signers: []verify.Signer{{Key: &verify.Key{PublicKey: &r.Vendor.PublicKey}}, {Identity: &verify.Identity{SAN: identity, Issuer: issuer}}}})
	r.must(err)
	if verdict.Outcome == verify.Accepted {
		return "ok", ""
	}
	f := verdict.Failures()[0]
	return string(f.ID), f.Detail + "; " + f.Hint
}

// sigstore is what sigstore-go says, under the same root.
func (r *rotation) sigstore(trusted, raw []byte, key *ecdsa.PublicKey) string {
	r.t.Helper()
	tr, err := root.NewTrustedRootFromJSON(trusted)
	r.must(err)
	v, err := signature.LoadVerifier(key, crypto.SHA256)
	r.must(err)
	keys := root.NewTrustedPublicKeyMaterialFromMapping(map[string]*root.ExpiringKey{
		bundletest.Hint(r.t, key): root.NewExpiringKey(v, time.Time{}, time.Time{})})
	sv, err := sgverify.NewVerifier(root.TrustedMaterialCollection{keys, tr}, sgverify.WithTransparencyLog(1), sgverify.WithSignedTimestamps(1))
	r.must(err)
	var b bundle.Bundle
	r.must(b.UnmarshalJSON(raw))
	who := sgverify.WithKey()
	if strings.Contains(string(raw), `"certificate"`) {
		id, err := sgverify.NewShortCertificateIdentity(issuer, "", identity, "")
		r.must(err)
		who = sgverify.WithCertificateIdentity(id)
	}
	digest, err := hex.DecodeString(bundletest.ArtifactSHA256)
	r.must(err)
	if _, err := sv.Verify(&b, sgverify.NewPolicy(sgverify.WithArtifactDigest("sha256", digest), who)); err != nil {
		return "refused"
	}
	return "ok"
}

// clients are four buyers of one repository: one updated never again, one after the announcement, one after the old windows
// were closed and every key of the repository was replaced, one after the removal.
func (r *rotation) clients() (trusted [4][]byte, updated [4]time.Time) {
	r.t.Helper()
	published := r.roots()
	w := newWorld(r.t, published[0])
	var buyers [4]*pin.Client
	var pins [4]*pin.Pin
	for i := range buyers {
		buyers[i], pins[i] = w.pinned()
	}
	follow := func(from int, step string) {
		for i := from; i < 4; i++ {
			result, err := buyers[i].Update(r.t.Context(), pins[i])
			if err != nil {
				r.t.Fatalf("client %d after %s: %v", i, step, err)
			}
			if len(result.Changes) == 0 {
				r.t.Errorf("client %d after %s is told no change", i, step)
			}
			pins[i] = result.Pin
		}
	}
	w.Now = announced
	w.Publish(published[1])
	follow(1, "the announcement")
	w.Now = ended
	w.Rotate(published[2])
	follow(2, "the rotation")
	if got := pins[2].RootVersion; got != 2 {
		r.t.Errorf("TUF root version %d after the rotation, want 2", got)
	}
	w.Now = removed
	w.Publish(published[3])
	follow(3, "the removal")
	w.Now = judged
	// Whoever comes late follows the whole way at once, from the root that was pinned first.
	late, err := w.client().Pin(r.t.Context(), "late", w.base, w.File("1.root.json"), pin.Fingerprint(w.File("1.root.json")))
	r.must(err)
	data, err := late.Pin.TrustedRoot()
	r.must(err)
	for i, p := range pins {
		trusted[i], err = p.TrustedRoot()
		r.must(err)
		updated[i] = p.UpdatedAt
	}
	if string(data) != string(trusted[3]) {
		r.t.Error("a client that came late has another trusted root")
	}
	return trusted, updated
}

// TestRotationRehearsal is the acceptance of issue 4: a new log, a new timestamp authority, a new certificate authority and
// a new TUF root; old and new bundles, old and new clients. docs/rotation.md shows this table.
func TestRotationRehearsal(t *testing.T) {
	r := newRotation(t)
	trusted, updated := r.clients()
	late := ended.Add(24 * time.Hour)
	for _, row := range []struct {
		name string
		data []byte
		// want of the four clients, in the order of clients; sigstore is what sigstore-go says.
		want, sigstore [4]string
	}{
		{"before the rotation", r.bundle(0, 0, -1, bundletest.Epoch),
			[4]string{"ok", "ok", "ok", "log-key"}, [4]string{"ok", "ok", "ok", "refused"}},
		{"before, with a certificate", r.bundle(0, 0, 0, bundletest.Epoch),
			[4]string{"ok", "ok", "ok", "log-key"}, [4]string{"ok", "ok", "ok", "refused"}},
		{"after the rotation", r.bundle(1, 1, -1, late),
			[4]string{"log-key", "ok", "ok", "ok"}, [4]string{"refused", "ok", "ok", "ok"}},
		{"after, with a certificate", r.bundle(1, 1, 1, late),
			[4]string{"log-key", "ok", "ok", "ok"}, [4]string{"refused", "ok", "ok", "ok"}},
		{"by the new log before its start", r.bundle(1, 0, -1, announced),
			[4]string{"log-key", "log-key-validity", "log-key-validity", "log-key-validity"}, [4]string{"refused", "ok", "ok", "ok"}}, // sigstore-go holds no log to its window
		{"by the old log after its end", r.bundle(0, 1, -1, late),
			[4]string{"timestamp", "ok", "log-key-validity", "log-key"}, [4]string{"refused", "ok", "ok", "refused"}}, // likewise
		{"by the old authority after its end", r.bundle(1, 0, -1, late),
			[4]string{"log-key", "ok", "timestamp", "timestamp"}, [4]string{"refused", "ok", "refused", "refused"}},
		{"by the old CA after its end", r.bundle(1, 1, 0, late),
			[4]string{"log-key", "ok", "signer-validity", "signer-validity"}, [4]string{"refused", "ok", "refused", "refused"}},
		{"by the new authority, in the old log", r.bundle(0, 1, -1, inUse),
			[4]string{"timestamp", "ok", "ok", "log-key"}, [4]string{"refused", "ok", "ok", "refused"}},
		{"by the new CA, in the old log", r.bundle(0, 0, 1, inUse),
			[4]string{"signer-validity", "ok", "ok", "log-key"}, [4]string{"refused", "ok", "ok", "refused"}},
		// What a thief makes with the stolen key of the old log, dated back with the old authority: only the removal ends it.
		{"after the removal, by the stolen key, dated back", r.bundle(0, 0, -1, bundletest.Epoch.Add(time.Hour)),
			[4]string{"ok", "ok", "ok", "log-key"}, [4]string{"ok", "ok", "ok", "refused"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			for i := range trusted {
				got, detail := r.outcome(trusted[i], row.data, updated[i])
				if got != row.want[i] {
					t.Errorf("client %d: got %s (%s), want %s", i, got, detail, row.want[i])
				}
				if got := r.sigstore(trusted[i], row.data, &r.Vendor.PublicKey); got != row.sigstore[i] {
					t.Errorf("client %d: sigstore-go says %s, want %s", i, got, row.sigstore[i])
				}
			}
		})
	}
}

// TestOldClientIsTold: what an old root does not know is refused with what to do about it, and with nothing that a
// terminal could obey.
func TestOldClientIsTold(t *testing.T) {
	r := newRotation(t)
	old := r.roots()[0]
	digest := func() string {
		trust, err := verify.ParseTrust(old)
		r.must(err)
		d := trust.Digest()
		return hex.EncodeToString(d[:6])
	}()
	ofRoot := fmt.Sprintf("the trusted root (of %s, sha256:%s...)", bundletest.Epoch.Format(time.DateOnly), digest)
	evil := bundletest.NewLog(t, "x.example\x1b[2J"+strings.Repeat("y", 500), inUse)
	spec := bundletest.Spec{Payload: bundletest.Statement(t, "data-flows"), Log: evil, At: inUse}
	for _, test := range []struct {
		name  string
		data  []byte
		check string
		want  []string
	}{
		{"log", r.bundle(1, 1, -1, inUse), "log-key", []string{ofRoot + " does not know the log 2027-1.example.test", "avow trust update"}},
		{"authority", r.bundle(0, 1, -1, inUse), "timestamp", []string{ofRoot, "the timestamp calls its authority", "avow trust update"}},
		{"certificate authority", r.bundle(0, 0, 1, inUse), "signer-validity",
			[]string{ofRoot + " does not know the certificate authority", "avow trust update"}},
		{"log with a hostile name", r.IssueJSON(t, spec), "log-key", []string{`does not know the log "x.example\x1b[2J`, "..."}},
	} {
		got, detail := r.outcome(old, test.data, bundletest.Epoch)
		if got != test.check {
			t.Errorf("%s: got %s (%s)", test.name, got, detail)
		}
		for _, want := range test.want {
			if !strings.Contains(detail, want) {
				t.Errorf("%s: %q has no %q", test.name, detail, want)
			}
		}
		if strings.ContainsFunc(detail, func(r rune) bool { return r < ' ' }) || strings.Contains(detail, strings.Repeat("y", 100)) {
			t.Errorf("%s: %q", test.name, detail)
		}
	}
	// An authority that the root knows, after its end, is not a reason to fetch a new root.
	closed := r.roots()[2]
	if got, detail := r.outcome(closed, r.bundle(1, 1, 0, ended.Add(time.Hour)), ended); got != "signer-validity" || strings.Contains(detail, "does not know") {
		t.Errorf("a known authority after its end: %s, %s", got, detail)
	}
}
