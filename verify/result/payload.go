package result

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
)

// How times are written: RFC 3339 in UTC. Those of a verdict are whole seconds,
// those of timestamps as precise as their authority was.
const (
	timeForm  = "2006-01-02T15:04:05Z"
	stampForm = "2006-01-02T15:04:05.999999999Z"
)

// The outcomes of VSA; FAILED is also its only level then.
const passed, failed = "PASSED", "FAILED"

// The JSON of a statement. Order and names of the members are part of the
// format: a verdict is read by writing it again.
type statementJSON[P any] struct {
	Type          string           `json:"_type"`
	Subject       []descriptorJSON `json:"subject"`
	PredicateType string           `json:"predicateType"`
	Predicate     P                `json:"predicate"`
}

type svrJSON struct {
	Verifier struct {
		ID string `json:"id"`
		// > Producers MUST include this field even when no policy can be
		// > referenced; in that case, the value MUST be an empty array.
		Policies []descriptorJSON `json:"policies"`
	} `json:"verifier"`
	TimeCreated string     `json:"timeCreated"`
	Properties  []string   `json:"properties"`
	Avow        *extension `json:"https://w3id.org/avow/verdict/v1"`
}

type vsaJSON struct {
	Verifier struct {
		ID string `json:"id"`
	} `json:"verifier"`
	TimeVerified       string           `json:"timeVerified"`
	ResourceURI        string           `json:"resourceUri"`
	Policy             descriptorJSON   `json:"policy"`
	InputAttestations  []descriptorJSON `json:"inputAttestations,omitempty"`
	VerificationResult string           `json:"verificationResult"`
	VerifiedLevels     []string         `json:"verifiedLevels"`
	Avow               *extension       `json:"https://w3id.org/avow/verdict/v1"`
}

// descriptorJSON is the part of in-toto's ResourceDescriptor that is used.
type descriptorJSON struct {
	Name        string           `json:"name,omitempty"`
	URI         string           `json:"uri,omitempty"`
	Digest      *digestJSON      `json:"digest,omitempty"`
	Annotations *annotationsJSON `json:"annotations,omitempty"`
}

type digestJSON struct {
	SHA256 string `json:"sha256"`
}

type annotationsJSON struct {
	Version string `json:"version,omitempty"`
}

// extension is what neither predicate has a member for. Its name is a URI, as
// VSA demands of extension members; in-toto, which SVR follows, asks for a name
// that collides with no other. It changes the meaning of no other member.
type extension struct {
	ValidUntil      string           `json:"validUntil"`
	VerifierVersion string           `json:"verifierVersion,omitempty"`
	TrustedRoot     descriptorJSON   `json:"trustedRoot"`
	Statements      []statementPin   `json:"statements,omitempty"`
	FailedChecks    []verify.CheckID `json:"failedChecks,omitempty"`
	FailedRules     []string         `json:"failedRules,omitempty"`
}

type statementPin struct {
	Digest        digestJSON `json:"digest"`
	PredicateType string     `json:"predicateType"`
	Signer        struct {
		KeyID  string `json:"keyId"`
		SAN    string `json:"subjectAlternativeName,omitempty"`
		Issuer string `json:"issuer,omitempty"`
	} `json:"signer"`
	Timestamps []string `json:"timestamps"`
	Log        struct {
		Origin   string `json:"origin"`
		Index    uint64 `json:"index,string"`
		TreeSize uint64 `json:"treeSize,string"`
		RootHash string `json:"rootHash"`
	} `json:"log"`
}

// payload writes the statement. It must be the only function that does.
func (r *Result) payload() ([]byte, error) {
	subject := []descriptorJSON{{Name: r.ArtifactName, Digest: &digestJSON{r.ArtifactSHA256}}}
	if r.Form == VSA {
		return encode(statementJSON[vsaJSON]{predicate.StatementType, subject, VSAType, r.vsa()})
	}
	return encode(statementJSON[svrJSON]{predicate.StatementType, subject, SVRType, r.svr()})
}

// encode writes JSON in one way: no white space, no HTML escapes.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func (r *Result) svr() svrJSON {
	p := svrJSON{TimeCreated: r.VerifiedAt.UTC().Format(timeForm), Properties: r.properties(), Avow: r.extension()}
	p.Verifier.ID, p.Verifier.Policies = r.VerifierID, []descriptorJSON{}
	if r.Policy != nil {
		p.Verifier.Policies = append(p.Verifier.Policies, r.Policy.descriptor())
	}
	return p
}

func (r *Result) vsa() vsaJSON {
	p := vsaJSON{
		TimeVerified: r.VerifiedAt.UTC().Format(timeForm), ResourceURI: artifactURI + r.ArtifactSHA256,
		Policy:             descriptorJSON{URI: checksURI},
		VerificationResult: failed, VerifiedLevels: []string{failed}, Avow: r.extension(),
	}
	p.Verifier.ID = r.VerifierID
	if r.Policy != nil {
		p.Policy = r.Policy.descriptor()
	}
	for _, s := range r.Statements {
		p.InputAttestations = append(p.InputAttestations, descriptorJSON{Digest: &digestJSON{hexOf(s.ID)}})
	}
	if r.Accepted {
		p.VerificationResult, p.VerifiedLevels = passed, r.properties()
	}
	return p
}

// properties are what passed, for SVR's properties and VSA's levels: how many
// seconds the acceptance holds, what is declared about the artifact, and
// whether a policy was met.
func (r *Result) properties() []string {
	declared := []string{}
	for _, s := range r.Statements {
		switch s.Type {
		case predicate.NoBackdoorType:
			declared = append(declared, "AVOW_DECLARED_NO_BACKDOOR")
		case predicate.DataFlowsType:
			declared = append(declared, "AVOW_DECLARED_DATA_FLOWS")
		case predicate.UndertakingsType:
			declared = append(declared, "AVOW_DECLARED_UNDERTAKINGS")
		}
	}
	slices.Sort(declared)
	list := []string{"AVOW_ACCEPTED_" + strconv.FormatInt(int64(r.ValidUntil.Sub(r.VerifiedAt)/time.Second), 10)}
	if r.Policy != nil {
		list = append(list, "AVOW_POLICY_MET")
	}
	return append(list, slices.Compact(declared)...)
}

func (r *Result) extension() *extension {
	e := &extension{
		ValidUntil: r.ValidUntil.UTC().Format(timeForm), VerifierVersion: r.VerifierVersion,
		TrustedRoot:  descriptorJSON{Digest: &digestJSON{hex.EncodeToString(r.TrustedRoot[:])}},
		FailedChecks: r.FailedChecks, FailedRules: r.FailedRules,
	}
	for _, s := range r.Statements {
		p := statementPin{Digest: digestJSON{hexOf(s.ID)}, PredicateType: s.Type}
		for _, t := range s.Timestamps {
			p.Timestamps = append(p.Timestamps, t.UTC().Format(stampForm))
		}
		p.Signer.KeyID = s.KeyID
		if s.Identity != nil {
			p.Signer.SAN, p.Signer.Issuer = s.Identity.SAN, s.Identity.Issuer
		}
		p.Log.Origin, p.Log.Index, p.Log.TreeSize = s.LogOrigin, s.LogIndex, s.TreeSize
		p.Log.RootHash = hex.EncodeToString(s.RootHash[:])
		e.Statements = append(e.Statements, p)
	}
	return e
}

func (p *Policy) descriptor() descriptorJSON {
	digest := hex.EncodeToString(p.Digest[:])
	return descriptorJSON{Name: p.Name, URI: policyURI + digest, Digest: &digestJSON{digest},
		Annotations: annotations(p.Version)}
}

func annotations(version string) *annotationsJSON {
	if version == "" {
		return nil
	}
	return &annotationsJSON{version}
}

// hexOf returns the hex digits of "sha256:HEX".
func hexOf(id string) string { return id[len("sha256:"):] }

// parse reads a statement that payload wrote. What it takes from the bytes it
// takes loosely; that nothing else is in them is known because the content, if
// it passes check, is written again and has to be the same bytes.
func parse(data []byte) (*Result, error) {
	if err := predicate.StrictJSON(data, predicate.StatementJSONLimits()); err != nil {
		return nil, err
	}
	var head struct {
		PredicateType string `json:"predicateType"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, err
	}
	var r *Result
	var err error
	switch head.PredicateType {
	case SVRType:
		r, err = parseSVR(data)
	case VSAType:
		r, err = parseVSA(data)
	default:
		return nil, &Error{Code: CodeKind, Hint: "this is no signed verdict",
			Detail: fmt.Sprintf("predicate type %q, want %s or %s", clip(head.PredicateType), SVRType, VSAType)}
	}
	if err == nil {
		err = r.check()
	}
	if err != nil {
		return nil, err
	}
	again, err := r.payload()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, data) {
		return nil, differs(data, again)
	}
	return r, nil
}

// differs names the place where bytes stop being what would have been written.
func differs(got, want []byte) error {
	at := 0
	for at < len(got) && at < len(want) && got[at] == want[at] {
		at++
	}
	near := func(b []byte) string { return clip(string(b[max(at-20, 0):min(at+20, len(b))])) }
	return fmt.Errorf("not what avow writes for its content: byte %d: got %q, want %q", at, near(got), near(want))
}

func parseSVR(data []byte) (*Result, error) {
	var s statementJSON[svrJSON]
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, err
	}
	p := &s.Predicate
	r := &Result{Form: SVR, Accepted: true, VerifierID: p.Verifier.ID}
	switch len(p.Verifier.Policies) {
	case 0:
	case 1:
		if err := r.readPolicy(p.Verifier.Policies[0]); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("%d policies, want at most 1", len(p.Verifier.Policies))
	}
	return r, r.read(s.Subject, p.TimeCreated, p.Avow)
}

func parseVSA(data []byte) (*Result, error) {
	var s statementJSON[vsaJSON]
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, err
	}
	p := &s.Predicate
	r := &Result{Form: VSA, Accepted: p.VerificationResult == passed, VerifierID: p.Verifier.ID}
	if p.Policy.URI != checksURI {
		if err := r.readPolicy(p.Policy); err != nil {
			return nil, err
		}
	}
	return r, r.read(s.Subject, p.TimeVerified, p.Avow)
}

func (r *Result) readPolicy(d descriptorJSON) error {
	r.Policy = &Policy{Name: d.Name}
	if d.Annotations != nil {
		r.Policy.Version = d.Annotations.Version
	}
	return readDigest(&r.Policy.Digest, d.Digest)
}

// read takes what both forms have in common.
func (r *Result) read(subject []descriptorJSON, verifiedAt string, e *extension) error {
	if len(subject) != 1 || subject[0].Digest == nil {
		return fmt.Errorf("%d subjects, want 1 with a digest", len(subject))
	}
	if e == nil {
		return errors.New("without avow's member, which pins what the verdict depends on")
	}
	r.ArtifactName, r.ArtifactSHA256 = subject[0].Name, subject[0].Digest.SHA256
	r.VerifierVersion, r.FailedChecks, r.FailedRules = e.VerifierVersion, e.FailedChecks, e.FailedRules
	var err error
	if r.VerifiedAt, err = time.Parse(timeForm, verifiedAt); err != nil {
		return err
	}
	if r.ValidUntil, err = time.Parse(timeForm, e.ValidUntil); err != nil {
		return err
	}
	for i := range e.Statements {
		s, err := e.Statements[i].read()
		if err != nil {
			return err
		}
		r.Statements = append(r.Statements, s)
	}
	return readDigest(&r.TrustedRoot, e.TrustedRoot.Digest)
}

func (p *statementPin) read() (StatementPin, error) {
	s := StatementPin{ID: "sha256:" + p.Digest.SHA256, Type: p.PredicateType, KeyID: p.Signer.KeyID,
		LogOrigin: p.Log.Origin, LogIndex: p.Log.Index, TreeSize: p.Log.TreeSize}
	if p.Signer.SAN != "" || p.Signer.Issuer != "" {
		s.Identity = &verify.Identity{SAN: p.Signer.SAN, Issuer: p.Signer.Issuer}
	}
	for _, text := range p.Timestamps {
		t, err := time.Parse(stampForm, text)
		if err != nil {
			return s, err
		}
		s.Timestamps = append(s.Timestamps, t)
	}
	return s, readDigest(&s.RootHash, &digestJSON{p.Log.RootHash})
}

func readDigest(to *[sha256.Size]byte, d *digestJSON) error {
	if d == nil || !isHexDigest(d.SHA256) {
		return errors.New("a digest is not a SHA-256 in 64 lower-case hex digits")
	}
	_, err := hex.Decode(to[:], []byte(d.SHA256))
	return err
}
