package main

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"slices"
	"text/template"
	"time"

	"github.com/avow-dev/avow/server"
	trustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
)

func newTrustedRootCommand() *cobra.Command {
	var config, output string
	cmd := &cobra.Command{
		Use:   "trusted-root --config F [-o FILE]",
		Short: "Write what buyers need to verify, from the keys of this configuration",
		Long: `Write the configured trusted root with this log's key and every timestamp and certificate authority of the
configuration, and the certificate logs, added where they are missing. Nothing is taken out: without the keys of former logs and authorities, what they signed no longer verifies. The file
itself is replaced by nobody but the operator, who then tells the buyers.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(config)
			if err != nil {
				return err
			}
			old, err := readLimited(c.path(c.TrustedRoot), maxTrustedRootBytes)
			if err != nil {
				return err
			}
			added, err := trustedRoot(c, time.Now().UTC().Truncate(time.Second))
			if err != nil {
				return err
			}
			root, err := mergeTrustedRoots(old, added)
			if err != nil {
				return err
			}
			if output != "" {
				return writeNew(output, root, 0o644)
			}
			_, err = cmd.OutOrStdout().Write(root)
			return err
		},
	}
	addConfigFlag(cmd, &config)
	cmd.Flags().StringVarP(&output, "output", "o", "", "new file to write instead of standard output")
	return cmd
}

// mergeTrustedRoots adds to old the logs and authorities of added that it does not have. An entry that is there keeps its
// validity: what was signed since its start must go on verifying.
func mergeTrustedRoots(old, added []byte) ([]byte, error) {
	var to, from trustroot.TrustedRoot
	if err := protojson.Unmarshal(old, &to); err != nil {
		return nil, fmt.Errorf("trusted root in force: %w", err)
	}
	if err := protojson.Unmarshal(added, &from); err != nil {
		return nil, err
	}
	for _, log := range from.GetTlogs() {
		same := func(l *trustroot.TransparencyLogInstance) bool {
			return bytes.Equal(l.GetLogId().GetKeyId(), log.GetLogId().GetKeyId())
		}
		if !slices.ContainsFunc(to.Tlogs, same) {
			to.Tlogs = append(to.Tlogs, log)
		}
	}
	for _, tsa := range from.GetTimestampAuthorities() {
		same := func(a *trustroot.CertificateAuthority) bool {
			return bytes.Equal(signingCertificate(a), signingCertificate(tsa))
		}
		if !slices.ContainsFunc(to.TimestampAuthorities, same) {
			to.TimestampAuthorities = append(to.TimestampAuthorities, tsa)
		}
	}
	mergeCertificates(&to, &from)
	return protojson.MarshalOptions{Multiline: true}.Marshal(&to)
}

// mergeCertificates adds the certificate authorities and certificate logs that to does not have.
func mergeCertificates(to, from *trustroot.TrustedRoot) {
	for _, ca := range from.GetCertificateAuthorities() {
		same := func(a *trustroot.CertificateAuthority) bool {
			return bytes.Equal(signingCertificate(a), signingCertificate(ca))
		}
		if !slices.ContainsFunc(to.CertificateAuthorities, same) {
			to.CertificateAuthorities = append(to.CertificateAuthorities, ca)
		}
	}
	for _, log := range from.GetCtlogs() {
		same := func(l *trustroot.TransparencyLogInstance) bool {
			return bytes.Equal(l.GetLogId().GetKeyId(), log.GetLogId().GetKeyId())
		}
		if !slices.ContainsFunc(to.Ctlogs, same) {
			to.Ctlogs = append(to.Ctlogs, log)
		}
	}
}

// signingCertificate is the first certificate of a chain, which is the one that signs.
func signingCertificate(a *trustroot.CertificateAuthority) []byte {
	certs := a.GetCertChain().GetCertificates()
	if len(certs) == 0 {
		return nil
	}
	return certs[0].GetRawBytes()
}

// logKey is the log's public key and its id in checkpoints and trusted roots.
func (c *Config) logKey() (ed25519.PublicKey, []byte, error) {
	tc, err := c.tlogConfig(slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	public, ok := tc.Signer.Public().(ed25519.PublicKey)
	if !ok {
		return nil, nil, fmt.Errorf("log key: got %T", tc.Signer.Public())
	}
	_, id, err := note.KeyHash(c.Origin, public)
	return public, id, err
}

// trustedRoot exports the public half of the configuration's keys. start is the time from which the log's key is valid.
func trustedRoot(c *Config, start time.Time) ([]byte, error) {
	public, id, err := c.logKey()
	if err != nil {
		return nil, err
	}
	authorities, err := c.trustedAuthorities()
	if err != nil {
		return nil, err
	}
	rc := server.TrustedRootConfig{Origin: c.Origin, LogKey: public, LogID: id, LogStart: start, Authorities: authorities}
	if err := c.trustCertificates(&rc); err != nil {
		return nil, err
	}
	root, err := server.TrustedRoot(rc)
	if err != nil {
		return nil, err
	}
	return c.addExternal(root)
}

// trustedAuthorities names the embedded authority by the address under which this service would answer for it.
func (c *Config) trustedAuthorities() ([]server.TrustedAuthority, error) {
	type source struct{ url, chain string }
	var sources []source
	if e := c.Timestamps.Embedded; e.Chain != "" {
		sources = append(sources, source{"https://" + c.Origin + "/api/v1/timestamp", e.Chain})
	}
	for _, x := range c.Timestamps.External {
		sources = append(sources, source{x.URL, x.Chain})
	}
	var all []server.TrustedAuthority
	for _, s := range sources {
		chain, err := readChain(c.path(s.chain))
		if err != nil {
			return nil, err
		}
		all = append(all, server.TrustedAuthority{URI: s.url, Chain: chain})
	}
	return all, nil
}

// execute renders a template into memory, so that nothing is written when it is wrong.
func execute(t *template.Template, data any) ([]byte, error) {
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
