package main

import (
	"bytes"
	"errors"
	"fmt"

	trustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/avow-dev/avow/server"
)

func (c *Config) validateRekor() error {
	var errs []error
	if c.PublicURL != "" {
		if _, err := server.ParsePublicURL(c.PublicURL); err != nil {
			errs = append(errs, fmt.Errorf("publicUrl: %w", err))
		}
	}
	if (c.Rekor.Open || c.Rekor.Credentials) && !c.Rekor.Enabled {
		errs = append(errs, errors.New("rekor.open and rekor.credentials have no effect without rekor.enabled"))
	}
	return errors.Join(errs...)
}

// signingConfig is what Sigstore clients are given to write here; nil without an address or where they may not. It is valid from
// when the trusted root says that the log's key is.
func (c *Config) signingConfig(trustedRoot []byte) ([]byte, error) {
	if c.PublicURL == "" || !c.Rekor.Enabled {
		return nil, nil
	}
	_, id, err := c.logKey()
	if err != nil {
		return nil, err
	}
	var root trustroot.TrustedRoot
	if err := protojson.Unmarshal(trustedRoot, &root); err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	in := server.SigningConfigInput{
		PublicURL: c.PublicURL, Operator: c.Origin, OwnAuthority: c.Timestamps.Embedded.Chain != "",
	}
	for _, log := range root.GetTlogs() {
		if bytes.Equal(log.GetLogId().GetKeyId(), id) {
			in.Start = log.GetPublicKey().GetValidFor().GetStart().AsTime()
		}
	}
	if in.Start.IsZero() {
		return nil, hintedError{errors.New("the trusted root does not name this log"), "avowd trusted-root writes one that does"}
	}
	for _, x := range c.Timestamps.External {
		in.ForeignAuthorities = append(in.ForeignAuthorities, x.URL)
	}
	in.OwnCertificates = c.Certificates.enabled()
	for _, x := range c.Certificates.External {
		in.ForeignCertificates = append(in.ForeignCertificates, x.URL)
	}
	for _, i := range c.Certificates.Issuers {
		if i.Interactive {
			in.Interactive = append(in.Interactive, i.URL)
		}
	}
	return server.SigningConfig(in)
}
