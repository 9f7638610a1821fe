package identity

import (
	"net/netip"
	"net/url"
	"strings"
)

// Kind says what an issuer's tokens name, by Fulcio's words.
type Kind string

// The kinds of issuers.
const (
	// Email: the claim email, which the issuer must say it has verified.
	Email Kind = "email"
	// URI: the claim sub, an https URI on the host of SubjectDomain.
	URI Kind = "uri"
	// GitHubWorkflow: the workflow of a GitHub Actions job.
	GitHubWorkflow Kind = "github-workflow"
	// GitLabPipeline: the pipeline definition of a GitLab CI job.
	GitLabPipeline Kind = "gitlab-pipeline"
	// CIProvider: another CI system, by the operator's own templates.
	CIProvider Kind = "ci-provider"
)

// DefaultAudience is the audience of tokens for Fulcio.
const DefaultAudience = "sigstore"

// Issuer is an issuer whose tokens are accepted.
type Issuer struct {
	// URL is the claim iss of its tokens, exactly, and where its discovery document is: https, or http on loopback.
	URL string
	// Audience must be among the token's. Default [DefaultAudience].
	Audience string
	// Kind says what its tokens name. Required.
	Kind Kind
	// SubjectDomain is scheme and host of the URIs that an issuer of kind URI speaks for, such as https://ci.example.
	SubjectDomain string
	// PlatformURL is the address of a GitHub or GitLab that is not the public one; the names of its workflows begin
	// with it.
	PlatformURL string
	// KeysURL is where its key set is, if that is not on the host of URL.
	KeysURL string
	// Templates say how a CI system's claims become names. Required for CIProvider, and for no other kind.
	Templates *Templates
	// Interactive tells that people sign in there: its address goes into the signing config.
	Interactive bool
}

// ChallengeClaim names the claim that a proof of possession signs.
func (i *Issuer) ChallengeClaim() string {
	if i.Kind == Email {
		return "email"
	}
	return "sub"
}

func (i *Issuer) withDefaults() Issuer {
	c := *i
	if c.Audience == "" {
		c.Audience = DefaultAudience
	}
	switch c.Kind {
	case GitHubWorkflow:
		c.Templates = githubTemplates(orElse(c.PlatformURL, "https://github.com"))
	case GitLabPipeline:
		c.Templates = gitlabTemplates(orElse(c.PlatformURL, "https://gitlab.com"))
	default:
	}
	return c
}

func orElse(v, otherwise string) string {
	if v == "" {
		return otherwise
	}
	return v
}

// Validate reports what is wrong with the configuration, as an [*Error] with [BadConfig]. It asks nobody.
func (i *Issuer) Validate() error {
	if err := checkAddress(i.URL); err != nil {
		return fail(BadConfig, err, "issuer %q: the url is not usable", i.URL)
	}
	if i.KeysURL != "" {
		if err := checkAddress(i.KeysURL); err != nil {
			return fail(BadConfig, err, "issuer %q: the address of its keys is not usable", i.URL)
		}
	}
	if (i.Kind == URI) != (i.SubjectDomain != "") {
		return fail(BadConfig, nil, "issuer %q: a subject domain belongs to an issuer of type uri, and to no other", i.URL)
	}
	if (i.Kind == CIProvider) != (i.Templates != nil) {
		return fail(BadConfig, nil, "issuer %q: templates belong to an issuer of type ci-provider, and to no other", i.URL)
	}
	platform := i.Kind == GitHubWorkflow || i.Kind == GitLabPipeline
	switch {
	case i.PlatformURL != "" && !platform:
		return fail(BadConfig, nil, "issuer %q: a platform belongs to a GitHub or GitLab", i.URL)
	case i.PlatformURL != "" && checkOrigin(i.PlatformURL) != nil:
		return fail(BadConfig, checkOrigin(i.PlatformURL), "issuer %q: platform %q", i.URL, i.PlatformURL)
	case i.Kind == URI:
		if err := checkOrigin(i.SubjectDomain); err != nil {
			return fail(BadConfig, err, "issuer %q: subject domain %q", i.URL, i.SubjectDomain)
		}
	case i.Kind == CIProvider:
		if err := i.Templates.validate(); err != nil {
			return fail(BadConfig, err, "issuer %q: templates", i.URL)
		}
	case !platform && i.Kind != Email:
		return fail(BadConfig, nil, "issuer %q: type %q, want email, uri, github-workflow, gitlab-pipeline or ci-provider",
			i.URL, i.Kind)
	}
	return nil
}

// checkAddress says why an address must not be asked: it is spoken to with TLS, or on this machine.
func checkAddress(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return err
	case u.String() != address || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Hostname() == "":
		return fail(BadConfig, nil, "got %q, want https://HOST[:PORT][/PATH]", address)
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return fail(BadConfig, nil, "got %q, want https; http is for this machine only", address)
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && a.IsLoopback())
}

// checkOrigin wants scheme and host, and nothing else.
func checkOrigin(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return err
	case u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != address || strings.ToLower(address) != address:
		return fail(BadConfig, nil, "got %q, want scheme and host in lower case, such as https://ci.example", address)
	}
	return nil
}

// sameOrigin reports whether two addresses have scheme, host and port in common.
func sameOrigin(a, b string) bool {
	x, err := url.Parse(a)
	y, err2 := url.Parse(b)
	return err == nil && err2 == nil && x.Scheme == y.Scheme && x.Host == y.Host
}
