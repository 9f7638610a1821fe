package reach

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"

	"github.com/avow-dev/avow/attest/evidence"
	"github.com/avow-dev/avow/attest/evidence/gocmd"
)

// Options say what to analyse.
type Options struct {
	// Dir is the directory of the module; "" is the current one.
	Dir string
	// Pattern names one main package, as for go build: ./cmd/x or an import path.
	Pattern string
	// Tags, GOOS, GOARCH and CGO are those of the build. "" is the platform of the go command.
	Tags         []string
	GOOS, GOARCH string
	CGO          bool
	// Imports analyses imports alone.
	Imports bool
	// Download allows the go command to fetch modules. The toolchain is never fetched.
	Download bool
	// Environ is the environment of which the go command is given what it needs to find itself, its caches and modules.
	Environ []string
	// Tool is what the report names as its maker.
	Tool string
}

// Error is a program that cannot be analysed.
type Error struct {
	// Detail says what was found.
	Detail string
	// Hint says what to do about it.
	Hint string
}

// Error says what is wrong.
func (e *Error) Error() string { return e.Detail }

var (
	tagForm      = regexp.MustCompile(`^[A-Za-z0-9_.]+$`)
	platformForm = regexp.MustCompile(`^[a-z0-9]*$`)
)

// check refuses what the go command could read as something else than its value.
func (o *Options) check() error {
	if o.Pattern == "" || strings.HasPrefix(o.Pattern, "-") || strings.Contains(o.Pattern, "...") || strings.HasSuffix(o.Pattern, ".go") ||
		strings.Contains(o.Pattern, "=") {
		return &Error{fmt.Sprintf("%.200q does not name one package", o.Pattern), "give the directory of a main package, for example ./cmd/app"}
	}
	for _, tag := range o.Tags {
		if !tagForm.MatchString(tag) {
			return &Error{fmt.Sprintf("%.80q is not a build tag", tag), "give --tags a,b"}
		}
	}
	if !platformForm.MatchString(o.GOOS) || !platformForm.MatchString(o.GOARCH) {
		return &Error{fmt.Sprintf("%.40q/%.40q is not a platform", o.GOOS, o.GOARCH), "`go tool dist list` names the platforms"}
	}
	return nil
}

func (o *Options) config(ctx context.Context, mode packages.LoadMode) *packages.Config {
	cgo := "0"
	if o.CGO {
		cgo = "1"
	}
	env := gocmd.Environment(o.Environ, o.Download, "CGO_ENABLED="+cgo)
	if o.GOOS != "" {
		env = append(env, "GOOS="+o.GOOS)
	}
	if o.GOARCH != "" {
		env = append(env, "GOARCH="+o.GOARCH)
	}
	c := &packages.Config{Context: ctx, Mode: mode, Dir: o.Dir, Env: env}
	if len(o.Tags) > 0 {
		c.BuildFlags = []string{"-tags=" + strings.Join(o.Tags, ",")}
	}
	return c
}

// listMode is what the list of packages and the analysis by imports need.
const listMode = packages.NeedName | packages.NeedFiles | packages.NeedEmbedFiles | packages.NeedImports | packages.NeedDeps | packages.NeedModule

// build is the program's packages outside the standard library, in the order of their paths.
type build struct {
	main     *packages.Package
	packages []*packages.Package
}

// list asks the go command for the packages of the build.
func (o *Options) list(ctx context.Context) (*build, error) {
	roots, err := packages.Load(o.config(ctx, listMode), o.Pattern)
	if err != nil {
		return nil, &Error{fmt.Sprintf("the go command could not list the packages: %v", err), "does `go build` work in this directory?"}
	}
	if len(roots) != 1 {
		return nil, &Error{fmt.Sprintf("%.200q names %d packages, want 1", o.Pattern, len(roots)), "name one main package"}
	}
	if err := firstError(roots); err != nil {
		return nil, err
	}
	b := &build{main: roots[0]}
	if b.main.Name != "main" {
		return nil, &Error{fmt.Sprintf("%s is package %s, want main", b.main.PkgPath, b.main.Name), "name the package of the program"}
	}
	packages.Visit(roots, nil, func(p *packages.Package) {
		if !standard(p) {
			b.packages = append(b.packages, p)
		}
	})
	slices.SortFunc(b.packages, func(a, b *packages.Package) int { return strings.Compare(a.PkgPath, b.PkgPath) })
	return b, nil
}

// standard reports whether a package is of the standard library: only those have no module. The go command is run in module mode,
// in which everything else has one.
func standard(p *packages.Package) bool { return p.Module == nil }

// firstError finds the first problem of the packages, dependencies first.
func firstError(roots []*packages.Package) error {
	var first error
	packages.Visit(roots, nil, func(p *packages.Package) {
		if first == nil && len(p.Errors) > 0 {
			first = &Error{fmt.Sprintf("%s: %v", p.PkgPath, p.Errors[0]),
				"make `go build` work first; modules are not downloaded without --download"}
		}
	})
	return first
}

// digest is the SHA-256 over the packages' paths, modules and files.
func (b *build) digest() (string, error) {
	h := sha256.New()
	for _, p := range b.packages {
		fmt.Fprintf(h, "package %s %s %s\n", p.PkgPath, p.Module.Path, version(p.Module))
		files := slices.Concat(p.GoFiles, p.OtherFiles, p.EmbedFiles)
		slices.SortFunc(files, func(a, b string) int { return strings.Compare(filepath.ToSlash(a), filepath.ToSlash(b)) })
		for _, name := range files {
			sum, err := evidence.FileDigest(name)
			if err != nil {
				return "", err
			}
			rel, err := filepath.Rel(p.Dir, name)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(h, "%s  %s\n", sum, filepath.ToSlash(rel))
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// version of a module; that of what replaces it where something does.
func version(m *packages.Module) string {
	if m.Replace != nil {
		return m.Replace.Version
	}
	return m.Version
}

// load reads the packages of the build from source, the standard library from what the compiler exported.
func (o *Options) load(ctx context.Context, b *build) ([]*packages.Package, error) {
	paths := make([]string, len(b.packages))
	for i, p := range b.packages {
		paths[i] = p.PkgPath
	}
	const mode = packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedModule |
		packages.NeedTypes | packages.NeedTypesSizes | packages.NeedSyntax | packages.NeedTypesInfo
	loaded, err := packages.Load(o.config(ctx, mode), paths...)
	if err != nil {
		return nil, &Error{fmt.Sprintf("the go command could not read the packages: %v", err), "does `go build` work in this directory?"}
	}
	if err := firstError(loaded); err != nil {
		return nil, err
	}
	slices.SortFunc(loaded, func(a, b *packages.Package) int { return strings.Compare(a.PkgPath, b.PkgPath) })
	if len(loaded) != len(paths) {
		return nil, &Error{fmt.Sprintf("read %d packages, the build has %d", len(loaded), len(paths)), "run it again: did the source change?"}
	}
	return loaded, nil
}
