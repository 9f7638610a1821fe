package command

import (
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/draft"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
)

// shown is show's JSON. Every member but verified is what the file says about itself.
type shown struct {
	Verified      bool            `json:"verified"` // always false
	StatementID   string          `json:"statementId"`
	PredicateType string          `json:"predicateType"`
	KeyHint       string          `json:"keyHint,omitempty"`
	Identity      *identityJSON   `json:"identity,omitempty"`
	LogOrigin     string          `json:"logOrigin,omitempty"`
	LogIndex      string          `json:"logIndex,omitempty"`
	Timestamps    int             `json:"timestamps"`
	Statement     json.RawMessage `json:"statement"`
}

func (a *app) show() *cobra.Command {
	var f format
	var payload bool
	c := &cobra.Command{
		Use:   "show BUNDLE|STATEMENT",
		Short: "Show what a bundle or a statement says, without verifying it",
		Long: `Show in plain words what a bundle, a DSSE envelope or a statement says. NOTHING IS VERIFIED:
anybody can write a file that says anything. Use it to read your own draft, or to look into a
bundle that verify rejects.

With --payload the exact bytes of the statement are printed. With --format cyclonedx the flows of a
data-flows statement are written as the services of a CycloneDX 1.6 document, for inventories.`,
		Example: `  avow show data-flows.json
  avow show data-flows.sigstore.json --format cyclonedx > services.cdx.json
  avow show --payload data-flows.sigstore.json > statement.json`,
		Args: arguments(1, 1, "which file? give a bundle or a statement"),
		RunE: func(_ *cobra.Command, args []string) error { return a.runShow(args[0], f, payload) },
	}
	c.Flags().BoolVar(&payload, "payload", false, "print the exact bytes of the statement")
	f.registerAs(c, "`FORMAT` of the answer: text, json or cyclonedx", "text", "json", formatCycloneDX)
	return c
}

// formatCycloneDX is the name of show's format for inventories.
const formatCycloneDX = "cyclonedx"

func (a *app) runShow(path string, f format, payload bool) error {
	data, err := a.readLimited(path, verify.MaxBundleBytes)
	if err != nil {
		return err
	}
	u := &unverified{payload: data}
	if !isStatement(data) {
		if u, err = readUnverified(data); err != nil {
			return about(path, err)
		}
	}
	if payload {
		return a.output("", u.payload)
	}
	st, err := predicate.Parse(u.payload, predicate.Consumption)
	if err != nil {
		return about(path, err)
	}
	if f.value == formatCycloneDX {
		bom, err := draft.CycloneDX(st)
		if err != nil {
			return failed("only a data-flows statement has services", "%s: %w", path, err)
		}
		return a.output("", bom)
	}
	origin, _, _ := strings.Cut(u.checkpoint, "\n")
	var id *identityJSON
	if c, err := attest.ParseCertificate(u.certificate); err == nil {
		id = &identityJSON{Issuer: c.Identity().Issuer, Subject: c.Identity().Subject}
	}
	if f.json() {
		return a.printJSON(shown{StatementID: st.ID(), PredicateType: st.Type, KeyHint: u.keyHint, Identity: id, LogOrigin: origin,
			LogIndex:   u.logIndex,
			Timestamps: u.timestamps, Statement: u.payload})
	}
	w := a.writer()
	w.Line("%s", w.Style(text.Yellow, "NOT VERIFIED: this is what the file says. `avow verify` checks who said it."))
	w.Heading(plain.TypeName(st.Type))
	if u.mediaType != "" {
		w.Item("  ", 16, "Bundle", text.Safe(u.mediaType))
		switch {
		case id != nil:
			w.Item("  ", 16, "Identity", text.Safe(id.Subject)+", issuer "+text.Safe(id.Issuer))
		case u.certificate != nil:
			w.Item("  ", 16, "Certificate", "names no identity that avow reads")
		default:
			w.Item("  ", 16, "Key hint", text.Safe(u.keyHint))
		}
		w.Item("  ", 16, "Log", text.Safe(origin)+", entry "+text.Safe(u.logIndex))
		w.Item("  ", 16, "Timestamps", count(u.timestamps, "timestamp"))
	}
	plain.Statement(w, st)
	return w.Err()
}

// isStatement reports whether the file looks like a bare statement.
func isStatement(data []byte) bool {
	var s struct {
		Type *string `json:"_type"`
	}
	return json.Unmarshal(data, &s) == nil && s.Type != nil
}
