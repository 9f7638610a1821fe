package report

import (
	"fmt"
	"strings"

	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
)

// again is a command that checks something once more, and what that is.
type again struct {
	What, Line string
}

// commands are how to repeat the verification with avow, and what of it cosign can confirm.
func commands(i *Item, m Meta) []again {
	var list []again
	if len(m.Command) > 0 {
		list = append(list, again{"The same question to avow, at the same time of verification", commandLine(m.Command)})
	}
	if outcomeOf(i) == notEvaluated {
		return list
	}
	for j := range i.Verdict.Evidence {
		e := &i.Verdict.Evidence[j]
		if e.Statement == nil {
			continue
		}
		list = append(list, again{"Signature, timestamp, log entry and artifact of the " + plain.TypeName(e.Statement.Type) +
			" statement to cosign, which does not judge the statement", commandLine(cosign(i, e, m))})
	}
	return list
}

// cosign is the command of cosign 3 for one bundle.
func cosign(i *Item, e *verify.Evidence, m Meta) []string {
	c := []string{"cosign", "verify-blob-attestation", "--bundle", e.Bundle}
	if m.TrustedRoot != "" {
		c = append(c, "--trusted-root", m.TrustedRoot)
	}
	if id := e.Signer.Identity; id != nil {
		c = append(c, "--certificate-identity", id.SAN, "--certificate-oidc-issuer", id.Issuer)
	} else {
		key := m.Keys[e.KeyID]
		if key == "" {
			key = "KEY.pub"
		}
		c = append(c, "--key", key)
	}
	c = append(c, "--type", e.Statement.Type)
	if m.Batch || digestName.MatchString(i.Name) { // the name of an item of a batch need not be a file
		return append(c, "--digest", i.Question.ArtifactSHA256, "--digestAlg", "sha256")
	}
	return append(c, i.Name)
}

// commandLine writes arguments for a shell. What is not printable is written as an escape that bash, zsh and ksh read.
func commandLine(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = quote(a)
	}
	return strings.Join(quoted, " ")
}

func quote(arg string) string {
	const bare = "-_./:=,+@%"
	switch {
	case arg != "" && strings.Trim(arg, bare+"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") == "":
		return arg
	case text.Safe(arg) == arg:
		return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for i := range len(arg) {
		switch c := arg[i]; {
		case c == '\'' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < 0x20 || c > 0x7e:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String() + "'"
}
