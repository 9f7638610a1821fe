package rebuild

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/in-toto/in-toto-golang/in_toto"

	"github.com/avow-dev/avow/attest/predicate"
)

// LinkPredicate is the predicate type of Statement: in-toto's link.
const LinkPredicate = "https://in-toto.io/attestation/link/v0.3"

// StepName is the name of the step in the link.
const StepName = "rebuild"

type descriptor struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// Statement returns the in-toto statement that names the rebuilt binary and what it was built from. A result that is not equal has
// none: it would be evidence of nothing.
func (r *Result) Statement() ([]byte, error) {
	if !r.Equal {
		return nil, fmt.Errorf("the rebuilt binary differs: there is no evidence of a rebuild")
	}
	materials := []descriptor{}
	for _, name := range slices.Sorted(maps.Keys(r.materials)) {
		materials = append(materials, descriptor{name, r.materials[name]})
	}
	s := struct {
		Type          string       `json:"_type"`
		Subject       []descriptor `json:"subject"`
		PredicateType string       `json:"predicateType"`
		Predicate     any          `json:"predicate"`
	}{predicate.StatementType, []descriptor{{r.name, map[string]string{"sha256": r.Rebuilt}}}, LinkPredicate, struct {
		Name        string            `json:"name"`
		Command     []string          `json:"command"`
		Materials   []descriptor      `json:"materials"`
		ByProducts  map[string]any    `json:"byproducts"`
		Environment map[string]string `json:"environment"`
	}{StepName, r.Command, materials, r.byProducts, r.environment()}}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(s); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	return b.Bytes(), nil
}

func (r *Result) environment() map[string]string {
	env := map[string]string{"GOVERSION": r.Go}
	for _, v := range r.Environment {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	return env
}

// Link returns the step as a signed link of in-toto-golang, in a DSSE envelope, and the name of the file by which layouts find it.
func (r *Result) Link(key in_toto.Key) (link in_toto.Metadata, name string, err error) {
	if !r.Equal {
		return nil, "", fmt.Errorf("the rebuilt binary differs: there is no evidence of a rebuild")
	}
	environment := map[string]any{}
	for k, v := range r.environment() {
		environment[k] = v
	}
	e := &in_toto.Envelope{}
	if err := e.SetPayload(in_toto.Link{Type: "link", Name: StepName, Materials: r.materials,
		Products:   map[string]in_toto.HashObj{r.name: {"sha256": r.Rebuilt}},
		ByProducts: r.byProducts, Command: r.Command, Environment: environment}); err != nil {
		return nil, "", fmt.Errorf("link: %w", err)
	}
	if err := e.Sign(key); err != nil {
		return nil, "", fmt.Errorf("link: %w", err)
	}
	return e, fmt.Sprintf(in_toto.LinkNameFormat, StepName, key.KeyID), nil
}
