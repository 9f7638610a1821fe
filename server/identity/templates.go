package identity

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/sigstore/fulcio/pkg/certificate"
)

// Templates say how the claims of a CI system become a name and extensions. A value is the name of a claim, or, if it
// has "{{" in it, a text/template over the claims, as in Fulcio's configuration. A claim that is named and absent, or
// empty, is a refusal, unless Defaults has it.
//
// Two things differ from Fulcio. A value of Fixed cannot be overridden by a claim: the platform's address is the
// operator's to say. And a name is refused if it is not an address below the template's own beginning up to its first
// claim; no claim can move it to another host.
type Templates struct {
	// Name is the template of the certificate's URI.
	Name string
	// Fixed are values beside the claims, which win over claims of that name.
	Fixed map[string]string
	// Defaults are values for claims that may be absent.
	Defaults map[string]string
	// Extensions are the templates of the extensions, by Fulcio's names in its configuration, such as source-repository-uri.
	Extensions map[string]string

	// below is what names begin with, where the claim itself begins with the host.
	below string
}

// githubTemplates is ci-issuer-metadata of github-workflow in Fulcio's config/identity/config.yaml.
func githubTemplates(platform string) *Templates {
	return &Templates{
		Name: "{{ .url }}/{{ .job_workflow_ref }}", Fixed: map[string]string{"url": platform},
		Defaults: map[string]string{"environment": ""},
		Extensions: map[string]string{
			"github-workflow-trigger": "event_name", "github-workflow-sha": "sha", "github-workflow-name": "workflow",
			"github-workflow-repository": "repository", "github-workflow-ref": "ref",
			"build-signer-uri": "{{ .url }}/{{ .job_workflow_ref }}", "build-signer-digest": "job_workflow_sha",
			"runner-environment": "runner_environment", "source-repository-uri": "{{ .url }}/{{ .repository }}",
			"source-repository-digest": "sha", "source-repository-ref": "ref", "source-repository-identifier": "repository_id",
			"source-repository-owner-uri":        "{{ .url }}/{{ .repository_owner }}",
			"source-repository-owner-identifier": "repository_owner_id",
			"build-config-uri":                   "{{ .url }}/{{ .workflow_ref }}", "build-config-digest": "workflow_sha",
			"build-trigger":                           "event_name",
			"run-invocation-uri":                      "{{ .url }}/{{ .repository }}/actions/runs/{{ .run_id }}/attempts/{{ .run_attempt }}",
			"source-repository-visibility-at-signing": "repository_visibility", "deployment-environment": "environment",
		},
	}
}

// gitlabTemplates is that of gitlab-pipeline. Fulcio begins the name with https:// and the claim; the claim must be
// below the platform's host here.
func gitlabTemplates(platform string) *Templates {
	const config = "https://{{ .ci_config_ref_uri }}"
	return &Templates{
		Name: config, Fixed: map[string]string{"url": platform}, below: platform + "/",
		Defaults: map[string]string{"environment": "", "ci_config_sha": ""},
		Extensions: map[string]string{
			"build-signer-uri": config, "build-signer-digest": "ci_config_sha", "runner-environment": "runner_environment",
			"source-repository-uri": "{{ .url }}/{{ .project_path }}", "source-repository-digest": "sha",
			"source-repository-ref":              `refs/{{if eq .ref_type "branch"}}heads/{{ else }}tags/{{end}}{{ .ref }}`,
			"source-repository-identifier":       "project_id",
			"source-repository-owner-uri":        "{{ .url }}/{{ .namespace_path }}",
			"source-repository-owner-identifier": "namespace_id", "build-config-uri": config, "build-config-digest": "ci_config_sha",
			"build-trigger": "pipeline_source", "run-invocation-uri": "{{ .url }}/{{ .project_path }}/-/jobs/{{ .job_id }}",
			"source-repository-visibility-at-signing": "project_visibility", "deployment-environment": "environment",
		},
	}
}

// extensionFields are the fields of Fulcio's extensions by their name in its configuration. Issuer and subject are no
// templates: they are the token's.
func extensionFields() map[string]int {
	fields := map[string]int{}
	t := reflect.TypeFor[certificate.Extensions]()
	for n := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(n).Tag.Get("yaml"), ",")
		if name != "" && name != "subject" {
			fields[name] = n
		}
	}
	return fields
}

func (t *Templates) validate() error {
	if !strings.HasPrefix(t.Name, "https://") && !strings.HasPrefix(t.Name, "{{") {
		return fmt.Errorf("name: got %q, want a template that begins with https:// or with a fixed value", t.Name)
	}
	if t.prefix() == "" {
		return fmt.Errorf("name: got %q, want the host fixed before the first claim", t.Name)
	}
	fields := extensionFields()
	for name, text := range t.Extensions {
		if _, ok := fields[name]; !ok {
			return fmt.Errorf("extensions: %q is no extension of Fulcio's configuration", name)
		}
		if _, err := parseTemplate(text); err != nil {
			return fmt.Errorf("extensions: %s: %w", name, err)
		}
	}
	_, err := parseTemplate(t.Name)
	return err
}

// firstField matches a template's first action if it is a plain field.
var firstField = regexp.MustCompile(`^\{\{\s*\.(\w+)\s*\}\}`)

// prefix is what every name begins with, scheme, host and a slash at least; "" if claims could choose the host.
func (t *Templates) prefix() string {
	if t.below != "" {
		return t.below
	}
	rest, prefix := t.Name, ""
	for {
		literal, _, found := strings.Cut(rest, "{{")
		prefix += literal
		if rest = rest[len(literal):]; !found {
			break
		}
		m := firstField.FindStringSubmatch(rest)
		if m == nil {
			break
		}
		value, fixed := t.Fixed[m[1]]
		if !fixed {
			break
		}
		prefix += value
		rest = rest[len(m[0]):]
	}
	u, err := url.Parse(prefix)
	if err != nil || u.Scheme != "https" || u.Host == "" || !strings.HasPrefix(u.Path, "/") {
		return ""
	}
	return prefix
}

func parseTemplate(text string) (*template.Template, error) {
	return template.New("").Option("missingkey=error").Parse(text)
}

// apply fills the extensions and returns the name.
func (t *Templates) apply(c claims, into *certificate.Extensions) (*url.URL, error) {
	data := t.data(c)
	name, err := render(t.Name, data)
	if err != nil {
		return nil, fail(BadIdentity, err, "the claims give no name")
	}
	u, err := t.nameURI(name)
	if err != nil {
		return nil, err
	}
	fields := extensionFields()
	v := reflect.ValueOf(into).Elem()
	names := make([]string, 0, len(t.Extensions))
	for n := range t.Extensions {
		names = append(names, n)
	}
	slices.Sort(names) // the same token is always refused for the same reason
	for _, extension := range names {
		value, err := render(t.Extensions[extension], data)
		if err != nil {
			return nil, fail(BadIdentity, err, "the claims give no %s", extension)
		}
		if len(value) > maxClaimBytes || !isPrintable(value) {
			return nil, fail(BadIdentity, nil, "%s has %d bytes, want at most %d and no control characters", extension, len(value),
				maxClaimBytes)
		}
		v.Field(fields[extension]).SetString(value)
	}
	return u, nil
}

// data is what templates see. Claims that are absent or empty are absent, so that a template that names one fails.
func (t *Templates) data(c claims) map[string]string {
	data := make(map[string]string, len(c)+len(t.Fixed)+len(t.Defaults))
	for name, value := range t.Defaults {
		data[name] = value
	}
	for name := range c {
		if value, ok := c.scalar(name); ok && value != "" {
			data[name] = value
		}
	}
	for name, value := range t.Fixed {
		data[name] = value
	}
	return data
}

func render(text string, data map[string]string) (string, error) {
	if !strings.Contains(text, "{{") {
		value, ok := data[text]
		if !ok {
			return "", errors.New("no claim " + text)
		}
		return value, nil
	}
	parsed, err := parseTemplate(text)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, data); err != nil {
		return "", err
	}
	return out.String(), nil
}

// nameURI makes the name. Git permits any character in a branch, so what URIs have no place for is encoded, as Fulcio
// does; a percent sign of a claim is refused, because two branches could then have one name.
func (t *Templates) nameURI(name string) (*url.URL, error) {
	if !strings.HasPrefix(name, t.prefix()) || strings.Contains(name, "%") || !isPrintable(name) {
		return nil, fail(BadIdentity, nil, "the name %q is not plainly below %s", shorten(name), t.prefix())
	}
	u, err := url.Parse(name)
	if err != nil {
		return nil, fail(BadIdentity, err, "the name %q is not a URI", shorten(name))
	}
	encoded := u.String()
	if again, err := url.Parse(encoded); err != nil || again.String() != encoded || !isASCII(encoded) || u.User != nil ||
		!strings.HasPrefix(encoded, t.prefix()) {
		return nil, fail(BadIdentity, err, "the name %q cannot be written as a URI", shorten(name))
	}
	return u, checkSegments(u)
}
