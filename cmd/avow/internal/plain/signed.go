package plain

import (
	"encoding/hex"
	"time"

	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify/result"
)

// SignedVerdict prints that a signed verdict was accepted, and whose word that is. The first line says it, because
// nothing else of what a verification does was done.
func SignedVerdict(w *text.Writer, artifact, file string, r *result.Result) {
	w.Line("%s  %s by the signed verdict of %s, valid until %s", w.Style(text.Green, "ACCEPTED"), text.Safe(artifact),
		text.Safe(r.VerifierID), r.ValidUntil.Format(time.RFC3339))
	w.Heading("Signed verdict " + text.Safe(file) + ": RELIED ON, NOT VERIFIED AGAIN")
	w.Paragraph("  ", "Verified is who signed this verdict, that it is unchanged, and that it was reached for this artifact "+
		"under the same trusted root and policy. What it builds on is the verifier's word; withdrawals since then are not seen.")
	w.Item("  ", labelColumns, "Verdict", r.ID+" ("+string(r.Form)+")")
	w.Item("  ", labelColumns, "Verified at", r.VerifiedAt.Format(time.RFC3339)+version(r.VerifierVersion))
	w.Item("  ", labelColumns, "Signed with", r.KeyID)
	w.Item("  ", labelColumns, "Trusted root", "sha256:"+hex.EncodeToString(r.TrustedRoot[:]))
	policy := "none"
	if p := r.Policy; p != nil {
		policy = join(" ", text.Safe(p.Name), text.Safe(p.Version), "(sha256:"+hex.EncodeToString(p.Digest[:])+")")
	}
	w.Item("  ", labelColumns, "Policy", policy)
	for _, s := range r.Statements {
		signer := s.KeyID
		if s.Identity != nil {
			signer = text.Safe(s.Identity.SAN) + " (" + text.Safe(s.Identity.Issuer) + ")"
		}
		w.Item("  ", labelColumns, "Builds on", TypeName(s.Type)+" "+s.ID+", signed with "+signer)
	}
}

func version(v string) string {
	if v == "" {
		return ""
	}
	return " by avow " + text.Safe(v)
}

// SignedVerdictRefused prints why a signed verdict was not accepted.
func SignedVerdictRefused(w *text.Writer, artifact, file string, e *result.Error) {
	w.Line("%s  %s: the signed verdict is not accepted", w.Style(text.Red, "REJECTED"), text.Safe(artifact))
	w.Heading("Signed verdict " + text.Safe(file))
	w.Line("  %s  %s  %s", w.Style(text.Red, "FAIL"), string(e.Code), text.Safe(e.Detail))
	w.Item("        ", checkColumns, "", prefixed("hint:     ", e.Hint))
}
