package policy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Options are what a caller sets.
type Options struct {
	// Parameters are values by the names of parameters. A list is written with
	// commas, or as a YAML list in brackets; a duration as 90d or 36h. A name that
	// the policy does not have is an error with [CodeParameter].
	Parameters map[string]string
}

// Load reads a policy with all that it includes, checks every expression, and
// returns it ready for use.
//
// A name that ends in .yaml or .yml is a file in files; every other name is that
// of a ready-made policy ([Names]). Includes and key files are read from files
// too, relative to the file that names them, and never from elsewhere:
// os.Root.FS confines them to a directory, and with nil nothing but ready-made
// policies can be named. Errors are [Errors], or the context's.
func Load(ctx context.Context, name string, files fs.FS, options Options) (*Policy, error) {
	return (&loader{ctx: ctx, files: files}).policy(name, options)
}

// textName is what errors call a policy that came as text.
const textName = "policy.yaml"

// LoadText is [Load] for a policy that is given as text, by a caller of a service
// for example: it can include ready-made policies alone, and has no key files.
func LoadText(ctx context.Context, text []byte, options Options) (*Policy, error) {
	if len(text) > MaxPolicyBytes {
		return nil, Errors{{Code: CodeLimit, File: textName,
			Message: fmt.Sprintf("got %d bytes, want at most %d", len(text), MaxPolicyBytes)}}
	}
	return (&loader{ctx: ctx, text: text}).policy(textName, options)
}

// policy reads and checks everything.
func (l *loader) policy(name string, options Options) (*Policy, error) {
	var err error
	if l.env, err = theEnvironment(); err != nil {
		return nil, err
	}
	l.documents = map[string]*document{}
	root := l.load(name, nil, nil)
	if root == nil || len(l.problems()) > 0 {
		return nil, l.err()
	}
	p := &Policy{meta: root.meta}
	l.collect(p, root, nil, nil)
	l.settle(p, options)
	p.requirementRules()
	if len(p.rules) == 0 {
		root.bad(root.node, CodeNoRule, "add a rule, or include a policy: "+strings.Join(Names(), ", "), "the policy asks for nothing")
	}
	if len(l.problems()) > 0 || l.ctx.Err() != nil {
		return nil, l.err()
	}
	p.digest = l.digest(p)
	p.reads = newReads()
	for _, r := range p.rules {
		for _, program := range r.programs() {
			p.reads.add(program.checked)
		}
	}
	return p, nil
}

// loader reads the files of one policy.
type loader struct {
	ctx       context.Context
	env       *environment
	files     fs.FS
	text      []byte               // of the policy itself, where it does not come from files
	documents map[string]*document // by path, or by name for ready-made ones
	order     []*document          // as first read
	stack     []string
	visits    int
	loose     Errors // about no file that could be read
}

// problems are the errors in the order of the files.
func (l *loader) problems() Errors {
	all := slices.Clone(l.loose)
	for _, d := range l.order {
		all = append(all, d.errors...)
	}
	return all
}

// err is what Load returns: the errors, or that of the context.
func (l *loader) err() error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	all := l.problems()
	return all[:min(len(all), maxProblems)]
}

func isFile(name string) bool {
	return strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")
}

// resolve is the path of an inclusion: relative to the file that names it.
func resolve(from *document, name string) string {
	if from == nil || !isFile(name) || path.IsAbs(name) {
		return name
	}
	return path.Join(path.Dir(from.name), name)
}

// load reads one file and those that it includes. The inclusion is nil for the
// policy itself.
func (l *loader) load(name string, from *document, in *inclusion) *document {
	report := func(code Code, hint, format string, args ...any) *document {
		if in == nil {
			l.loose = append(l.loose, &Error{Code: code, File: name, Message: fmt.Sprintf(format, args...), Hint: hint})
		} else {
			from.bad(in.node, code, hint, format, args...)
		}
		return nil
	}
	if l.ctx.Err() != nil {
		return nil
	}
	name = resolve(from, name)
	l.visits++
	switch {
	case slices.Contains(l.stack, name):
		chain := append(l.stack[slices.Index(l.stack, name):], name)
		return report(CodeIncludeCycle, "take one of the inclusions out", "includes itself: %s", strings.Join(chain, " includes "))
	case len(l.stack) >= MaxIncludeDepth:
		return report(CodeLimit, "include fewer levels", "includes nest deeper than %d", MaxIncludeDepth)
	case l.visits > MaxIncludes:
		return report(CodeLimit, "include less", "more than %d inclusions", MaxIncludes)
	}
	d := l.documents[name]
	if d == nil {
		data, err := l.read(name, from)
		if err != nil {
			code := CodeIncludeMissing
			switch {
			case errors.Is(err, errTooLarge):
				code = CodeLimit
			case in == nil && isFile(name):
				code = CodeRead
			}
			return report(code, missingHint(name), "policy %q: %v", clip(name), err)
		}
		d = parseDocument(newSource(name, data), l.keys(name))
		l.documents[name], l.order = d, append(l.order, d)
		d.compile(l.env)
	}
	l.stack = append(l.stack, name)
	for i := range d.includes {
		l.load(d.includes[i].name, d, &d.includes[i])
	}
	l.stack = l.stack[:len(l.stack)-1]
	return d
}

func missingHint(name string) string {
	if isFile(name) {
		return "a path is relative to the policy and stays in its directory"
	}
	return "a file ends in .yaml; ready-made policies are: " + strings.Join(Names(), ", ")
}

var (
	errNoSuchPolicy = errors.New("no ready-made policy of this name")
	errNoFiles      = errors.New("no file can be read here, only ready-made policies")
	errOutside      = errors.New("the path leads out of the directory")
	errTooLarge     = errors.New("too large")
)

// read returns the text of a policy.
func (l *loader) read(name string, from *document) ([]byte, error) {
	if isFile(name) {
		if from == nil && l.text != nil {
			return l.text, nil
		}
		if from != nil && !isFile(from.name) {
			return nil, errNoFiles
		}
		return l.file(name, MaxPolicyBytes)
	}
	data, ok := Text(name)
	if !ok {
		return nil, errNoSuchPolicy
	}
	return data, nil
}

// file reads a file of a bounded size.
func (l *loader) file(name string, limit int) ([]byte, error) {
	switch {
	case l.files == nil:
		return nil, errNoFiles
	case !fs.ValidPath(name):
		return nil, errOutside
	}
	info, err := fs.Stat(l.files, name)
	if err != nil {
		return nil, cause(err)
	}
	if !info.Mode().IsRegular() { // to open a pipe would wait for its writer
		return nil, errors.New("not a regular file")
	}
	f, err := l.files.Open(name)
	if err != nil {
		return nil, cause(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, cause(err)
	}
	if len(data) > limit {
		return nil, fmt.Errorf("%w: more than %d bytes", errTooLarge, limit)
	}
	return data, nil
}

// cause is the error without the path, which the message has already.
func cause(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// keys reads the key files of a policy.
func (l *loader) keys(policy string) keyReader {
	return func(name string) ([]byte, error) {
		if !isFile(policy) {
			return nil, errNoFiles
		}
		return l.file(path.Join(path.Dir(policy), name), MaxKeyBytes)
	}
}
