package result

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/avow-dev/avow/verify"
)

// TestStatementForm signs statements that are wrong with the pinned key: nothing
// but the form can be what is refused.
func TestStatementForm(t *testing.T) {
	const verifier, member = `"verifier":{"id":"`, `"https://w3id.org/avow/verdict/v1":{`
	for name, c := range map[string]struct {
		form     Form
		from, to string
		want     string
	}{
		"unchanged":                     {SVR, verifier, verifier, "accepted"},
		"another type":                  {SVR, "svr/v0.2", "svr/v0.1", "VERDICT_KIND"},
		"a vendor's type":               {SVR, SVRType, "https://w3id.org/avow/no-backdoor/v1", "VERDICT_KIND"},
		"the other form's type":         {SVR, SVRType, VSAType, "VERDICT_FORM"},
		"statement v0.1":                {SVR, "Statement/v1", "Statement/v0.1", "VERDICT_FORM"},
		"white space":                   {SVR, `{"_type"`, `{ "_type"`, "VERDICT_FORM"},
		"unknown member of a statement": {SVR, `{"_type"`, `{"also":1,"_type"`, "VERDICT_FORM"},
		"unknown member":                {SVR, verifier, `"result":"FAILED",` + verifier, "VERDICT_FORM"},
		"unknown member of a verifier":  {SVR, verifier, `"verifier":{"policy":{},"id":"`, "VERDICT_FORM"},
		"unknown member of avow's":      {SVR, member, member + `"withdrawn":true,`, "VERDICT_FORM"},
		"member twice":                  {SVR, verifier, `"verifier":{},` + verifier, "VERDICT_FORM"},
		"member in another case":        {SVR, `"properties"`, `"Properties"`, "VERDICT_FORM"},
		"null":                          {SVR, `"policies":[]`, `"policies":null`, "VERDICT_FORM"},
		"no policies":                   {SVR, `,"policies":[]`, ``, "VERDICT_FORM"},
		"a policy without digest":       {SVR, `"policies":[]`, `"policies":[{"name":"strict"}]`, "VERDICT_FORM"},
		"a policy that was not met":     {SVR, `"policies":[]`, `"policies":[{"digest":{"sha256":"` + strings.Repeat("a", 64) + `"}}]`, "VERDICT_FORM"},
		"two policies":                  {SVR, `"policies":[]`, `"policies":[{},{}]`, "VERDICT_FORM"},
		"longer by one end":             {SVR, `"validUntil":"2026-09-02`, `"validUntil":"2026-09-03`, "VERDICT_FORM"},
		"longer by the other":           {SVR, `AVOW_ACCEPTED_86400`, `AVOW_ACCEPTED_864000`, "VERDICT_FORM"},
		"another property":              {SVR, `"AVOW_DECLARED_DATA_FLOWS"`, `"SLSA_BUILD_LEVEL_3"`, "VERDICT_FORM"},
		"one property less":             {SVR, `"AVOW_DECLARED_DATA_FLOWS",`, ``, "VERDICT_FORM"},
		"policy met without policy":     {SVR, `"AVOW_DECLARED_DATA_FLOWS"`, `"AVOW_POLICY_MET","AVOW_DECLARED_DATA_FLOWS"`, "VERDICT_FORM"},
		"no statements":                 {SVR, `"statements":[`, `"statement":[`, "VERDICT_FORM"},
		"failed and accepted":           {SVR, `"trustedRoot"`, `"failedChecks":["signature"],"trustedRoot"`, "VERDICT_FORM"},
		"without avow's member":         {SVR, member, `"https://example.test/other":{`, "VERDICT_FORM"},
		"no subject":                    {SVR, `"subject":[`, `"subjects":[`, "VERDICT_FORM"},
		"two subjects":                  {SVR, `"subject":[`, `"subject":[{"digest":{"sha256":"` + strings.Repeat("a", 64) + `"}},`, "VERDICT_FORM"},
		"second digest":                 {SVR, `"trustedRoot":{"digest":{`, `"trustedRoot":{"digest":{"sha1":"00",`, "VERDICT_FORM"},
		"number for a time":             {SVR, `"timeCreated":"`, `"timeCreated":1,"x":"`, "VERDICT_FORM"},
		"fraction of a second":          {SVR, `:00Z","properties"`, `:00.5Z","properties"`, "VERDICT_FORM"},
		"another time zone":             {SVR, `:00Z","properties"`, `:00+00:00","properties"`, "VERDICT_FORM"},
		"verifier without URI":          {SVR, buyerID, "buyer", "VERDICT_FORM"},
		"vsa unchanged":                 {VSA, verifier, verifier, "accepted"},
		"vsa failed, levels passed":     {VSA, `"PASSED"`, `"FAILED"`, "VERDICT_FORM"},
		"vsa another result":            {VSA, `"PASSED"`, `"passed"`, "VERDICT_FORM"},
		"vsa no result":                 {VSA, `"verificationResult":"PASSED",`, ``, "VERDICT_FORM"},
		"vsa failed level":              {VSA, `"verifiedLevels":[`, `"verifiedLevels":["FAILED",`, "VERDICT_FORM"},
		"vsa another resource":          {VSA, `"resourceUri":"`, `"resourceUri":"https://example.test/`, "VERDICT_FORM"},
		"vsa one input more":            {VSA, `"inputAttestations":[`, `"inputAttestations":[{"uri":"https://example.test"},`, "VERDICT_FORM"},
		"vsa policy by name":            {VSA, checksURI, "https://example.test/policy", "VERDICT_FORM"},
		"vsa slsa version":              {VSA, `"verificationResult"`, `"slsaVersion":"1.0","verificationResult"`, "VERDICT_FORM"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			changed := replace(t, payload(t, w.sign(c.form)), c.from, c.to)
			if got := w.open(w.buyer.resign(t, changed), w.expect()); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestBundleForm changes what no signature covers.
func TestBundleForm(t *testing.T) {
	w := newWorld(t)
	bundle := w.sign(SVR)
	edit := func(from, to string) []byte { return replace(t, bundle, from, to) }
	signatures := func(f func(first string) string) []byte {
		b, err := parseBundle(bundle)
		if err != nil {
			t.Fatal(err)
		}
		first := base64.StdEncoding.EncodeToString(b.Envelope.Signatures[0].Sig)
		return edit(`[{"sig":"`+first+`"}]`, f(first))
	}
	other := bytes.Clone(payload(t, bundle))
	other[len(other)/2] ^= 1
	encode := base64.StdEncoding.EncodeToString
	for name, c := range map[string]struct {
		bundle []byte
		want   string
	}{
		"unchanged":              {bundle, "accepted"},
		"other white space":      {indented(t, bundle), "accepted"},
		"newline":                {append(bytes.Clone(bundle), '\n'), "accepted"},
		"nothing":                {nil, "VERDICT_FORM"},
		"null":                   {[]byte("null"), "VERDICT_FORM"},
		"too large":              {append(bytes.Clone(bundle), bytes.Repeat([]byte{' '}, 512<<10)...), "VERDICT_FORM"},
		"two values":             {append(bytes.Clone(bundle), "{}"...), "VERDICT_FORM"},
		"bundle v0.2":            {edit("bundle.v0.3+json", "bundle.v0.2+json"), "VERDICT_FORM"},
		"unknown member":         {edit(`"dsseEnvelope"`, `"also":1,"dsseEnvelope"`), "VERDICT_FORM"},
		"no payload type":        {edit(`"payloadType":"application/vnd.in-toto+json",`, ``), "VERDICT_FORM"},
		"no media type":          {edit(`"mediaType":"`+verify.BundleMediaType+`",`, ``), "VERDICT_FORM"},
		"order of members":       {reordered(t, bundle), "accepted"},
		"member in another case": {edit(`"payload"`, `"Payload"`), "VERDICT_FORM"},
		"member twice":           {edit(`"payload"`, `"payload":"","payload"`), "VERDICT_FORM"},
		"log entries":            {edit(`"publicKey"`, `"tlogEntries":[],"publicKey"`), "VERDICT_FORM"},
		"certificate too":        {edit(`"publicKey"`, `"certificate":{"rawBytes":"AA=="},"publicKey"`), "VERDICT_FORM"},
		"payload type":           {edit("application/vnd.in-toto+json", "text/plain"), "VERDICT_FORM"},
		"keyid":                  {edit(`{"sig"`, `{"keyid":"x","sig"`), "VERDICT_FORM"},
		"no timestamps":          {edit(`"}},"dsse`, `"},"timestampVerificationData":{"rfc3161Timestamps":[]}},"dsse`), "VERDICT_FORM"},
		"empty timestamp": {edit(`"}},"dsse`, `"},"timestampVerificationData":{"rfc3161Timestamps":[{"signedTimestamp":""}]}},"dsse`),
			"VERDICT_FORM"},
		"no signature":     {signatures(func(string) string { return `[]` }), "VERDICT_SIGNATURE"},
		"second signature": {signatures(func(s string) string { return `[{"sig":"` + s + `"},{"sig":"` + s + `"}]` }), "VERDICT_SIGNATURE"},
		"other signature":  {signatures(func(string) string { return `[{"sig":"AAAA"}]` }), "VERDICT_SIGNATURE"},
		"loose base64":     {signatures(func(s string) string { return `[{"sig":"\n` + s + `"}]` }), "VERDICT_FORM"},
		"changed payload":  {edit(encode(payload(t, bundle)), encode(other)), "VERDICT_SIGNATURE"},
		"not a statement":  {w.buyer.resign(t, []byte("[]")), "VERDICT_FORM"},
		"empty payload":    {w.buyer.resign(t, nil), "VERDICT_FORM"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := w.open(c.bundle, w.expect()); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestEveryByte: no byte of a signed verdict can be changed and be accepted,
// unless the JSON says the same.
func TestEveryByte(t *testing.T) {
	w := newWorld(t)
	bundle := w.sign(VSA)
	expect, pinned := w.expect(), w.buyer.pinned()
	for i := range bundle {
		changed := bytes.Clone(bundle)
		changed[i] ^= 1
		if r, err := Open(changed, pinned, now, expect); err == nil {
			t.Errorf("byte %d, %q for %q, is accepted: %+v", i, changed[i], bundle[i], r)
		}
	}
}

// reordered is the same JSON with members in alphabetical order.
func reordered(t *testing.T, bundle []byte) []byte {
	t.Helper()
	var v any
	if err := json.Unmarshal(bundle, &v); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
