package verify

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/digitorus/timestamp"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/bundletest"
)

// The zero values are the safe ones.
func TestZeroValues(t *testing.T) {
	var v Verdict
	if v.Outcome != Rejected || v.Outcome.String() != "rejected" {
		t.Errorf("zero verdict is %s", v.Outcome)
	}
	var c Check
	if c.Status != StatusSkipped || passedAll([]Check{c}, []CheckID{""}) {
		t.Error("a zero check counts as passed")
	}
	if conclude(nil, buyerChecks, nil, inputChecks) != Rejected {
		t.Error("nothing at all was accepted")
	}
}

// TestConclude takes acceptance away by each single line of it.
func TestConclude(t *testing.T) {
	lines := func(ids []CheckID) []Check {
		var checks []Check
		for _, id := range ids {
			checks = append(checks, Check{ID: id, Status: StatusPass})
		}
		return checks
	}
	bundle, whole := lines(buyerChecks), lines(inputChecks)
	if conclude([][]Check{bundle, bundle}, buyerChecks, whole, inputChecks) != Accepted {
		t.Fatal("all checks passed, and it was rejected")
	}
	refuse := func(name string, bundles [][]Check, whole []Check) {
		t.Helper()
		if conclude(bundles, buyerChecks, whole, inputChecks) != Rejected {
			t.Errorf("%s: accepted", name)
		}
	}
	refuse("no bundle", nil, whole)
	refuse("a bundle without checks", [][]Check{bundle, nil}, whole)
	refuse("only the issuer's checks", [][]Check{lines(issuerChecks)}, whole)
	for i, id := range buyerChecks {
		for _, status := range []Status{StatusFail, StatusSkipped} {
			worse := slices.Clone(bundle)
			worse[i].Status = status
			refuse(fmt.Sprintf("%s %s", id, status), [][]Check{bundle, worse}, whole)
		}
		refuse(fmt.Sprintf("no %s", id), [][]Check{slices.Delete(slices.Clone(bundle), i, i+1)}, whole)
		other := slices.Clone(bundle)
		other[i].ID = buyerChecks[(i+1)%len(buyerChecks)]
		refuse(fmt.Sprintf("another check in the place of %s", id), [][]Check{other}, whole)
	}
	for i, id := range inputChecks {
		refuse(fmt.Sprintf("no %s", id), [][]Check{bundle}, slices.Delete(slices.Clone(whole), i, i+1))
		worse := slices.Clone(whole)
		worse[i].Status = StatusFail
		refuse(fmt.Sprintf("%s failed", id), [][]Check{bundle}, worse)
	}
}

// Every check of a bundle has code, and the lists name each check once.
func TestCheckLists(t *testing.T) {
	ids := CheckIDs()
	if len(slices.Compact(slices.Sorted(slices.Values(ids)))) != len(ids) {
		t.Error("a check is listed twice")
	}
	ofBundle := slices.Concat(buyerChecks, witnessChecks)
	if len(checkFuncs) != len(ofBundle) {
		t.Errorf("%d checks have code, %d are of a bundle", len(checkFuncs), len(ofBundle))
	}
	for _, id := range ofBundle {
		if checkFuncs[id] == nil {
			t.Errorf("%s has no code", id)
		}
	}
	if !slices.Equal(buyerChecks[:len(issuerChecks)], issuerChecks) {
		t.Error("the buyer's checks do not begin with the issuer's")
	}
}

// TestRecall holds the remembered verification of timestamps against the full one.
func TestRecall(t *testing.T) {
	w := bundletest.NewWorld(t)
	trust, err := ParseTrust(w.TrustedRoot())
	if err != nil {
		t.Fatal(err)
	}
	message := []byte("signature")
	parse := func(tsa *bundletest.TSA, at time.Time, o bundletest.StampOptions) *token {
		t.Helper()
		tok, err := parseToken(tsa.Stamp(t, message, at, o))
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	a, first := trust.authorities[0], parse(w.TSA, bundletest.Epoch, bundletest.StampOptions{})
	if a.recall(first, message) != nil {
		t.Fatal("recalled what was never verified")
	}
	if _, err := a.verify(first, message); err != nil {
		t.Fatal(err)
	}
	second := parse(w.TSA, bundletest.Epoch.Add(time.Hour), bundletest.StampOptions{Hash: crypto.SHA512})
	recalled := a.recall(second, message)
	verified, err := a.verify(second, message)
	if err != nil || recalled == nil || !reflect.DeepEqual(recalled, verified) {
		t.Fatalf("recalled %+v, verified %+v, %v", recalled, verified, err)
	}
	weak := *second
	stamp := *second.stamp
	stamp.HashAlgorithm = crypto.SHA1
	weak.stamp = &stamp
	for name, tok := range map[string]*token{
		"authority that was not verified yet": parse(w.Foreign, bundletest.Epoch, bundletest.StampOptions{}),
		"token without certificate":           parse(w.TSA, bundletest.Epoch, bundletest.StampOptions{NoCertificate: true}),
		"before the authority":                parse(w.TSA, bundletest.Start.Add(-time.Second), bundletest.StampOptions{}),
		"after its certificate":               parse(w.TSA, bundletest.Start.AddDate(10, 0, 1), bundletest.StampOptions{}),
		"SHA-1":                               &weak,
	} {
		if a.recall(tok, message) != nil {
			t.Errorf("%s: recalled", name)
		}
	}
	if a.recall(second, []byte("another")) != nil {
		t.Error("recalled for another message")
	}
}

// TestForgedCertificateInToken prepends a certificate with the authority's issuer
// and serial number, but a forger's key, to a token's certificates
// (CVE-2026-39984 was about constraints checked on the wrong one of them).
func TestForgedCertificateInToken(t *testing.T) {
	w := bundletest.NewWorld(t)
	message := []byte("signature")
	forged := bundletest.Forge(t, w.TSA)
	for name, tsa := range map[string]*bundletest.TSA{"genuine signature": w.TSA, "forger's signature": forged} {
		for _, warm := range []bool{false, true} {
			trust, err := ParseTrust(w.TrustedRoot())
			if err != nil {
				t.Fatal(err)
			}
			if warm {
				if _, err := trust.verifyTimestamp(w.TSA.Stamp(t, message, bundletest.Epoch, bundletest.StampOptions{}),
					message); err != nil {
					t.Fatal(err)
				}
			}
			response := tsa.Stamp(t, message, bundletest.Epoch, bundletest.StampOptions{})
			for order, certificates := range map[string][]byte{
				"forged first": slices.Concat(forged.Leaf.Raw, w.TSA.Leaf.Raw), "genuine first": slices.Concat(w.TSA.Leaf.Raw,
					forged.Leaf.Raw),
			} {
				s, err := trust.verifyTimestamp(withCertificates(t, response, certificates), message)
				wantOK := name == "genuine signature" && order == "genuine first"
				if (err == nil) != wantOK {
					t.Errorf("%s, %s, warm %v: got %+v, %v", name, order, warm, s, err)
				}
			}
		}
	}
}

// withCertificates replaces the certificates of a token.
func withCertificates(t *testing.T, response, certificates []byte) []byte {
	t.Helper()
	var r timestampResponse
	var c contentInfo
	if _, err := asn1.Unmarshal(response, &r); err != nil {
		t.Fatal(err)
	}
	if _, err := asn1.Unmarshal(r.Token.FullBytes, &c); err != nil {
		t.Fatal(err)
	}
	c.Content.Certificates = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: certificates}
	var err error
	if r.Token.FullBytes, err = asn1.Marshal(c); err != nil {
		t.Fatal(err)
	}
	changed, err := asn1.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// TestTokenForm writes a token in ways that RFC 5652 and RFC 3161 do not allow,
// in places that nobody signs.
func TestTokenForm(t *testing.T) {
	w := bundletest.NewWorld(t)
	response := w.TSA.Stamp(t, []byte("signature"), bundletest.Epoch, bundletest.StampOptions{})
	if err := checkTokenForm(response); err != nil {
		t.Fatal(err)
	}
	oid := asn1.ObjectIdentifier{1, 2, 3}
	extra := asn1.RawValue{FullBytes: []byte{5, 0}}
	for name, change := range map[string]func(*timestampResponse, *contentInfo){
		"status":            func(r *timestampResponse, _ *contentInfo) { r.Status.Status = 1 },
		"after the token":   func(r *timestampResponse, _ *contentInfo) { r.Extra = extra },
		"content type":      func(_ *timestampResponse, c *contentInfo) { c.Type = oid },
		"after the content": func(_ *timestampResponse, c *contentInfo) { c.Extra = extra },
		"version":           func(_ *timestampResponse, c *contentInfo) { c.Content.Version = 1 },
		"digest algorithm": func(_ *timestampResponse,
			c *contentInfo) {
			c.Content.DigestAlgorithms[0].Algorithm = oid
		},
		"digest algorithms":      func(_ *timestampResponse, c *contentInfo) { c.Content.DigestAlgorithms = nil },
		"encapsulated type":      func(_ *timestampResponse, c *contentInfo) { c.Content.Encapsulated.Type = oid },
		"after the signer infos": func(_ *timestampResponse, c *contentInfo) { c.Content.Extra = extra },
		"no signer":              func(_ *timestampResponse, c *contentInfo) { c.Content.SignerInfos = nil },
		"two signers": func(_ *timestampResponse, c *contentInfo) {
			c.Content.SignerInfos = slices.Repeat(c.Content.SignerInfos, 2)
		},
		"signer version":          func(_ *timestampResponse, c *contentInfo) { c.Content.SignerInfos[0].Version = 3 },
		"unsigned attribute":      func(_ *timestampResponse, c *contentInfo) { c.Content.SignerInfos[0].Extra = extra },
		"signed attributes twice": func(_ *timestampResponse, c *contentInfo) { repeatAttributes(&c.Content.SignerInfos[0]) },
	} {
		var r timestampResponse
		var c contentInfo
		if _, err := asn1.Unmarshal(response, &r); err != nil {
			t.Fatal(err)
		}
		if _, err := asn1.Unmarshal(r.Token.FullBytes, &c); err != nil {
			t.Fatal(err)
		}
		change(&r, &c)
		var err error
		if r.Token.FullBytes, err = asn1.Marshal(c); err != nil {
			t.Fatal(err)
		}
		changed, err := asn1.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if checkTokenForm(changed) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if checkTokenForm(append(bytes.Clone(response), 0)) == nil {
		t.Error("a byte after the response: accepted")
	}
	deep := []byte{5, 0}
	for range maxDERDepth + 2 {
		deep = append([]byte{0x30, byte(len(deep))}, deep...)
	}
	if checkDER(deep, 0) == nil {
		t.Error("nested too deep: accepted")
	}
}

func repeatAttributes(s *signerInfo) {
	b := bytes.Repeat(s.SignedAttributes.Bytes, 2)
	s.SignedAttributes = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: b}
}

// TestCheckpointCache keeps to its limit and forgets the least recently used.
func TestCheckpointCache(t *testing.T) {
	c := newCheckpointCache(2)
	key := func(i byte) (k [32]byte) { k[0] = i; return k }
	for i := range byte(3) {
		c.put(key(i), &checkpoint{size: uint64(i)})
		c.put(key(i), &checkpoint{size: math.MaxUint64}) // the first stays
		if i > 0 && c.get(key(0)) == nil && i < 2 {
			t.Error("forgot although there was room")
		}
	}
	if c.get(key(1)) != nil || c.get(key(0)).size != 0 || c.get(key(2)).size != 2 || len(c.byKey) != 2 || c.order.Len() != 2 {
		t.Errorf("kept %d of at most 2, or the wrong ones", len(c.byKey))
	}
}

// TestBoundJSON bounds what VerifySigstore lets sigstore-go parse.
func TestBoundJSON(t *testing.T) {
	for name, c := range map[string]struct {
		json string
		ok   bool
	}{
		"flat":                {`{"a":[1,2,"[[[["]}`, true},
		"brackets in strings": {`{"a":"` + string(bytes.Repeat([]byte(`[\"`), 1000)) + `"}`, true},
		"deep":                {string(bytes.Repeat([]byte("["), MaxBundleDepth+1)), false},
		"wide":                {"[" + string(bytes.Repeat([]byte("0,"), MaxSigstoreValues+1)), false},
	} {
		if err := boundJSON([]byte(c.json)); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzParseTree reads what predicate.StrictJSON accepts, and compares the tree
// with encoding/json's.
func FuzzParseTree(f *testing.F) {
	for _, s := range []string{`{}`, `[]`, `"\u0041\"\\"`, `{"a":[1,-2.5e3,true,"x"],"b":{"c":""}}`,
		` [ { "a" : 1 } , [ ] ] `, `0`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if predicate.StrictJSON(data, predicate.BundleJSONLimits()) != nil {
			return
		}
		tree, err := parseTree(data)
		if err != nil {
			t.Fatalf("strict JSON, but no tree: %v", err)
		}
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		var want any
		if err := d.Decode(&want); err != nil {
			t.Fatalf("strict JSON, but encoding/json refuses: %v", err)
		}
		if got := plainValue(tree); !reflect.DeepEqual(got, want) {
			t.Errorf("got %#v, want %#v", got, want)
		}
	})
}

// plainValue is a tree as encoding/json would decode it.
func plainValue(n node) any {
	switch n.kind {
	case kindObject:
		m := make(map[string]any, len(n.members))
		for _, e := range n.members {
			m[e.name] = plainValue(e.value)
		}
		return m
	case kindArray:
		l := make([]any, len(n.items))
		for i, e := range n.items {
			l[i] = plainValue(e)
		}
		return l
	case kindString:
		return n.text
	default:
		if n.text == "true" || n.text == "false" {
			return n.text == "true"
		}
		return json.Number(n.text)
	}
}

// FuzzToken parses timestamp responses: what passes the form has one signer and
// parses the same way by digitorus/timestamp alone.
func FuzzToken(f *testing.F) {
	f.Add(bundletest.NewTSA(f, "https://tsa.example.test", bundletest.Start).Stamp(f, []byte("x"), bundletest.Epoch,
		bundletest.StampOptions{}))
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := parseToken(data)
		if err != nil {
			return
		}
		ts, err := timestamp.ParseResponse(data)
		if err != nil || !ts.Time.Equal(tok.stamp.Time) {
			t.Errorf("accepted, but digitorus/timestamp says %v, %v", ts, err)
		}
		if tok.signer != nil && len(ts.Certificates) != 1 {
			t.Errorf("signer taken from %d certificates", len(ts.Certificates))
		}
	})
}

// FuzzCheckpoint verifies checkpoints of a known log: whatever is accepted begins
// with exactly what it is said to mean.
func FuzzCheckpoint(f *testing.F) {
	w := bundletest.NewWorld(f)
	trust, err := ParseTrust(w.TrustedRoot())
	if err != nil {
		f.Fatal(err)
	}
	v, err := New(Config{Trust: trust})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(w.Log.Checkpoint(f))
	f.Add(w.Log.SignNote(f, "log.example.test\n01\nAAAA\n"))
	f.Fuzz(func(t *testing.T, text string) {
		for _, log := range trust.logs {
			cp, err := v.checkpoint(log, text)
			if err != nil {
				continue
			}
			if again, err := v.checkpoint(log, text); err != nil || again != cp {
				t.Errorf("the second time %v, %v", again, err)
			}
			if cp.origin != log.origin || !bytes.HasPrefix([]byte(text),
				fmt.Appendf(nil, "%s\n%d\n", cp.origin, cp.size)) || len(cp.root) != 32 {
				t.Errorf("accepted %q as %+v", text, cp)
			}
		}
	})
}

// TestSecondOpinion asks sigstore-go about bundles that the checks before it
// would already have refused: it has to refuse them by itself.
func TestSecondOpinion(t *testing.T) {
	w := bundletest.NewWorld(t)
	trust, err := ParseTrust(w.TrustedRoot())
	if err != nil {
		t.Fatal(err)
	}
	v, err := New(Config{Trust: trust, Clock: func() time.Time { return bundletest.Epoch.Add(time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	genuine := w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "no-backdoor")})
	other := w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "no-backdoor")})
	for name, c := range map[string]struct {
		change func(*run)
		want   Status
	}{
		"unchanged":                 {func(*run) {}, StatusPass},
		"another bundle's bytes":    {func(r *run) { r.data = other }, StatusFail},
		"not a bundle":              {func(r *run) { r.data = []byte("{}") }, StatusFail},
		"another artifact":          {func(r *run) { r.req.digest = make([]byte, 32) }, StatusFail},
		"two authorities required":  {func(r *run) { r.req.minTimestamps = 2 }, StatusFail},
		"key outside its window":    {func(r *run) { r.signer.Key.NotAfter = bundletest.Start }, StatusFail},
		"no timestamp was verified": {func(r *run) { r.stamps = nil }, StatusFail},
		"artifact not a subject":    {func(r *run) { r.subjectFound = false }, StatusSkipped},
	} {
		req, err := v.request(Input{
			ArtifactSHA256: bundletest.ArtifactSHA256, Bundles: []NamedBundle{{Data: genuine}},
			Signers: []Signer{{Key: &Key{PublicKey: &w.Vendor.PublicKey}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		r := &run{v: v, req: req, data: genuine}
		if checks := r.walk("", buyerChecks); !passedAll(checks, buyerChecks) {
			t.Fatalf("the genuine bundle is refused: %v", checks)
		}
		c.change(r)
		if got := r.checkSigstore(); got.Status != c.want {
			t.Errorf("%s: got %s (%s), want %s", name, got.Status, got.Detail, c.want)
		}
	}
}
