package action

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// metadata is action.yml as far as it is looked at here.
type metadata struct {
	Inputs map[string]struct {
		Description string
		Required    bool
		Default     *string
	}
	Outputs map[string]struct{ Value string }
	Runs    struct {
		Using string
		Steps []struct {
			ID, Shell, Run, Uses string
			Env                  map[string]string
		}
	}
}

var inputVariable = regexp.MustCompile(`\bINPUT_[A-Z_]+\b`)

// TestMetadata: every input reaches the script as a variable that it reads, and no expression stands in what is run.
func TestMetadata(t *testing.T) {
	data, err := os.ReadFile("action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var m metadata
	if err := yaml.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	if m.Runs.Using != "composite" || len(m.Runs.Steps) != 1 || m.Runs.Steps[0].Shell != "bash" {
		t.Fatalf("got %+v", m.Runs)
	}
	step := m.Runs.Steps[0]
	if strings.Contains(step.Run, "${{") || step.Uses != "" {
		t.Errorf("an expression is part of a script, or something else is used: %q %q", step.Run, step.Uses)
	}
	script, err := os.ReadFile("verify.sh")
	if err != nil {
		t.Fatal(err)
	}
	if regexp.MustCompile(`\beval\b`).Match(script) {
		t.Error("the script evaluates text")
	}
	read := inputVariable.FindAllString(string(script), -1)
	for name, input := range m.Inputs {
		variable := "INPUT_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		if step.Env[variable] != "${{ inputs."+name+" }}" {
			t.Errorf("input %s does not reach the script: %s is %q", name, variable, step.Env[variable])
		}
		if !slices.Contains(read, variable) {
			t.Errorf("the script does not read %s", variable)
		}
		if input.Description == "" || input.Required == (input.Default != nil) {
			t.Errorf("input %s has no description, or neither or both of required and default", name)
		}
	}
	if len(step.Env) != len(m.Inputs) {
		t.Errorf("%d variables for %d inputs", len(step.Env), len(m.Inputs))
	}
	for _, variable := range read {
		if _, ok := step.Env[variable]; !ok {
			t.Errorf("the script reads %s, which is no input", variable)
		}
	}
	if m.Outputs["outcome"].Value != "${{ steps."+step.ID+".outputs.outcome }}" {
		t.Errorf("got outputs %v", m.Outputs)
	}
}
