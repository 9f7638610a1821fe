package tlog

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/transparency-dev/tessera"
)

// policy is a witness policy: a tree of groups, and its witnesses in the order in which the text names them in groups.
type policy struct {
	group     tessera.WitnessGroup
	witnesses []tessera.Witness
}

// parsePolicy reads a policy text (https://c2sp.org/tlog-policy) and refuses what Tessera v1.0.4 lets pass although it
// weakens the quorum: no quorum at all, groups that need nobody, one key or one address that counts twice.
func parsePolicy(text []byte) (policy, error) {
	if len(text) > MaxWitnessPolicyBytes {
		return policy{}, fmt.Errorf("%d bytes, want at most %d", len(text), MaxWitnessPolicyBytes)
	}
	group, err := tessera.NewWitnessGroupFromPolicy(text)
	if err != nil {
		return policy{}, err
	}
	if err := distinctKeys(text); err != nil {
		return policy{}, err
	}
	p := policy{group: group}
	if err := p.collect(group); err != nil {
		return policy{}, err
	}
	if len(p.witnesses) > MaxWitnesses {
		return policy{}, fmt.Errorf("%d witnesses, want at most %d", len(p.witnesses), MaxWitnesses)
	}
	return p, nil
}

func (p *policy) collect(g tessera.WitnessGroup) error {
	if g.N < 1 {
		return errors.New("the quorum, or a group in it, needs no witness")
	}
	for _, c := range g.Components {
		switch c := any(c).(type) {
		case tessera.WitnessGroup:
			if err := p.collect(c); err != nil {
				return err
			}
		case tessera.Witness:
			if err := p.take(c); err != nil {
				return err
			}
		default:
			return fmt.Errorf("a group has a member of type %T", c)
		}
	}
	return nil
}

// take adds a witness. Its name is a metric label and tells it from the others in messages.
func (p *policy) take(w tessera.Witness) error {
	for _, other := range p.witnesses {
		if other.Key.Name() == w.Key.Name() {
			return fmt.Errorf("the witness %q counts twice", w.Key.Name())
		}
		if other.URL == w.URL {
			return fmt.Errorf("the witnesses %q and %q have one URL", other.Key.Name(), w.Key.Name())
		}
	}
	u, err := url.Parse(w.URL)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("witness %q: the URL must have a host and no user information, query or fragment", w.Key.Name())
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
		return fmt.Errorf("witness %q: the URL must be https, or http on this machine", w.Key.Name())
	}
	p.witnesses = append(p.witnesses, w)
	return nil
}

// satisfiable reports whether those witnesses for which can is true are a quorum of g.
func satisfiable(g tessera.WitnessGroup, can func(url string) bool) bool {
	n := 0
	for _, c := range g.Components {
		switch c := any(c).(type) {
		case tessera.WitnessGroup:
			if satisfiable(c, can) {
				n++
			}
		case tessera.Witness:
			if can(c.URL) {
				n++
			}
		}
	}
	return n >= g.N
}

// distinctKeys refuses a key that is listed under two names: it is one witness, but its key ids differ, because the name
// is hashed into them, so that Tessera would count it twice. Lines that do not parse are Tessera's to refuse.
func distinctKeys(text []byte) error {
	names := map[string]string{}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[0] != "witness" {
			continue
		}
		encoded := fields[2][strings.LastIndex(fields[2], "+")+1:]
		key, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(key) == 0 {
			continue
		}
		public := string(key[1:]) // without the type: 0x01 and 0x04 are the same Ed25519 key
		if other, ok := names[public]; ok {
			return fmt.Errorf("the witnesses %q and %q have one key", other, fields[1])
		}
		names[public] = fields[1]
	}
	return nil
}
