package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	trustrootv1 "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/root"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
)

// rekorMajorVersion is the version of the Rekor API that the service speaks.
const rekorMajorVersion = 2

// GetSigningConfig implements avow.v1.TrustService.
func (t *trustService) GetSigningConfig(
	context.Context, *avowv1.GetSigningConfigRequest,
) (*avowv1.GetSigningConfigResponse, error) {
	if t.signingConfig == nil {
		return nil, refuse(reasonSigningConfigNotConfigured, "the operator has not said where Sigstore clients may write")
	}
	return &avowv1.GetSigningConfigResponse{SigningConfig: t.signingConfig}, nil
}

// SigningConfigInput is what a signing config is made of.
type SigningConfigInput struct {
	// PublicURL is under which address the REST listener is reached: http or https, without query and fragment.
	PublicURL string
	// Operator names the service's operator; the log's origin will do.
	Operator string
	// Start and End are when the services may be used, the log's window; a zero End is no end.
	Start, End time.Time
	// Others are the other shards of the operator: logs of their own, before and after this one.
	Others []SigningShard
	// OwnAuthority tells that the service answers RFC 3161 requests itself.
	OwnAuthority bool
	// ForeignAuthorities are the addresses of further timestamp authorities. Clients take one authority of each
	// operator, for which the host stands here.
	ForeignAuthorities []string
	// OwnCertificates tells that the service issues certificates, by Fulcio's API.
	OwnCertificates bool
	// ForeignCertificates are the addresses of further certificate authorities. Clients take the first that they can use.
	ForeignCertificates []string
	// Interactive are the addresses of issuers at which people sign in.
	Interactive []string
}

// SigningShard is another instance of the operator's service with a log of its own.
type SigningShard struct {
	// PublicURL is under which address its REST listener is reached, as in SigningConfigInput.
	PublicURL string
	// Start and End are its log's window; a zero End is no end.
	Start, End time.Time
	// OwnAuthority tells that it answers RFC 3161 requests itself.
	OwnAuthority bool
}

// SigningConfig makes the signing_config.json (media type version 0.2) by which Sigstore clients write to the service:
// the logs of all shards with their windows, and all timestamp authorities. Clients leave out what is not in its window,
// and take the newest of each operator's: that is how they change from one shard to the next, so all shards have one
// operator's name.
func SigningConfig(in SigningConfigInput) ([]byte, error) {
	public, err := ParsePublicURL(in.PublicURL)
	if err != nil {
		return nil, err
	}
	if in.Operator == "" || in.Start.IsZero() {
		return nil, errors.New("signing config: operator and start are needed")
	}
	shards, err := in.shards(public)
	if err != nil {
		return nil, err
	}
	service := func(address, operator string, version uint32, start, end time.Time) root.Service {
		return root.Service{URL: address, MajorAPIVersion: version, ValidityPeriodStart: start.UTC(), ValidityPeriodEnd: end, Operator: operator}
	}
	var logs, authorities []root.Service
	for _, s := range shards {
		logs = append(logs, service(s.PublicURL, in.Operator, rekorMajorVersion, s.Start, s.End))
		if s.OwnAuthority {
			authorities = append(authorities, service(s.PublicURL+"/api/v1/timestamp", in.Operator, 1, s.Start, s.End))
		}
	}
	for _, address := range in.ForeignAuthorities {
		u, err := url.Parse(address)
		if err != nil {
			return nil, fmt.Errorf("signing config: timestamp authority: %w", err)
		}
		authorities = append(authorities, service(address, u.Host, 1, in.Start, time.Time{}))
	}
	cas, issuers, err := in.identityServices(public, service)
	if err != nil {
		return nil, err
	}
	all := root.ServiceConfiguration{Selector: trustrootv1.ServiceSelector_ALL}
	sc, err := root.NewSigningConfig(root.SigningConfigMediaType02, cas, issuers, logs, all, authorities, all)
	if err != nil {
		return nil, fmt.Errorf("signing config: %w", err)
	}
	loose, err := sc.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("signing config: %w", err)
	}
	var out bytes.Buffer
	if err := json.Compact(&out, loose); err != nil {
		return nil, fmt.Errorf("signing config: %w", err)
	}
	return out.Bytes(), nil
}

// shards lists all shards, the newest first: that is the order in which clients look.
func (in SigningConfigInput) shards(public string) ([]SigningShard, error) {
	all := []SigningShard{{PublicURL: public, Start: in.Start, End: in.End, OwnAuthority: in.OwnAuthority}}
	for _, o := range in.Others {
		address, err := ParsePublicURL(o.PublicURL)
		if err != nil {
			return nil, fmt.Errorf("signing config: another shard: %w", err)
		}
		if o.Start.IsZero() {
			return nil, fmt.Errorf("signing config: shard %s has no start", address)
		}
		o.PublicURL = address
		all = append(all, o)
	}
	slices.SortStableFunc(all, func(a, b SigningShard) int { return b.Start.Compare(a.Start) })
	return all, nil
}

// fulcioMajorVersion is what clients call version 1 of a certificate service: the API at /api/v2/signingCert.
const fulcioMajorVersion = 1

// identityServices lists the certificate authorities and the issuers.
func (in *SigningConfigInput) identityServices(
	public string, service func(address, operator string, version uint32, start, end time.Time) root.Service,
) (cas, issuers []root.Service, err error) {
	if in.OwnCertificates {
		cas = append(cas, service(public, in.Operator, fulcioMajorVersion, in.Start, in.End))
	}
	foreign := func(list []string) (out []root.Service, err error) {
		for _, address := range list {
			u, err := url.Parse(address)
			if err != nil {
				return nil, fmt.Errorf("signing config: %w", err)
			}
			out = append(out, service(address, u.Host, 1, in.Start, time.Time{}))
		}
		return out, nil
	}
	more, err := foreign(in.ForeignCertificates)
	if err != nil {
		return nil, nil, err
	}
	issuers, err = foreign(in.Interactive)
	return append(cas, more...), issuers, err
}

// ParsePublicURL checks an address of the REST listener, and takes a slash from its end.
func ParsePublicURL(address string) (string, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return "", err
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return "", fmt.Errorf("got %q, want http:// or https:// and a host", address)
	case u.User != nil, u.RawQuery != "", u.Fragment != "", strings.ContainsAny(address, "?#"):
		return "", fmt.Errorf("got %q, want no user, query or fragment", address)
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}
