package layout

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/in-toto/in-toto-golang/in_toto"

	"github.com/avow-dev/avow/attest"
)

// Limits, checked before anything is parsed.
const (
	// MaxLinks is the largest number of links that are read.
	MaxLinks = 1024
	// MaxSteps is the largest number of steps of a layout.
	MaxSteps = 256
	maxKeys  = 16 << 10 // bytes of one key file
)

// Options say what to verify.
type Options struct {
	// Layout is the file, Links the directory with NAME.KEYID.link files.
	Layout, Links string
	// Keys are PEM files with the public keys of the layout's owners: each must have signed. At least one.
	Keys []string
	// Artifact is a file that must be a product of the last step; "" for none.
	Artifact string
	// Now is when the layout must be valid.
	Now time.Time
}

// Result is a layout that holds.
type Result struct {
	// SHA256 is that of the layout file, lower-case hex.
	SHA256 string `json:"sha256"`
	// Expires is until when it holds, RFC 3339.
	Expires string `json:"expires"`
	Steps   []Step `json:"steps"`
	// Artifact is the SHA-256 of the artifact; empty where none was given.
	Artifact string `json:"artifact"`
}

// Step is a step that was done as the layout wants it.
type Step struct {
	Name string `json:"name"`
	// Functionaries are the ids of the keys whose links count, sorted.
	Functionaries []string `json:"functionaries"`
	Threshold     int      `json:"threshold"`
	// OtherCommand means that another command was run than the layout expects. in-toto warns of it and does not refuse.
	OtherCommand bool `json:"otherCommand"`
}

// Verify verifies a layout. The error is *Error, or the file system's.
func Verify(o Options) (result *Result, err error) {
	defer func() { // in-toto-golang panics on some metadata that its own checks let through
		if p := recover(); p != nil {
			result, err = nil, &Error{Code: CodeMalformed, Detail: fmt.Sprintf("in-toto cannot work with it: %v", p), Hint: hintLayout}
		}
	}()
	keys, err := loadKeys(o.Keys)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "avow-layout-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	own := filepath.Join(dir, "layout")
	digest, err := copyLimited(o.Layout, own)
	if err != nil {
		return nil, err
	}
	metadata, l, err := read(own)
	if err != nil {
		return nil, err
	}
	if err := in_toto.VerifyLayoutSignatures(metadata, keys); err != nil {
		return nil, &Error{CodeSignature, "a given key has not signed the layout", "give the keys of the layout's owners with --layout-key", err}
	}
	if err := valid(l, o.Now); err != nil {
		return nil, err
	}
	links := filepath.Join(dir, "links")
	if err := copyLinks(o.Links, links, l); err != nil {
		return nil, err
	}
	r := &Result{SHA256: digest, Expires: l.Expires}
	if err := r.steps(l, links, o.Artifact); err != nil {
		return nil, err
	}
	return r, nil
}

const hintLayout = "give a layout as in-toto writes it (root.layout)"

// loadKeys reads the owners' keys by their ids.
func loadKeys(paths []string) (map[string]in_toto.Key, error) {
	keys := map[string]in_toto.Key{}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(io.LimitReader(f, maxKeys))
		f.Close()
		if err != nil {
			return nil, err
		}
		var key in_toto.Key
		if err := key.LoadKeyReaderDefaults(bytes.NewReader(data)); err != nil {
			return nil, &Error{CodeMalformed, fmt.Sprintf("%s holds no key that in-toto reads", path), "give a public key in PEM", err}
		}
		keys[key.KeyID] = key
	}
	if len(keys) == 0 {
		return nil, &Error{Code: CodeMalformed, Detail: "there is no key of the layout's owner", Hint: "give one with --layout-key"}
	}
	return keys, nil
}

// copyLimited copies a regular file and returns its SHA-256.
func copyLimited(from, to string) (string, error) {
	f, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, attest.MaxInTotoBytes+1))
	if err != nil {
		return "", err
	}
	if len(data) > attest.MaxInTotoBytes {
		return "", &Error{Code: CodeMalformed, Detail: fmt.Sprintf("%s has more than %d bytes", filepath.Base(from), attest.MaxInTotoBytes), Hint: hintLayout}
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), os.WriteFile(to, data, 0o600)
}

// read reads the layout and refuses what must not be verified.
func read(path string) (in_toto.Metadata, *in_toto.Layout, error) {
	metadata, err := in_toto.LoadMetadata(path)
	if err != nil {
		return nil, nil, &Error{CodeMalformed, "the layout does not parse", hintLayout, err}
	}
	l, ok := metadata.GetPayload().(in_toto.Layout)
	if !ok {
		return nil, nil, &Error{Code: CodeMalformed, Detail: "the file is not a layout", Hint: hintLayout}
	}
	if n := len(l.Inspect); n > 0 {
		return nil, nil, &Error{Code: CodeInspections, Detail: fmt.Sprintf("the layout has %d inspections (first: %.60q): verifying it would run their "+
			"commands on this machine", n, l.Inspect[0].Name), Hint: "ask the owner for a layout without inspections; nothing was run"}
	}
	// Twice: the stricter reader finds what two readers would read differently.
	if _, err := attest.ReadInToto(path); err != nil {
		return nil, nil, &Error{CodeMalformed, "the layout is refused", hintLayout, err}
	}
	return metadata, &l, check(&l)
}

var (
	stepName  = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$`)
	parameter = regexp.MustCompile(`\{[^{}]*\}`)
)

// check refuses layouts whose words could mean something else than their owner reads in them.
func check(l *in_toto.Layout) error {
	if len(l.RootCas) > 0 || len(l.IntermediateCas) > 0 {
		return &Error{Code: CodeCertificates, Detail: "the layout names functionaries by certificates", Hint: "use a layout that names keys"}
	}
	if n := len(l.Steps); n == 0 || n > MaxSteps {
		return &Error{Code: CodeStep, Detail: fmt.Sprintf("the layout has %d steps, want 1 to %d", n, MaxSteps), Hint: hintLayout}
	}
	seen := map[string]bool{}
	for _, s := range l.Steps {
		switch {
		case !stepName.MatchString(s.Name):
			return &Error{Code: CodeStep, Detail: fmt.Sprintf("the name %.80q of a step is a pattern or a path", s.Name), Hint: "names of steps become names of files"}
		case seen[s.Name]:
			return &Error{Code: CodeStep, Detail: fmt.Sprintf("step %q stands twice", s.Name), Hint: hintLayout}
		case s.Threshold < 1:
			return &Error{Code: CodeStep, Detail: fmt.Sprintf("step %q has the threshold %d: nobody need have done it", s.Name, s.Threshold), Hint: "a threshold is 1 or more"}
		case len(s.CertificateConstraints) > 0:
			return &Error{Code: CodeCertificates, Detail: fmt.Sprintf("step %q names functionaries by certificates", s.Name), Hint: "use a layout that names keys"}
		}
		seen[s.Name] = true
		for _, words := range slices.Concat(s.ExpectedMaterials, s.ExpectedProducts, [][]string{s.ExpectedCommand}) {
			for _, word := range words {
				if found := parameter.FindString(word); found != "" {
					return &Error{Code: CodeParameters, Detail: fmt.Sprintf("step %q has the parameter %.60q: unsubstituted, a rule about it matches nothing", s.Name, found),
						Hint: "ask the owner for a layout without parameters"}
				}
			}
		}
	}
	return nil
}

// valid judges the expiry.
func valid(l *in_toto.Layout, now time.Time) error {
	expires, err := time.Parse(in_toto.ISO8601DateSchema, l.Expires)
	if err != nil {
		return &Error{CodeMalformed, "the layout's expiry does not parse", hintLayout, err}
	}
	if !now.Before(expires) {
		return &Error{Code: CodeExpired, Detail: fmt.Sprintf("the layout was valid until %s, it is %s", l.Expires, now.UTC().Format(time.RFC3339)),
			Hint: "ask the owner for a new layout"}
	}
	return nil
}

// copyLinks copies the links of the steps and refuses sublayouts.
func copyLinks(from, to string, l *in_toto.Layout) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	count := 0
	for _, e := range entries {
		step := slices.IndexFunc(l.Steps, func(s in_toto.Step) bool {
			ok, err := filepath.Match(fmt.Sprintf(in_toto.LinkGlobFormat, s.Name), e.Name())
			return ok && err == nil
		})
		if step < 0 || !e.Type().IsRegular() {
			continue
		}
		if count++; count > MaxLinks {
			return &Error{Code: CodeMalformed, Detail: fmt.Sprintf("more than %d links", MaxLinks), Hint: "give a directory with the links of this layout alone"}
		}
		own := filepath.Join(to, e.Name())
		if _, err := copyLimited(filepath.Join(from, e.Name()), own); err != nil {
			return err
		}
		found, err := attest.ReadInToto(own)
		if metadata, loadErr := in_toto.LoadMetadata(own); loadErr == nil {
			if _, ok := metadata.GetPayload().(in_toto.Layout); ok {
				return &Error{Code: CodeSublayout, Detail: fmt.Sprintf("%s is a layout of its own", e.Name()), Hint: "verify it by itself; it could have inspections"}
			}
		}
		if err != nil || found.Kind != "link" {
			return &Error{CodeMalformed, e.Name() + " is not a link", "remove it from the directory, or ask for a correct one", err}
		}
		// in-toto-golang goes by the file's name alone: a link of one step, renamed, would count for another.
		if want := l.Steps[step].Name; found.Step != want {
			return &Error{Code: CodeLinks, Detail: fmt.Sprintf("%s is the link of step %.80q, not of %q", e.Name(), found.Step, want),
				Hint: "a link must not be renamed"}
		}
	}
	return nil
}

// steps verifies the links and the rules about them.
func (r *Result) steps(l *in_toto.Layout, links, artifact string) error {
	loaded, err := in_toto.LoadLinksForLayout(*l, links)
	if err != nil {
		return linksError(err)
	}
	verified, err := in_toto.VerifyLinkSignatureThesholds(*l, loaded, nil, nil)
	if err != nil {
		return linksError(err)
	}
	reduced, err := in_toto.ReduceStepsMetadata(*l, verified)
	if err != nil {
		return linksError(err)
	}
	items := make([]any, len(l.Steps))
	for i, s := range l.Steps {
		items[i] = s
	}
	if err := in_toto.VerifyArtifacts(items, reduced); err != nil {
		return &Error{CodeRules, "a step does not keep the layout's rules", "the sentence names step, rule and files", err}
	}
	for _, s := range l.Steps {
		step := Step{Name: s.Name, Threshold: s.Threshold}
		for id, metadata := range verified[s.Name] {
			step.Functionaries = append(step.Functionaries, id)
			link, ok := metadata.GetPayload().(in_toto.Link)
			step.OtherCommand = step.OtherCommand || !ok || !slices.Equal(link.Command, s.ExpectedCommand)
		}
		slices.Sort(step.Functionaries)
		r.Steps = append(r.Steps, step)
	}
	return r.product(reduced[l.Steps[len(l.Steps)-1].Name], artifact)
}

func linksError(err error) error {
	return &Error{CodeLinks, "the links do not show that every step was done by those who may", "collect the links of all steps in the directory", err}
}

// product checks that the artifact came out of the last step.
func (r *Result) product(last in_toto.Metadata, artifact string) error {
	if artifact == "" {
		return nil
	}
	link, ok := last.GetPayload().(in_toto.Link)
	if !ok {
		return linksError(errors.New("the last step has no link"))
	}
	f, err := os.Open(artifact)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	r.Artifact = hex.EncodeToString(h.Sum(nil))
	for _, digests := range link.Products {
		if strings.EqualFold(digests["sha256"], r.Artifact) {
			return nil
		}
	}
	return &Error{Code: CodeArtifact, Detail: fmt.Sprintf("the last step made %d files, and none of them is sha256:%s", len(link.Products), r.Artifact),
		Hint: "is this the file of that release?"}
}
