package main

import (
	"errors"
	"fmt"

	"github.com/avow-dev/avow/internal/trustroot"
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

// signingConfig is what Sigstore clients are given to write here; nil without an address or where they may not. Each log is
// offered in the window that the trusted root gives its key.
func (c *Config) signingConfig(trustedRoot []byte) ([]byte, error) {
	if c.PublicURL == "" || !c.Rekor.Enabled {
		return nil, nil
	}
	_, id, err := c.logKey()
	if err != nil {
		return nil, err
	}
	root, err := trustroot.Parse(trustedRoot)
	if err != nil {
		return nil, err
	}
	in := server.SigningConfigInput{
		PublicURL: c.PublicURL, Operator: c.operator(), OwnAuthority: c.Timestamps.Embedded.Chain != "",
	}
	if own, ok := root.Log(id); ok {
		in.Start, in.End = own.Start, own.End
	} else {
		return nil, hintedError{errors.New("the trusted root does not name this log"), "avowd trusted-root writes one that does"}
	}
	if in.Others, err = c.otherShards(root); err != nil {
		return nil, err
	}
	for _, x := range c.Timestamps.External {
		in.ForeignAuthorities = append(in.ForeignAuthorities, x.URL)
	}
	in.OwnCertificates = c.Certificates.enabled() && len(c.Certificates.Issuers) > 0 // without issuers nobody gets one
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
