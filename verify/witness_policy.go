package verify

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	fnote "github.com/transparency-dev/formats/note"
	sumdbnote "golang.org/x/mod/sumdb/note"
)

// Kinds of verifier keys (C2SP signed-note, "Verifier keys").
const (
	kindLog         = 0x01 // ed25519, the signature of a log
	kindCosignature = 0x04 // ed25519, cosignature/v1
)

// noQuorum is the predefined name of a quorum that asks for nothing.
const noQuorum = "none"

// ErrWitnessPolicy is wrapped by every error of [ParseWitnessPolicy].
var ErrWitnessPolicy = errors.New("witness policy")

// WitnessPolicy says by whom a checkpoint must be cosigned: which witnesses
// there are, and which sets of them are enough. It is the buyer's, like the
// trusted root; none of it is ever taken from a bundle.
type WitnessPolicy struct {
	logs      []noteKey
	witnesses []noteKey
	quorum    *quorum
	digest    [sha256.Size]byte
}

// Digest is the SHA-256 of the text that was parsed: what to record beside a
// verdict to say under which policy it was reached.
func (p *WitnessPolicy) Digest() [32]byte { return p.digest }

// noteKey is a vkey: an ed25519 key with the name that it signs notes under.
type noteKey struct {
	sumdbnote.Verifier
	public ed25519.PublicKey
	keyID  string // as in Evidence.KeyID
}

// quorum is a witness or a group, as a tree: a name is a member at most once, so
// that a witness contributes in one way only.
type quorum struct {
	name    string // for people
	witness int    // index in WitnessPolicy.witnesses, -1 for a group
	need    int    // how many of members
	members []*quorum
}

// String names the quorum and what it needs.
func (q *quorum) String() string {
	if q.witness >= 0 {
		return q.name
	}
	var names []string
	for _, m := range q.members {
		names = append(names, m.name)
	}
	return fmt.Sprintf("%s (%d of %s)", q.name, q.need, strings.Join(names, ", "))
}

// ParseWitnessPolicy parses a policy in the text format of C2SP tlog-policy
// (https://c2sp.org/tlog-policy), at most MaxWitnessPolicyBytes bytes:
//
//	log VKEY [URL]
//	witness NAME VKEY [URL]
//	group NAME N|any|all MEMBER...
//	quorum NAME
//
// Everything that the format does not allow is refused with its line: unknown
// keywords, a name or key that is given twice, a member of two groups, a name
// that is not defined above, a threshold out of range, a text that does not end
// with a line feed and may have been cut off. So is `quorum none`, which asks for
// nothing. Logs and witnesses are ed25519 keys; a key of a log cannot be a witness. If
// logs are listed, the bundle's log must be one of them. URLs are for those who
// talk to witnesses and mean nothing here. Errors wrap [ErrWitnessPolicy].
func ParseWitnessPolicy(text []byte) (*WitnessPolicy, error) {
	if n := len(text); n == 0 || n > MaxWitnessPolicyBytes {
		return nil, fmt.Errorf("%w: got %d bytes, want 1 to %d", ErrWitnessPolicy, n, MaxWitnessPolicyBytes)
	}
	p := policyParser{names: map[string]*quorum{}, members: map[string]bool{}}
	p.policy.digest = sha256.Sum256(text)
	for n, rest := 1, text; len(rest) > 0; n++ {
		line, after, terminated := bytes.Cut(rest, []byte("\n"))
		rest = after
		err := p.line(string(line))
		if err == nil && !terminated {
			err = errors.New("does not end with a line feed: the text may have been cut off")
		}
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrWitnessPolicy, n, err)
		}
	}
	if p.policy.quorum == nil {
		return nil, fmt.Errorf("%w: no quorum line", ErrWitnessPolicy)
	}
	return &p.policy, nil
}

// policyParser is a policy of which some lines were read.
type policyParser struct {
	policy  WitnessPolicy
	names   map[string]*quorum // of witnesses and groups
	members map[string]bool    // names that are members of a group
	groups  int
}

func (p *policyParser) line(line string) error {
	// > The only allowed control characters are tab and newline.
	if i := strings.IndexFunc(line, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }); i >= 0 {
		return fmt.Errorf("control character %#02x", line[i])
	}
	// > "Whitespace" means sequences of ASCII space and tab characters only.
	fields := strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '\t' })
	if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
		return nil
	}
	keyword, args := fields[0], fields[1:]
	switch {
	case keyword == "log" && (len(args) == 1 || len(args) == 2):
		return p.log(args[0])
	case keyword == "witness" && (len(args) == 2 || len(args) == 3):
		return p.witness(args[0], args[1])
	case keyword == "group" && len(args) >= 3:
		return p.group(args[0], args[1], args[2:])
	case keyword == "quorum" && len(args) == 1:
		return p.quorum(args[0])
	case slices.Contains([]string{"log", "witness", "group", "quorum"}, keyword):
		return fmt.Errorf("%s with %d values; want `log VKEY [URL]`, `witness NAME VKEY [URL]`, "+
			"`group NAME N|any|all MEMBER...` or `quorum NAME`", keyword, len(args))
	}
	return fmt.Errorf("unknown keyword %q", clip(keyword))
}

func (p *policyParser) log(vkey string) error {
	if len(p.policy.logs) == MaxWitnesses {
		return fmt.Errorf("more than %d logs", MaxWitnesses)
	}
	key, err := parseNoteKey(vkey, kindLog, sumdbnote.NewVerifier)
	if err == nil {
		err = p.newKey(key)
	}
	if err != nil {
		return err
	}
	p.policy.logs = append(p.policy.logs, key)
	return nil
}

func (p *policyParser) witness(name, vkey string) error {
	if len(p.policy.witnesses) == MaxWitnesses {
		return fmt.Errorf("more than %d witnesses", MaxWitnesses)
	}
	key, err := parseNoteKey(vkey, kindCosignature, fnote.NewVerifierForCosignatureV1)
	if err == nil {
		err = p.newKey(key)
	}
	if err != nil {
		return err
	}
	p.policy.witnesses = append(p.policy.witnesses, key)
	return p.define(name, &quorum{witness: len(p.policy.witnesses) - 1})
}

// newKey refuses a key that is listed already, under whatever name.
func (p *policyParser) newKey(key noteKey) error {
	same := func(o noteKey) bool { return o.public.Equal(key.public) }
	if slices.ContainsFunc(p.policy.logs, same) || slices.ContainsFunc(p.policy.witnesses, same) {
		return fmt.Errorf("the key of %q is listed already", clip(key.Name()))
	}
	return nil
}

// define gives a witness or group its name.
func (p *policyParser) define(name string, q *quorum) error {
	if p.names[name] != nil || name == noQuorum {
		return fmt.Errorf("name %q is taken", clip(name))
	}
	q.name = strings.ToValidUTF8(clip(name), "\ufffd") // names are opaque octets
	p.names[name] = q
	return nil
}

func (p *policyParser) group(name, threshold string, members []string) error {
	if p.groups++; p.groups > MaxWitnesses {
		return fmt.Errorf("more than %d groups", MaxWitnesses)
	}
	g := &quorum{witness: -1}
	for _, m := range members {
		q := p.names[m]
		if q == nil {
			return fmt.Errorf("member %q is not defined on a line above", clip(m))
		}
		// > Each defined name can be listed as a group member at most once.
		if p.members[m] {
			return fmt.Errorf("%q is a member of a group already", clip(m))
		}
		p.members[m] = true
		g.members = append(g.members, q)
	}
	switch threshold {
	case "any":
		g.need = 1
	case "all":
		g.need = len(members)
	default:
		n, err := strconv.Atoi(threshold)
		if err != nil || n < 1 || n > len(members) || strconv.Itoa(n) != threshold {
			return fmt.Errorf("threshold %q of a group with %d members, want 1 to %[2]d, any or all", clip(threshold), len(members))
		}
		g.need = n
	}
	return p.define(name, g)
}

func (p *policyParser) quorum(name string) error {
	switch {
	case p.policy.quorum != nil:
		return errors.New("a second quorum line")
	case name == noQuorum:
		return errors.New("quorum none asks for nothing: nothing could fail")
	case p.names[name] == nil:
		return fmt.Errorf("quorum %q is not defined on a line above", clip(name))
	}
	p.policy.quorum = p.names[name]
	return nil
}

// parseNoteKey parses NAME+HASH+BASE64 of a kind. The libraries that make the
// verifiers read some of it less strictly, or take other kinds as well.
func parseNoteKey(vkey string, kind byte, verifier func(string) (sumdbnote.Verifier, error)) (noteKey, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	hash, encoded, _ := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(raw) == 0 {
		return noteKey{}, fmt.Errorf("key %q is not NAME+HASH+BASE64", clip(vkey))
	}
	if raw[0] != kind {
		return noteKey{}, fmt.Errorf("key of %q is of type 0x%02x, want 0x%02x (a log's ed25519 key is 0x01, a witness's 0x04)",
			clip(name), raw[0], kind)
	}
	if len(raw) != 1+ed25519.PublicKeySize {
		return noteKey{}, fmt.Errorf("key of %q has %d bytes, want %d", clip(name), len(raw)-1, ed25519.PublicKeySize)
	}
	sum := sha256.Sum256(append([]byte(name+"\n"), raw...))
	if want := hex.EncodeToString(sum[:4]); hash != want {
		return noteKey{}, fmt.Errorf("key hash of %q is %q, want %s: the name or the key is another one", clip(name), clip(hash), want)
	}
	v, err := verifier(vkey)
	if err != nil {
		return noteKey{}, fmt.Errorf("key of %q: %w", clip(name), err)
	}
	spki, err := x509.MarshalPKIXPublicKey(ed25519.PublicKey(raw[1:]))
	if err != nil {
		return noteKey{}, fmt.Errorf("key of %q: %w", clip(name), err)
	}
	id := sha256.Sum256(spki)
	return noteKey{Verifier: v, public: raw[1:], keyID: "sha256:" + hex.EncodeToString(id[:])}, nil
}
