package observation

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/avow-dev/avow/attest/predicate"
)

// check refuses an observation that says something twice, or something that
// cannot be.
func (o *Observation) check() error {
	if err := checkSubjects(o.Subjects); err != nil {
		return err
	}
	switch {
	case !slices.Contains(Vantages(), o.Vantage):
		return fmt.Errorf("vantage %q is not one of %q", clip(string(o.Vantage)), Vantages())
	case len(o.Peers) > MaxPeers:
		return fmt.Errorf("%d peers, the limit is %d", len(o.Peers), MaxPeers)
	case len(o.Sources) > MaxSources || len(o.Gaps) > MaxSources || len(o.Settings) > MaxSources:
		return fmt.Errorf("%d sources, %d gaps and %d settings, the limit of each is %d", len(o.Sources), len(o.Gaps), len(o.Settings), MaxSources)
	case o.Start.IsZero() || o.End.Before(o.Start):
		return fmt.Errorf("observed from %s to %s, want a beginning and a later end", o.Start.Format(time.RFC3339), o.End.Format(time.RFC3339))
	}
	if err := texts("observation", o.Host, o.Event); err != nil {
		return err
	}
	for name, value := range o.Settings {
		if err := texts("setting", name, value); err != nil {
			return err
		}
	}
	if err := o.checkSources(); err != nil {
		return err
	}
	seen := make(map[string]bool, len(o.Peers))
	for n := range o.Peers {
		p := &o.Peers[n]
		if err := p.check(); err != nil {
			return fmt.Errorf("peer %d: %w", n, err)
		}
		if seen[p.Key()] {
			return fmt.Errorf("peer %d: %s is there twice", n, clip(p.Key()))
		}
		seen[p.Key()] = true
	}
	return nil
}

// checkSubjects asks for what in-toto and R04 ask of subjects.
func checkSubjects(subjects []predicate.Subject) error {
	if n := len(subjects); n == 0 || n > predicate.MaxSubjects {
		return fmt.Errorf("%d subjects, want 1 to %d: the files that were observed", n, predicate.MaxSubjects)
	}
	for n, s := range subjects {
		if sum := s.Digest["sha256"]; !isSHA256(sum) {
			return fmt.Errorf("subject %d: sha256 %q, want 64 lower-case hexadecimal digits", n, clip(sum))
		}
		if err := texts("subject", s.Name); err != nil {
			return err
		}
	}
	return nil
}

func isSHA256(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == 64 && strings.ToLower(s) == s
}

func (o *Observation) checkSources() error {
	for n, s := range o.Sources {
		if s.Kind == "" || s.SHA256 != "" && !isSHA256(s.SHA256) || s.Bytes < 0 {
			return fmt.Errorf("source %d: kind %q, sha256 %q, %d bytes", n, clip(s.Kind), clip(s.SHA256), s.Bytes)
		}
		if err := texts("source", s.Kind, s.Name); err != nil {
			return err
		}
	}
	for n, g := range o.Gaps {
		if g.Code == "" || g.Count < 0 {
			return fmt.Errorf("gap %d: code %q, count %d", n, clip(g.Code), g.Count)
		}
		if err := texts("gap", g.Code, g.Detail); err != nil {
			return err
		}
	}
	return nil
}

var (
	transports   = []string{"tcp", "udp", "sctp", "icmp", "other"}
	tlsVersions  = []string{"", "1.0", "1.1", "1.2", "1.3"}
	errNegative  = errors.New("a count is negative")
	errTwoWays   = errors.New("direction is neither outbound nor inbound")
	errNoAddress = errors.New("a peer without a name has its address as destinationName, and no addresses")
)

func (p *Peer) check() error {
	if err := texts("peer", p.Name, p.Application, p.MatchedFlow, p.Process); err != nil {
		return err
	}
	if err := texts("peer", append(slices.Clone(p.Addresses), p.Candidates...)...); err != nil {
		return err
	}
	ported := p.Transport == "tcp" || p.Transport == "udp" || p.Transport == "sctp"
	switch {
	case !slices.Contains(transports, p.Transport):
		return fmt.Errorf("transport %q is not one of %q", clip(p.Transport), transports)
	case p.Port < 0 || p.Port > 65535 || !ported && p.Port != 0:
		return fmt.Errorf("port %d of %s", p.Port, p.Transport)
	case !slices.Contains(tlsVersions, p.TLSVersion):
		return fmt.Errorf("TLS version %q is not one of %q", clip(p.TLSVersion), tlsVersions[1:])
	case p.Direction != Outbound && p.Direction != Inbound:
		return errTwoWays
	case !slices.Contains(Namings(), p.Naming):
		return fmt.Errorf("naming %q is not one of %q", clip(string(p.Naming)), Namings())
	case p.Connections < 0 || p.Failed < 0 || p.Failed > p.Connections || p.IntervalSeconds < 0,
		p.BytesIn != nil && *p.BytesIn < 0, p.BytesOut != nil && *p.BytesOut < 0:
		return errNegative
	case p.LastSeen.Before(p.FirstSeen):
		return fmt.Errorf("last seen at %s, before it was first seen", p.LastSeen.Format(time.RFC3339))
	}
	return p.checkName()
}

// checkName keeps names and addresses apart: an address that passes for a name
// would match nothing, or the wrong thing.
func (p *Peer) checkName() error {
	for _, a := range p.Addresses {
		if addr, err := netip.ParseAddr(a); err != nil || addr.String() != a {
			return fmt.Errorf("address %q is not an IP address in its canonical form", clip(a))
		}
	}
	addr, err := netip.ParseAddr(p.Name)
	isAddress := err == nil
	switch {
	case p.Name == "":
		return errors.New("destinationName is empty")
	case p.Naming.Named() == isAddress, isAddress && (addr.String() != p.Name || len(p.Addresses) > 0):
		return errNoAddress
	case !isAddress && (strings.ToLower(p.Name) != p.Name || strings.HasSuffix(p.Name, ".") || strings.ContainsAny(p.Name, " /:*")):
		return fmt.Errorf("name %q is not a host name in lower case without a last dot", clip(p.Name))
	case (p.Naming == NamingAmbiguous) != (len(p.Candidates) > 0):
		return errors.New("candidates go with the naming ambiguous, and it with them")
	}
	return nil
}

// texts bounds strings from foreign traffic.
func texts(what string, all ...string) error {
	for _, s := range all {
		if len(s) > MaxText || !utf8.ValidString(s) {
			return fmt.Errorf("%s: a text of %d bytes, want at most %d, in UTF-8", what, len(s), MaxText)
		}
	}
	return nil
}
