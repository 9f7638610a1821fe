package binscan

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
)

// Format is the value of a result's format member.
const Format = "https://w3id.org/avow/binary-strings/v1"

// Limits of a scan.
const (
	// MaxHosts is the largest number of distinct hosts in a result.
	MaxHosts = 10_000
	// MaxSecrets is the largest number of credentials in a result.
	MaxSecrets = 1_000
	// MaxBinaryBytes is the size of the largest binary that is read.
	MaxBinaryBytes = 8 << 30

	pieceBytes   = 1 << 20
	overlapBytes = 16 << 10 // more than the longest thing that is looked for
	maxHostBytes = 253
)

// Class says what a host in a binary is.
type Class string

const (
	// Undeclared: no endpoint of the data-flows statement covers it, or there is no statement.
	Undeclared Class = "undeclared"
	// Declared: an endpoint covers it.
	Declared Class = "declared"
	// Documentation: known.txt names it, with the reason.
	Documentation Class = "documentation"
	// ModulePage: the URL of a module that the build info lists.
	ModulePage Class = "modulePage"
	// Local: this machine, a private or a reserved network.
	Local Class = "local"
	// NotAHost: text in a URL's place that cannot be a host name, a pattern such as %s for example.
	NotAHost Class = "notAHost"
)

// Host is one host that stands in the binary.
type Host struct {
	Host string `json:"host"`
	// Via says where it stood: url, hostPort, address or text (a string of its own).
	Via   string `json:"via"`
	Class Class  `json:"class"`
	// Why is the reason of the class; for Declared the id of the flow.
	Why string `json:"why"`
	// Open means that the host's end is not certain.
	Open bool `json:"open"`
	// Count is how often it stands there, Offset where the first one begins, in bytes.
	Count  int   `json:"count"`
	Offset int64 `json:"offset"`
	// Example is the URL of the first one, without user, password and query, and without parts of the path that could be tokens.
	Example string `json:"example"`
}

// Secret is one credential that stands in the binary. It does not hold the credential.
type Secret struct {
	// Kind is privateKey, awsAccessKey, gcpApiKey, githubToken, slackToken, slackWebhook, stripeKey or urlPassword.
	Kind string `json:"kind"`
	// Offset is where it begins, Length how long it is, in bytes.
	Offset int64 `json:"offset"`
	Length int   `json:"length"`
	// Fingerprint is the first 16 hex digits of the SHA-256 of the credential; empty where that would help to guess it.
	Fingerprint string `json:"fingerprint"`
}

// Module is a module of the build info.
type Module struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	Sum     string `json:"sum"`
}

// Build is what the Go toolchain wrote into the binary.
type Build struct {
	Go       string            `json:"go"`
	Main     string            `json:"main"`
	Module   Module            `json:"module"`
	Modules  []Module          `json:"modules"`
	Settings map[string]string `json:"settings"`
}

// Result is what was found.
type Result struct {
	Format string `json:"format"`
	Tool   string `json:"tool"`
	// SHA256 and Size are of the whole file.
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	// Build is null for a program that Go did not build, or that was stripped of its build info.
	Build *Build `json:"build"`
	// Statement is the id of the data-flows statement that hosts were compared with; empty without one.
	Statement string `json:"statement"`
	// Truncated means that a bound was hit: there is more than is listed.
	Truncated bool     `json:"truncated"`
	Hosts     []Host   `json:"hosts"`
	Secrets   []Secret `json:"secrets"`
}

// Clean reports whether nothing was found that needs an answer: no credential, no bound hit, and, where there was a statement to
// compare with, no undeclared host.
func (r *Result) Clean() bool {
	return !r.Truncated && len(r.Secrets) == 0 && (r.Statement == "" || len(r.Undeclared()) == 0)
}

// Undeclared returns the hosts that rule W03 is about.
func (r *Result) Undeclared() []Host {
	var list []Host
	for _, h := range r.Hosts {
		if h.Class == Undeclared {
			list = append(list, h)
		}
	}
	return list
}

// JSON returns the result's bytes, sorted and indented.
func (r *Result) JSON() ([]byte, error) {
	slices.SortFunc(r.Hosts, func(a, b Host) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Via, b.Via), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Offset, b.Offset))
	})
	slices.SortFunc(r.Secrets, func(a, b Secret) int { return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Kind, b.Kind)) })
	if r.Hosts == nil {
		r.Hosts = []Host{}
	}
	if r.Secrets == nil {
		r.Secrets = []Secret{}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(r); err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	return b.Bytes(), nil
}
