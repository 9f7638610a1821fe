package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/internal/verdictpb"
	"github.com/avow-dev/avow/verify"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

const vectors = "../../../../testdata/vectors/v1"

// at is the time of everything here.
var at = time.Date(2026, 9, 1, 9, 5, 0, 0, time.UTC)

var meta = Meta{Version: "v1.2.3", GeneratedAt: at.Add(time.Second), Command: []string{"avow", "verify", "app.tar.gz", "--bundle",
	"a b.json"}, TrustedRoot: "trusted_root.json", Keys: map[string]string{"sha256:" + strings.Repeat("ab", 32): "vendor.pub"}}

func vector(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(vectors, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parse(t testing.TB, data []byte) *predicate.Statement {
	t.Helper()
	st, err := predicate.Parse(data, predicate.Consumption)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// render writes items in a format.
func render(t testing.TB, f Format, m Meta, items ...Item) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, f, slices.Values(items), m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The checks of these verdicts are a few of those that there are.
var (
	bundleChecks = []verify.CheckID{verify.CheckBundleJSON, verify.CheckSigner, verify.CheckSignature, verify.CheckLogInclusion,
		verify.CheckTimestamp, verify.CheckSubject, verify.CheckStatementRules, verify.CheckValidity}
	wholeChecks = []verify.CheckID{verify.CheckBundlesGiven, verify.CheckRequiredTypes, verify.CheckPolicy}
)

// acceptedItem is an accepted verdict about statements, every check passed. It is made by hand, so that it is the same
// in every run; TestRealVerdicts has real ones.
func acceptedItem(t testing.TB, statements ...[]byte) Item {
	t.Helper()
	item := Item{Name: "app.tar.gz", Verdict: &verify.Verdict{Outcome: verify.Accepted}, Question: verdictpb.Question{
		ArtifactSHA256: strings.Repeat("12", 32), At: at, Trust: &verify.Trust{}}}
	v := item.Verdict
	for i, data := range statements {
		st := parse(t, data)
		name := fmt.Sprintf("%d.sigstore.json", i+1)
		for _, id := range bundleChecks {
			v.Checks = append(v.Checks, verify.Check{ID: id, Status: verify.StatusPass, Bundle: name, Detail: "as it should be"})
		}
		v.Bundles = append(v.Bundles, verify.BundleResult{Name: name, Outcome: verify.Accepted, Use: verify.UseCounts})
		v.Evidence = append(v.Evidence, verify.Evidence{Bundle: name, StatementID: st.ID(), Statement: st,
			Signer: verify.Signer{Name: "vendor.pub"}, KeyID: "sha256:" + strings.Repeat("ab", 32), PAEDigest: [32]byte{1},
			LogOrigin: "log.example.test", LogID: []byte{2}, LogIndex: uint64(i), TreeSize: 9, RootHash: []byte{3},
			Timestamps: []verify.Timestamp{{Time: at, Authority: "https://tsa.example.test"}}, SignedBy: at, SubjectName: "app"})
	}
	for _, id := range wholeChecks {
		v.Checks = append(v.Checks, verify.Check{ID: id, Status: verify.StatusPass, Detail: "as it should be"})
	}
	return item
}

// withStanding adds how the first statement stands: some items withdrawn, and disputed.
func withStanding(t testing.TB, item Item) Item {
	t.Helper()
	st := parse(t, vector(t, "dispute/valid/minimal-dispute.json"))
	said := verify.SaidStatement{LogIndex: 12, StatementID: st.ID(), Statement: st, Signer: "sha256:" + strings.Repeat("cd", 32), SignedBy: at}
	r := &verify.StandingResult{Standing: verify.StandingPartlyWithdrawn, Reason: "WITHDRAWAL", Detail: "1 items are withdrawn", AsOf: at, NotAfter: at,
		TreeSize: 20, Items: []string{"update"}, Said: []verify.SaidStatement{said}, OpenDisputes: []verify.SaidStatement{said}}
	item.Verdict.Evidence[0].Standing = r
	item.Verdict.Checks = append(item.Verdict.Checks, verify.Check{ID: verify.CheckStanding, Status: verify.StatusWarning,
		Detail: "1 statement in force; partly withdrawn: update of 1.sigstore.json; 1 open dispute of 1.sigstore.json"})
	return item
}

// withPolicy adds the answer of a policy. denied rejects.
func withPolicy(item Item, denied bool) Item {
	p := &verify.PolicyResult{Name: "strict", Version: "2.0.0", Digest: [32]byte{7}, Rules: []verify.RuleResult{
		{ID: "eu-storage", Description: "Everything is stored in the EU.", Passed: !denied, Message: "2 flows are stored elsewhere",
			Failing: []string{"telemetry", "update"}},
		{ID: "no-telemetry", Description: "Telemetry is off.", Severity: verify.SeverityWarn, Message: "telemetry is on",
			Failing: []string{"telemetry"}},
		{ID: "switch", Description: "All can be switched off.", Severity: verify.SeverityWarn, Error: "no such key: x"},
		{ID: "signed", Description: "It is signed.", Passed: true},
	}}
	item.Verdict.Policy = p
	last := &item.Verdict.Checks[len(item.Verdict.Checks)-1]
	*last = verify.Check{ID: verify.CheckPolicy, Status: verify.StatusWarning, Detail: "2 rules of policy strict met"}
	if denied {
		item.Verdict.Outcome = verify.Rejected
		*last = verify.Check{ID: verify.CheckPolicy, Status: verify.StatusFail, Expected: "every rule of policy strict met", Got: "eu-storage"}
	}
	return item
}

// rejectedItem is a verdict about one bundle that failed at its signature beside one that passed.
func rejectedItem(t testing.TB) Item {
	t.Helper()
	item := acceptedItem(t, vector(t, "data-flows/valid/minimal-data-flows.json"), vector(t, "no-backdoor/valid/minimal-no-backdoor.json"))
	v := item.Verdict
	v.Outcome, v.Evidence = verify.Rejected, v.Evidence[:1]
	v.Bundles[1] = verify.BundleResult{Name: "2.sigstore.json", Reason: verify.CheckSignature}
	failed := false
	for i := range v.Checks {
		c := &v.Checks[i]
		if c.Bundle != "2.sigstore.json" {
			continue
		}
		switch {
		case c.ID == verify.CheckSignature:
			failed = true
			*c = verify.Check{ID: c.ID, Bundle: c.Bundle, Status: verify.StatusFail, Expected: "a signature by the key", Got: "another <one>",
				Detail: "the signature is not by the key", Hint: "fetch it again"}
		case failed:
			*c = verify.Check{ID: c.ID, Bundle: c.Bundle}
		}
	}
	return item
}

func errorItem() Item {
	return Item{Name: "missing.tar.gz", Err: errors.New("open missing.tar.gz: no such file or directory")}
}

// evil is text that does something in every format that does not stop it.
const evil = "\x1b[2J\rACCEPTED\u202e\u009b31m\u2028\n  ok    signature |`x` <img src=http://127.0.0.1:9/x onerror=alert(1)></td></svg>" +
	"<script>alert(1)</script> [a](http://127.0.0.1:9/) @octocat #1 www.example.com :tada: ]]> <!-- ${{ x }} \xff e\u0301\u0302\u0303\u0304\u0305\u0306"

// poison puts the text into the strings of a statement that are free.
func poison(v any, text string) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			s, ok := value.(string)
			switch {
			case !ok:
				v[key] = poison(value, text)
			case slices.Contains([]string{"name", "description", "title", "purposeText", "setting", "effect", "note", "text",
				"signatoryFunction", "uri", "version", "value", "country"}, key):
				v[key] = s + text
			}
		}
	case []any:
		for i := range v {
			v[i] = poison(v[i], text)
		}
	}
	return v
}

// hostileItem has the text wherever foreign text can be. Its declarations are shown if accepted is set.
func hostileItem(t testing.TB, text string, accept bool) Item {
	t.Helper()
	var statements [][]byte
	for _, name := range []string{"data-flows/valid/editor-data-flows.json", "no-backdoor/valid/router-no-backdoor.json"} {
		var whole map[string]any
		if err := json.Unmarshal(vector(t, name), &whole); err != nil {
			t.Fatal(err)
		}
		whole["predicate"] = poison(whole["predicate"], strings.ToValidUTF8(text, "\ufffd"))
		data, err := json.Marshal(whole)
		if err != nil {
			t.Fatal(err)
		}
		statements = append(statements, data)
	}
	item := withPolicy(acceptedItem(t, statements...), !accept)
	item.Name += text
	item.Question.ArtifactSHA256 = strings.Repeat("12", 32)
	v := item.Verdict
	for i := range v.Checks {
		c := &v.Checks[i]
		c.Detail, c.Expected, c.Got, c.Hint = c.Detail+text, text, text, text
		if c.Bundle != "" {
			c.Bundle += text
		}
	}
	for i := range v.Bundles {
		v.Bundles[i].Name += text
		v.Evidence[i].Bundle += text
		v.Evidence[i].LogOrigin, v.Evidence[i].SubjectName, v.Evidence[i].Signer.Name = text, text, text
		v.Evidence[i].Timestamps[0].Authority = text
		v.Evidence[i].Warnings = predicate.Findings{{Code: "W01", Message: text}}
	}
	v.Policy.Name, v.Policy.Version = text, text
	for i := range v.Policy.Rules {
		r := &v.Policy.Rules[i]
		r.ID, r.Description, r.Message, r.Failing = r.ID+text, text, text, []string{text}
	}
	return item
}

// manyFlows is a statement with n flows, each to a recipient and a country of its own as far as there are names.
func manyFlows(t testing.TB, n, recipients, countries int) []byte {
	t.Helper()
	var whole map[string]any
	if err := json.Unmarshal(vector(t, "data-flows/valid/minimal-data-flows.json"), &whole); err != nil {
		t.Fatal(err)
	}
	p := whole["predicate"].(map[string]any)
	first, err := json.Marshal(p["flows"].([]any)[0])
	if err != nil {
		t.Fatal(err)
	}
	codes := []string{"DE", "FR", "US", "CN", "IE", "SG", "JP", "BR", "IN", "GB"}
	var flows []any
	for i := range n {
		var flow map[string]any
		if err := json.Unmarshal(first, &flow); err != nil {
			t.Fatal(err)
		}
		flow["id"] = fmt.Sprintf("flow-%d", i)
		party := flow["recipients"].([]any)[0].(map[string]any)["party"].(map[string]any)
		party["name"] = fmt.Sprintf("Recipient %d", i%recipients)
		party["country"] = codes[i%recipients%countries%len(codes)]
		if countries > len(codes) {
			party["country"] = fmt.Sprintf("place %03d", i%countries)
		}
		if i%3 == 0 {
			flow["activation"].(map[string]any)["defaultState"] = "off"
		}
		flows = append(flows, flow)
	}
	p["flows"] = flows
	data, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// realItem verifies bundles over statements for real. The artifact is the first subject of the first statement.
func realItem(t testing.TB, statements ...[]byte) Item {
	t.Helper()
	w := bundletest.NewWorld(t)
	trust, err := verify.ParseTrust(w.TrustedRoot())
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := verify.New(verify.Config{Trust: trust, Clock: func() time.Time { return bundletest.Epoch }})
	if err != nil {
		t.Fatal(err)
	}
	input := verify.Input{ArtifactSHA256: parse(t, statements[0]).Subjects[0].Digest["sha256"],
		Signers: []verify.Signer{{Name: "vendor.pub", Key: &verify.Key{PublicKey: &w.Vendor.PublicKey}}}}
	for i, data := range statements {
		input.Bundles = append(input.Bundles, verify.NamedBundle{Name: fmt.Sprintf("%d.sigstore.json", i+1),
			Data: w.IssueJSON(t, bundletest.Spec{Payload: data})})
	}
	item := Item{Name: "app.tar.gz", Question: verdictpb.Question{ArtifactSHA256: input.ArtifactSHA256, Trust: trust, At: bundletest.Epoch}}
	if item.Verdict, item.Err = verifier.Verify(t.Context(), input); item.Err != nil {
		t.Fatal(item.Err)
	}
	return item
}
