package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/keyref"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/oci"
	"github.com/avow-dev/avow/cmd/avow/internal/pin"
	"github.com/avow-dev/avow/cmd/avow/internal/remote"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/enforce"
)

// failure ends a command with an exit code. With an err it is printed with its hint; without, the command has already
// said what there is to say.
type failure struct {
	code int
	err  error
	hint string
}

func (f *failure) Error() string {
	if f.err == nil {
		return fmt.Sprintf("exit code %d", f.code)
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// no is the answer no, which the command has printed.
func no() error { return &failure{code: exitNo} }

// failed is an error that is described by its own sentence.
func failed(hint, format string, args ...any) error {
	return &failure{code: exitError, err: fmt.Errorf(format, args...), hint: hint}
}

// usageFailure is a command line that cannot be understood.
func usageFailure(path string, err error) error {
	return &failure{code: exitError, err: err, hint: "run `" + path + " --help`"}
}

// about says which thing an error is about, and keeps its code and hint.
func about(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// report prints the error and returns the exit code.
func (a *app) report(err error) int {
	if err == nil {
		return exitYes
	}
	var f *failure
	if errors.As(err, &f) && f.err == nil {
		return f.code
	}
	code, hint := classify(err)
	a.note("avow: %s", text.Safe(firstLine(sentence(err))))
	a.details(err)
	a.note("hint: %s", text.Safe(hint))
	return code
}

// sentence is what the error says, without the findings that details prints.
func sentence(err error) string {
	var rules *predicate.RulesError
	if errors.As(err, &rules) {
		if about, ok := strings.CutSuffix(err.Error(), rules.Error()); ok {
			return about + "the statement breaks the rules"
		}
	}
	return err.Error()
}

// details prints what does not fit into the sentence: findings of rules and violations that the service reports.
func (a *app) details(err error) {
	var rules *predicate.RulesError
	if errors.As(err, &rules) {
		for _, f := range foldPlaceholders(rules.Findings) {
			a.note("  %s", text.Safe(findingLine(f)))
		}
	}
	var policy *policyProblem
	if errors.As(err, &policy) {
		for i := range policy.findings {
			for _, line := range policy.findings[i].describe(a.env.Width) {
				a.note("  %s", line)
			}
		}
	}
	var kept *enforce.Refusal
	if errors.As(err, &kept) {
		for _, i := range kept.Items {
			a.note("  %s", text.Safe(i.String()))
		}
	}
	var call *remote.Error
	if errors.As(err, &call) {
		for _, v := range call.Violations {
			a.note("  %s", text.Safe(strings.TrimSpace(v.Code+" "+v.Field)+": "+v.Description))
		}
	}
}

// firstLine keeps the sentence of an error that goes on in further lines (cobra's suggestions).
func firstLine(s string) string {
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' })
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, " ")
}

// classify finds the exit code and the hint for an error. Every error gets a hint.
func classify(err error) (code int, hint string) {
	var (
		f     *failure
		rules *predicate.RulesError
		own   *attest.Error
		key   *keyref.Error
		call  *remote.Error
		usage *remote.Usage
		image *oci.Error
		trust *pin.Error
		bad   *policyProblem
		kept  *enforce.Refusal
	)
	switch {
	case errors.As(err, &f):
		return f.code, f.hint
	case errors.As(err, &rules):
		return exitNo, "correct the statement; `avow lint` says what to do about each finding"
	case errors.As(err, &call):
		if call.Refused() {
			return exitNo, call.Hint()
		}
		return exitError, call.Hint()
	case errors.As(err, &usage):
		return exitError, usage.Hint
	case errors.As(err, &image):
		return exitError, image.Hint
	case errors.As(err, &trust):
		if trust.Refused() {
			return exitNo, trust.Hint
		}
		return exitError, trust.Hint
	case errors.As(err, &bad):
		return exitError, bad.hint()
	case errors.As(err, &kept):
		if kept.Code == enforce.CodeOptions {
			return exitError, kept.Hint
		}
		return exitNo, kept.Hint
	case errors.As(err, &key):
		return exitError, key.Hint
	case errors.As(err, &own) && own.Hint != "":
		return exitError, own.Hint
	}
	return exitError, hintFor(err)
}

// hintFor finds a hint for an error of the system or of package verify.
func hintFor(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "check the path"
	case errors.Is(err, fs.ErrPermission):
		return "check the permissions of the file and its directory"
	case errors.Is(err, fs.ErrExist):
		return "choose another name, or remove the file first"
	case errors.Is(err, verify.ErrTrust):
		return "give the service's trusted_root.json with --trusted-root; `avow trust` fetches it"
	case errors.Is(err, verify.ErrWitnessPolicy):
		return "correct the line; docs/witnesses.md shows a witness policy"
	case errors.Is(err, verify.ErrInput):
		return "check the arguments; `avow verify --help` shows examples"
	case errors.Is(err, context.Canceled):
		return "interrupted; run the command again"
	}
	return "run the command with --help for examples"
}
