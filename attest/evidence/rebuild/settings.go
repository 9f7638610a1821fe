package rebuild

import (
	"debug/buildinfo"
	"fmt"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
)

// Code says in one stable word why a rebuild could not be tried. The list is closed.
type Code string

const (
	// CodeNoBuildInfo: not a Go program, or stripped of its build info.
	CodeNoBuildInfo Code = "NO_BUILD_INFO"
	// CodeOtherProgram: the binary was built from another package than the one named.
	CodeOtherProgram Code = "OTHER_PROGRAM"
	// CodeToolchain: the Go on the path has another version than the binary names.
	CodeToolchain Code = "TOOLCHAIN"
	// CodeSetting: the build info has a setting that is not on the list, or with a value that is not of its form.
	CodeSetting Code = "BUILD_SETTING"
	// CodeBuild: the go command ended with an error.
	CodeBuild Code = "BUILD"
)

// Codes returns the closed list. It is a fresh slice.
func Codes() []Code {
	return []Code{CodeNoBuildInfo, CodeOtherProgram, CodeToolchain, CodeSetting, CodeBuild}
}

// Error is a rebuild that could not be tried.
type Error struct {
	Code   Code
	Detail string
	Hint   string
}

// Error says what is wrong.
func (e *Error) Error() string { return e.Detail }

// Settings are the flags and the environment of a build that follow from a binary's build info.
type Settings struct {
	Flags []string
	Env   []string
	CGO   bool
}

// form is a setting that may be used.
type form struct {
	value *regexp.Regexp
	// flag is the argument for a value, nil if it goes into the environment.
	flag func(value string) []string
}

var (
	isTrue    = regexp.MustCompile(`^true$`)
	lowerWord = regexp.MustCompile(`^[a-z0-9]{1,20}$`)
)

func asFlag(name string) func(string) []string {
	return func(value string) []string { return []string{name + "=" + value} }
}

// buildMode is no flag for exe: the go command writes that for its default, and the flag itself changes the build id.
func buildMode(value string) []string {
	if value == "exe" {
		return nil
	}
	return []string{"-buildmode=" + value}
}

// forms is the list of settings that are used. A value is one argument after "=", so that none can begin an argument of its own.
func forms() map[string]form {
	return map[string]form{
		"-buildmode":   {regexp.MustCompile(`^(?:exe|pie)$`), buildMode},
		"-trimpath":    {isTrue, asFlag("-trimpath")},
		"-tags":        {regexp.MustCompile(`^[A-Za-z0-9_.]+(?:,[A-Za-z0-9_.]+)*$`), asFlag("-tags")},
		"-race":        {isTrue, asFlag("-race")},
		"GOOS":         {value: lowerWord},
		"GOARCH":       {value: lowerWord},
		"GOAMD64":      {value: regexp.MustCompile(`^v[1-4]$`)},
		"GO386":        {value: regexp.MustCompile(`^(?:sse2|softfloat)$`)},
		"GOARM":        {value: regexp.MustCompile(`^[5-7](?:,(?:softfloat|hardfloat))?$`)},
		"GOARM64":      {value: regexp.MustCompile(`^v[89]\.[0-9](?:,(?:lse|crypto))*$`)},
		"GOPPC64":      {value: regexp.MustCompile(`^power(?:8|9|10)$`)},
		"GORISCV64":    {value: regexp.MustCompile(`^rva2[0-9]u64$`)},
		"GOMIPS":       {value: regexp.MustCompile(`^(?:hardfloat|softfloat)$`)},
		"GOMIPS64":     {value: regexp.MustCompile(`^(?:hardfloat|softfloat)$`)},
		"GOWASM":       {value: regexp.MustCompile(`^(?:satconv|signext)(?:,(?:satconv|signext))?$`)},
		"GOEXPERIMENT": {value: regexp.MustCompile(`^[a-z0-9]+(?:,[a-z0-9]+)*$`)},
		"GOFIPS140":    {value: regexp.MustCompile(`^(?:off|latest|inprocess|certified|v[0-9]+\.[0-9]+\.[0-9]+)$`)},
		"CGO_ENABLED":  {value: regexp.MustCompile(`^[01]$`)},
	}
}

// withoutEffect are settings that follow from the source or say nothing of the build.
func withoutEffect(s debug.BuildSetting) bool {
	switch s.Key {
	case "vcs", "vcs.revision", "vcs.time", "vcs.modified", "DefaultGODEBUG":
		return true
	case "-compiler":
		return s.Value == "gc"
	case "CGO_CFLAGS", "CGO_CPPFLAGS", "CGO_CXXFLAGS", "CGO_LDFLAGS":
		return s.Value == ""
	}
	return false
}

// settings reads what a build info asks for.
func settings(info *buildinfo.BuildInfo) (*Settings, error) {
	s := &Settings{}
	allowed := forms()
	vcs := "-buildvcs=false"
	seen := map[string]bool{}
	trimpath := false
	for _, b := range info.Settings {
		if seen[b.Key] {
			return nil, refused(b, "stands twice")
		}
		seen[b.Key] = true
		if b.Key == "vcs" {
			vcs = "-buildvcs=true"
		}
		if withoutEffect(b) {
			continue
		}
		f, ok := allowed[b.Key]
		switch {
		case !ok:
			return nil, refused(b, "is not a setting that a rebuild takes from a binary")
		case !f.value.MatchString(b.Value):
			return nil, refused(b, "does not have the form "+f.value.String())
		case f.flag != nil:
			s.Flags = append(s.Flags, f.flag(b.Value)...)
			trimpath = trimpath || b.Key == "-trimpath"
		default:
			s.Env = append(s.Env, b.Key+"="+b.Value)
			s.CGO = s.CGO || b.Key == "CGO_ENABLED" && b.Value == "1"
		}
	}
	if !trimpath {
		return nil, &Error{CodeSetting, "the binary was not built with -trimpath: it holds the paths of the machine that built it",
			"build releases with `go build -trimpath`"}
	}
	if !slices.ContainsFunc(s.Env, func(v string) bool { return strings.HasPrefix(v, "CGO_ENABLED=") }) {
		s.Env = append(s.Env, "CGO_ENABLED=0")
	}
	s.Flags = append(s.Flags, vcs)
	return s, nil
}

func refused(b debug.BuildSetting, why string) *Error {
	return &Error{CodeSetting, fmt.Sprintf("build setting %.60q=%.200q %s", b.Key, b.Value, why),
		"such a build cannot be repeated from its build info; rebuild it by its own instructions"}
}

var definition = regexp.MustCompile(`^[A-Za-z0-9_./-]+\.[A-Za-z_][A-Za-z0-9_]*=[A-Za-z0-9_.+:/@~-]*$`)

// linkerFlags makes -ldflags of what the caller says of the release: with -trimpath the build info does not hold it.
func linkerFlags(strip bool, definitions []string) (string, error) {
	var flags []string
	if strip {
		flags = append(flags, "-s", "-w")
	}
	for _, d := range definitions {
		if !definition.MatchString(d) || strings.HasPrefix(d, "-") {
			return "", &Error{CodeSetting, fmt.Sprintf("%.200q is not importpath.Name=value without spaces and quotes", d), "give --define main.version=1.2.3"}
		}
		flags = append(flags, "-X", d)
	}
	if len(flags) == 0 {
		return "", nil
	}
	return "-ldflags=" + strings.Join(flags, " "), nil
}
