package verify_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
)

// moments are the places in and around a window that begins and ends at start
// and end, both ends included.
func moments(start, end time.Time) map[string]struct {
	at time.Time
	in bool
} {
	type m = struct {
		at time.Time
		in bool
	}
	return map[string]m{
		"before": {start.Add(-time.Second), false}, "start": {start, true}, "inside": {start.Add(end.Sub(start) / 2), true},
		"end": {end, true}, "after": {end.Add(time.Second), false},
	}
}

// TestWindows moves the time of signing through every validity window there is.
func TestWindows(t *testing.T) {
	start, end := bundletest.Epoch, bundletest.Epoch.Add(time.Hour)
	for window, c := range map[string]struct {
		limit func(*bundletest.World, *verify.Input)
		spec  func(*testing.T, *bundletest.World, *bundletest.Spec, *verify.Input)
		want  verify.CheckID
	}{
		"signer's key": {want: verify.CheckSignerValidity, limit: func(_ *bundletest.World, in *verify.Input) {
			in.Signers[0].Key.NotBefore, in.Signers[0].Key.NotAfter = start, end
		}},
		"log's key": {want: verify.CheckLogKeyValidity,
			limit: func(w *bundletest.World, _ *verify.Input) { w.Log.Start, w.Log.End = start, end }},
		"timestamp authority": {want: verify.CheckTimestamp, limit: func(w *bundletest.World, _ *verify.Input) {
			w.TSA.Start, w.TSA.End = start, end
		}},
		"certificate authority": {want: verify.CheckSignerValidity, limit: func(w *bundletest.World, _ *verify.Input) {
			w.CA.Start, w.CA.End = start, end
		}, spec: certified(start.Add(-time.Hour), end.Add(time.Hour))},
		"certificate": {want: verify.CheckSignerValidity, spec: certified(start, end)},
	} {
		for moment, m := range moments(start, end) {
			t.Run(window+"/"+moment, func(t *testing.T) {
				w := bundletest.NewWorld(t)
				in := input(w)
				spec := bundletest.Spec{Payload: bundletest.Statement(t, "data-flows-none"), At: m.at}
				if c.limit != nil {
					c.limit(w, &in)
				}
				if c.spec != nil {
					c.spec(t, w, &spec, &in)
				}
				in.Bundles = []verify.NamedBundle{{Data: w.IssueJSON(t, spec)}}
				trust := bundletest.TrustedRoot(t, []*bundletest.Log{w.Log}, []*bundletest.TSA{w.TSA}, []*bundletest.CA{w.CA}, nil)
				want := string(c.want)
				if m.in {
					want = "accepted"
				}
				if got := reasonOf(t, w, trust, in); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			})
		}
	}
}

func certified(start, end time.Time) func(*testing.T, *bundletest.World, *bundletest.Spec, *verify.Input) {
	return func(t *testing.T, w *bundletest.World, s *bundletest.Spec, in *verify.Input) {
		s.Key = bundletest.NewKey(t)
		s.Certificate = w.CA.Certify(t, &s.Key.PublicKey, vendorSAN, vendorIssuer, start, end, nil)
		in.Signers = []verify.Signer{{Identity: &verify.Identity{SAN: vendorSAN, Issuer: vendorIssuer}}}
	}
}

// TestWindowOfTimestampCertificate moves the time through the window of the
// authority's certificate, with a verifier that has just seen the certificate
// chain and one that has not. It runs on a fake clock, because a token also
// carries the time at which its signature was really made.
func TestWindowOfTimestampCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, end := bundletest.Epoch, bundletest.Epoch.Add(time.Hour)
		time.Sleep(time.Until(start))
		w := bundletest.NewWorld(t)
		w.TSA = bundletest.NewTSAWithLeaf(t, "https://tsa.example.test", bundletest.Start, start, end)
		trust := bundletest.TrustedRoot(t, []*bundletest.Log{w.Log}, []*bundletest.TSA{w.TSA}, nil, nil)
		warm := newVerifier(t, trust)
		for _, state := range []string{"cold", "warm"} {
			for moment, m := range moments(start, end) {
				in := input(w, w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows-none"), At: m.at}))
				v := warm
				if state == "cold" {
					v = newVerifier(t, trust)
				}
				got := verdictOf(t, v, in)
				if accepted := got.Outcome == verify.Accepted; accepted != m.in {
					t.Errorf("%s, %s: accepted %v, want %v: %v", state, moment, accepted, m.in, got.Failures())
				} else if !accepted && got.Failures()[0].ID != verify.CheckTimestamp {
					t.Errorf("%s, %s: refused by %s, want %s", state, moment, got.Failures()[0].ID, verify.CheckTimestamp)
				}
			}
		}
	})
}

// TestValidity moves the time of verification through a statement's validity,
// whose end is the first moment that it is not in force.
func TestValidity(t *testing.T) {
	w := bundletest.NewWorld(t)
	raw := w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows-none",
		`"notAfter": "2027-09-01T09:00:00Z"`, `"notBefore": "2026-10-01T09:00:00Z", "notAfter": "2027-09-01T09:00:00Z"`)})
	start, end := time.Date(2026, 10, 1, 9, 0, 0, 0, time.UTC), time.Date(2027, 9, 1, 9, 0, 0, 0, time.UTC)
	for at, want := range map[time.Time]string{
		start.Add(-time.Second): "validity", start: "accepted", start.AddDate(0, 5, 0): "accepted",
		end.Add(-time.Second): "accepted", end: "validity", end.AddDate(20, 0, 0): "validity",
	} {
		in := input(w, raw)
		in.At = at
		if got := reasonOf(t, w, w.TrustedRoot(), in); got != want {
			t.Errorf("%s: got %s, want %s", at.Format(time.RFC3339), got, want)
		}
	}
}
