package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/policy"
)

// verifyAsBuyer judges the files in the directory and nothing else: no service is asked, no socket is opened.
func (s *story) verifyAsBuyer(ctx context.Context) error {
	s.heading("A buyer verifies the file and both statements, offline", s.verifyCommand("artifact", "no-backdoor.sigstore.json"))
	verdict, err := s.judge(ctx, question{artifact: "artifact", noBackdoor: "no-backdoor.sigstore.json"})
	if err != nil {
		return err
	}
	return s.expect(verdict, verify.Accepted)
}

// quickstartRule is a ready-made policy that avowd's own flows do not meet: a server cannot be told not to serve.
const quickstartRule = "P03"

// applyPolicy judges the same files by a rule of the buyer's, which names what does not meet it.
func (s *story) applyPolicy(ctx context.Context) error {
	s.heading("A buyer whose rule is that every flow can be switched off does not install it",
		s.verifyCommand("artifact", "no-backdoor.sigstore.json")+" --policy "+quickstartRule)
	rule, err := policy.Builtin(ctx, quickstartRule, policy.Options{})
	if err != nil {
		return err
	}
	verdict, err := s.judge(ctx, question{artifact: "artifact", noBackdoor: "no-backdoor.sigstore.json", rules: rule})
	if err != nil {
		return err
	}
	return s.expect(verdict, verify.Rejected)
}

// tamper changes one byte of the file, then one word of a claim, and expects both to be refused for the right reason.
func (s *story) tamper(ctx context.Context) error {
	if err := os.MkdirAll(s.path("tampered"), 0o755); err != nil {
		return err
	}
	if err := s.tamperArtifact(); err != nil {
		return err
	}
	changed := filepath.Join("tampered", "artifact")
	s.heading("Somebody changes one byte of the file", s.verifyCommand(changed, "no-backdoor.sigstore.json"))
	verdict, err := s.judge(ctx, question{artifact: changed, noBackdoor: "no-backdoor.sigstore.json"})
	if err != nil {
		return err
	}
	if err := s.expect(verdict, verify.Rejected); err != nil {
		return err
	}
	if err := s.tamperClaim(); err != nil {
		return err
	}
	changed = filepath.Join("tampered", "no-backdoor.sigstore.json")
	s.heading("Somebody turns a disclosed exception into a plain claim", s.verifyCommand("artifact", changed))
	if verdict, err = s.judge(ctx, question{artifact: "artifact", noBackdoor: changed}); err != nil {
		return err
	}
	return s.expect(verdict, verify.Rejected)
}

func (s *story) tamperArtifact() error {
	data, err := os.ReadFile(s.path("artifact"))
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	return os.WriteFile(s.path(filepath.Join("tampered", "artifact")), data, 0o644) //nolint:gosec // not run, only hashed
}

// tamperClaim edits the signed payload inside the bundle, and leaves everything else as it was.
func (s *story) tamperClaim() error {
	data, err := os.ReadFile(s.path("no-backdoor.sigstore.json"))
	if err != nil {
		return err
	}
	var b struct {
		Envelope struct {
			Payload string `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(data, &b); err != nil {
		return err
	}
	payload, err := base64.StdEncoding.DecodeString(b.Envelope.Payload)
	if err != nil {
		return err
	}
	changed := bytes.Replace(payload, []byte("assertedExceptDisclosed"), []byte("asserted"), 1)
	if bytes.Equal(changed, payload) {
		return errors.New("the no-backdoor statement has no disclosed exception to take away")
	}
	data = bytes.Replace(data, []byte(b.Envelope.Payload), []byte(base64.StdEncoding.EncodeToString(changed)), 1)
	return writeNew(s.path(filepath.Join("tampered", "no-backdoor.sigstore.json")), data, 0o644)
}

func (s *story) verifyCommand(artifact, noBackdoor string) string {
	return fmt.Sprintf("%s verify %s --bundle %s --bundle %s --trusted-root %s --key %s", program("avow"), s.path(artifact),
		s.path(noBackdoor), s.path("data-flows.sigstore.json"), s.path("trusted_root.json"), s.path("vendor.pub"))
}

// question is what a buyer asks: names of files in the directory, and what to hold them against.
type question struct {
	artifact, noBackdoor string
	rules                verify.Policy // nil: none
	status               string        // file that shows how both statements stand; empty: not asked
	asked                time.Time     // when the status was fetched
}

// judge is the whole of a buyer's verification, from files.
func (s *story) judge(ctx context.Context, q question) (*verify.Verdict, error) {
	root, err := readLimited(s.path("trusted_root.json"), verify.MaxTrustBytes)
	if err != nil {
		return nil, err
	}
	trust, err := verify.ParseTrust(root)
	if err != nil {
		return nil, err
	}
	pem, err := readLimited(s.path("vendor.pub"), attest.MaxKeyFileBytes)
	if err != nil {
		return nil, err
	}
	key, err := attest.ParsePublicKey(pem)
	if err != nil {
		return nil, err
	}
	verifier, err := verify.New(verify.Config{Trust: trust})
	if err != nil {
		return nil, err
	}
	file, err := os.ReadFile(s.path(q.artifact))
	if err != nil {
		return nil, err
	}
	in := verify.Input{
		ArtifactSHA256: fmt.Sprintf("%x", sha256.Sum256(file)),
		Signers:        []verify.Signer{{Name: quickstartVendor, Key: &verify.Key{PublicKey: key}}},
		RequiredTypes:  []string{predicate.NoBackdoorType, predicate.DataFlowsType},
		Policy:         q.rules,
	}
	if q.status != "" {
		in.At = time.Now()
		if in.Standing, err = s.standings(q.status, q.asked, in.At, trust, verifier); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{q.noBackdoor, "data-flows.sigstore.json"} {
		data, err := readLimited(s.path(name), verify.MaxBundleBytes)
		if err != nil {
			return nil, err
		}
		in.Bundles = append(in.Bundles, verify.NamedBundle{Name: name, Data: data})
	}
	return verifier.Verify(ctx, in)
}

// expect prints the verdict with its reasons, and is an error if the verdict is not the one that the story is about.
func (s *story) expect(v *verify.Verdict, want verify.Outcome) error {
	s.say("  %s\n", v.Outcome)
	for _, c := range v.Failures() {
		where := c.Bundle
		if where == "" {
			where = "all bundles"
		}
		s.say("    %s (%s): %s\n", c.ID, where, c.Detail)
		if c.ID == verify.CheckPolicy {
			s.say("    not met: %s\n", c.Got)
		}
	}
	stands := slices.IndexFunc(v.Checks, func(c verify.Check) bool { return c.ID == verify.CheckStanding && c.Status == verify.StatusPass })
	switch {
	case v.Outcome != verify.Accepted:
	case stands >= 0:
		s.say("    %s\n", v.Checks[stands].Detail)
	default:
		s.say("    %d checks passed; %d statements, in the log since %s\n", len(v.Checks), len(v.Evidence),
			v.Evidence[0].SignedBy.Format("2006-01-02 15:04:05Z"))
		s.say("    what they declare is the vendor's word; that it was said, by whom and when is proved\n")
	}
	if v.Outcome != want {
		return fmt.Errorf("the verdict is %s, expected %s: this is a fault of avow, please report it", v.Outcome, want)
	}
	return nil
}
