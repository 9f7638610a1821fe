package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
)

// The members of SARIF 2.1.0 that are written; see the specification for what they mean.
type (
	sarifText struct {
		Text string `json:"text"`
	}
	sarifRule struct {
		ID               string      `json:"id"`
		ShortDescription sarifText   `json:"shortDescription"`
		Help             *sarifText  `json:"help,omitempty"`
		Configuration    sarifConfig `json:"defaultConfiguration"`
	}
	sarifConfig struct {
		Level string `json:"level"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
		Properties   sarifProperties   `json:"properties"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifURI    `json:"artifactLocation"`
		Region   sarifRegion `json:"region"`
	}
	sarifURI struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifLogical struct {
		FullyQualifiedName string `json:"fullyQualifiedName"`
		Kind               string `json:"kind"`
	}
	sarifProperties struct {
		ArtifactSHA256    string   `json:"artifactSha256,omitempty"`
		TrustedRootSHA256 string   `json:"trustedRootSha256,omitempty"`
		Failing           []string `json:"failing,omitempty"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifInvocation struct {
		Successful  bool   `json:"executionSuccessful"`
		EndTime     string `json:"endTimeUtc"`
		CommandLine string `json:"commandLine,omitempty"`
	}
)

// sarifFingerprint is the name of the fingerprint, with the version of how it is computed.
const sarifFingerprint = "avowVerdict/v1"

// writeSARIF writes one result for each failed check and each failed rule; what was accepted has none. The results come
// before the rules, which are not known before all items were read.
func writeSARIF(to io.Writer, items iter.Seq[Item], m Meta) error {
	w := &sarifWriter{to: to, index: map[string]int{}, rules: []sarifRule{}}
	w.raw(`{
  "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
  "version": "2.1.0",
  "runs": [
    {
      "results": [`)
	successful := true
	for item := range items {
		successful = successful && outcomeOf(&item) != notEvaluated
		for _, e := range findings(&item) {
			w.result(&item, &e)
		}
		if w.err != nil {
			return w.err
		}
	}
	w.raw("\n      ],\n      \"tool\": ")
	w.value(sarifTool{Driver: sarifDriver{Name: "avow", Version: m.Version,
		InformationURI: "https://github.com/avow-dev/avow", Rules: w.rules}})
	w.raw(",\n      \"invocations\": ")
	w.value([]sarifInvocation{{Successful: successful, EndTime: m.GeneratedAt.UTC().Format(time.RFC3339),
		CommandLine: text.Safe(commandLine(m.Command))}})
	w.raw("\n    }\n  ]\n}\n")
	return w.err
}

// sarifWriter writes results and collects the rules that they name.
type sarifWriter struct {
	to    io.Writer
	index map[string]int
	rules []sarifRule
	any   bool
	err   error
}

func (w *sarifWriter) result(i *Item, e *entry) {
	if w.any {
		w.raw(",")
	}
	w.any = true
	level := "error"
	if e.Status == verify.StatusWarning {
		level = "warning"
	}
	key := e.key()
	if _, ok := w.index[key]; !ok {
		w.index[key] = len(w.rules)
		rule := sarifRule{ID: key, ShortDescription: sarifText{e.Sentence}, Configuration: sarifConfig{level}}
		if e.Rule {
			rule.Help = &sarifText{"`avow policy explain " + e.ID + "` says in full what the rule asks for."}
		}
		w.rules = append(w.rules, rule)
	}
	location := sarifLocation{Physical: sarifPhysical{Artifact: sarifURI{artifactURI(i.Name)}, Region: sarifRegion{1}}}
	if e.Bundle != "" {
		location.Logical = []sarifLogical{{e.Bundle, "resource"}}
	}
	w.raw("\n        ")
	w.value(sarifResult{RuleID: key, RuleIndex: w.index[key], Level: level, Message: sarifText{message(i, e)},
		Locations: []sarifLocation{location}, Fingerprints: map[string]string{sarifFingerprint: fingerprint(key, i.Name, e.Bundle)},
		Properties: sarifProperties{ArtifactSHA256: i.Question.ArtifactSHA256, TrustedRootSHA256: trustDigest(&i.Question),
			Failing: e.Failing}})
}

// message is what a reader of the result sees, a part a line.
func message(i *Item, e *entry) string {
	s := text.Safe(i.Name) + ": " + e.Detail
	if e.Detail == "" {
		s = text.Safe(i.Name) + ": not so: " + e.Sentence
	}
	if len(e.Failing) > 0 {
		s += " (" + strings.Join(e.Failing, ", ") + ")"
	}
	for _, p := range e.labelled() {
		s += "\n" + p[0] + ": " + p[1]
	}
	return s
}

// fingerprint recognises a finding in a later run: the same rule, about the same artifact and bundle by name, whatever
// their content is by then.
func fingerprint(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

var digestName = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// artifactURI is the name of an artifact as a URI reference: a path, or the digest itself.
func artifactURI(name string) string {
	if digestName.MatchString(name) {
		return name
	}
	u := url.URL{Path: filepath.ToSlash(name)}
	if filepath.IsAbs(name) {
		u.Scheme = "file"
		if !strings.HasPrefix(u.Path, "/") {
			u.Path = "/" + u.Path // C:/x
		}
	}
	return u.String()
}

func (w *sarifWriter) raw(s string) {
	if w.err == nil {
		_, w.err = io.WriteString(w.to, s)
	}
}

func (w *sarifWriter) value(v any) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil && w.err == nil {
		w.err = err
	}
	w.raw(text.EscapeJSON(strings.TrimRight(b.String(), "\n")))
}
