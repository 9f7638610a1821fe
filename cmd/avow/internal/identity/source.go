package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// Environment variables with tokens, or with where to get one.
const (
	// TokenVariable holds a token that somebody put there for this program.
	TokenVariable = "AVOW_IDENTITY_TOKEN"
	// gitlabVariable is where GitLab puts the token of a job that asks for it (id_tokens), under the name that cosign reads.
	gitlabVariable = "SIGSTORE_ID_TOKEN"
	githubURL      = "ACTIONS_ID_TOKEN_REQUEST_URL"
	githubToken    = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
)

const (
	requestTimeout = 30 * time.Second
	maxAnswerBytes = 64 << 10
)

// ErrNone says that the environment offers no token.
var ErrNone = errors.New("the environment offers no identity token")

// Offered reports whether the environment offers a token.
func Offered(lookup func(string) (string, bool)) bool {
	for _, name := range []string{TokenVariable, gitlabVariable, githubURL} {
		if value, _ := lookup(name); value != "" {
			return true
		}
	}
	return false
}

// Find takes a token from the environment: AVOW_IDENTITY_TOKEN, then SIGSTORE_ID_TOKEN (GitLab), then the one that GitHub
// Actions gives to jobs with the permission "id-token: write", asked for with the audience. The description says where it
// came from. The error is ErrNone if there is none.
func Find(ctx context.Context, lookup func(string) (string, bool), audience string) (t Token, from string, err error) {
	for _, name := range []string{TokenVariable, gitlabVariable} {
		if raw, ok := lookup(name); ok && raw != "" {
			if t, err = ParseToken(raw); err != nil {
				err = fmt.Errorf("environment variable %s: %w", name, err)
			}
			return t, "the environment variable " + name, err
		}
	}
	address, _ := lookup(githubURL)
	if address == "" {
		return Token{}, "", ErrNone
	}
	credential, _ := lookup(githubToken)
	if credential == "" {
		return Token{}, "", fmt.Errorf("GitHub Actions: %s is set and %s is not", githubURL, githubToken)
	}
	raw, err := askGitHub(ctx, address, credential, audience)
	if err == nil {
		t, err = ParseToken(raw)
	}
	if err != nil {
		err = fmt.Errorf("GitHub Actions: %w", err)
	}
	return t, "GitHub Actions", err
}

// askGitHub calls the URL that the runner put into the environment.
// https://docs.github.com/en/actions/reference/security/oidc
func askGitHub(ctx context.Context, address, credential, audience string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("%s is not a URL", githubURL)
	}
	if err := checkScheme(u); err != nil {
		return "", fmt.Errorf("%s: %w", githubURL, err)
	}
	query := u.Query()
	query.Set("audience", audience)
	u.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+credential)
	status, answer, err := exchange(request)
	if err != nil {
		return "", err
	}
	if status != http.StatusOK {
		return "", fmt.Errorf("%s answered %d to the request for a token", u.Host, status)
	}
	var token struct {
		Value string `json:"value"`
	}
	if json.Unmarshal(answer, &token) != nil { // the answer holds a secret: no part of it goes into an error
		return "", fmt.Errorf("%s answered no token", u.Host)
	}
	return token.Value, nil
}

// checkScheme takes https, and http on this machine.
func checkScheme(u *url.URL) error {
	switch {
	case u.Host == "" || u.User != nil:
		return errors.New("want https:// and a host, without a user")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("scheme %q would send a token in the clear; want https", u.Scheme)
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// exchange sends a request that carries a secret: no redirect is followed, and the answer is bounded. Errors name the host
// alone, because addresses can hold secrets too.
func exchange(request *http.Request) (status int, answer []byte, err error) {
	client := &http.Client{
		Timeout:       requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return 0, nil, fmt.Errorf("cannot reach %s: %w", request.URL.Host, err)
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes+1))
	switch {
	case err != nil:
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			err = errors.New("the answer did not end in time")
		}
		return 0, nil, fmt.Errorf("%s: %w", request.URL.Host, err)
	case len(answer) > maxAnswerBytes:
		return 0, nil, fmt.Errorf("%s answered more than %d bytes", request.URL.Host, maxAnswerBytes)
	case response.StatusCode >= 300 && response.StatusCode < 400:
		return 0, nil, fmt.Errorf("%s answered with a redirect (%d); none is followed with a token", request.URL.Host, response.StatusCode)
	}
	return response.StatusCode, answer, nil
}
