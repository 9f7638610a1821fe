package enforce

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Configured is the operator's own value of a configured or discovered endpoint.
type Configured struct {
	// Setting is the endpoint's setting, exactly as it is declared.
	Setting string
	// Host is a host name, or Prefix an address block: exactly one of them.
	Host   string
	Prefix netip.Prefix
	// Port is 0 where the declared ports are meant.
	Port int
}

// ParseConfigured reads SETTING=HOST[:PORT], where HOST is a name, an address (in brackets if an IPv6 address has a port) or an
// address block. The setting may have equals signs. Errors are *Refusal with CodeOptions.
func ParseConfigured(s string) (Configured, error) {
	const hint = "write SETTING=HOST, SETTING=HOST:PORT or SETTING=ADDRESS-BLOCK, with the setting as the statement declares it"
	at := strings.LastIndexByte(s, '=')
	if at <= 0 {
		return Configured{}, refuse(CodeOptions, hint, "%q has no setting or no value", s)
	}
	c := Configured{Setting: s[:at]}
	value := s[at+1:]
	if p, ok := addressBlock(value); ok {
		c.Prefix = p
		return c, nil
	}
	if i := strings.LastIndexByte(value, ':'); i >= 0 {
		port, err := strconv.ParseUint(value[i+1:], 10, 16)
		if err != nil || port == 0 {
			return Configured{}, refuse(CodeOptions, hint, "%q is not a port", value[i+1:])
		}
		c.Port, value = int(port), value[:i]
	}
	if p, ok := addressBlock(strings.TrimSuffix(strings.TrimPrefix(value, "["), "]")); ok {
		c.Prefix = p
		return c, nil
	}
	c.Host = value
	return c, c.validate()
}

// validate refuses a value that is none, however it was made: it becomes part of another program's input.
func (c *Configured) validate() error {
	const hint = "give a host name in lower case, an address, or an address block without host bits"
	if c.Host != "" {
		// A last label of digits is an address to some readers.
		last := c.Host[strings.LastIndexByte(c.Host, '.')+1:]
		if c.Prefix != (netip.Prefix{}) || !validHost(c.Host) || strings.Trim(last, "0123456789") == "" {
			return refuse(CodeOptions, hint, "%q is neither a host name nor an address", c.Host)
		}
	} else if !c.Prefix.IsValid() || c.Prefix.Masked() != c.Prefix || c.Prefix.Addr().Is4In6() {
		return refuse(CodeOptions, hint, "%q is neither a host name nor an address", c.Prefix)
	}
	if c.Port < 0 || c.Port > 65535 {
		return refuse(CodeOptions, "give a port from 1 to 65535", "%d is not a port", c.Port)
	}
	return nil
}

// addressBlock reads an address or a block without host bits.
func addressBlock(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" && !a.Is4In6() {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Masked() != p || p.Addr().Is4In6() {
		return netip.Prefix{}, false
	}
	return p, true
}

func validHost(s string) bool { return len(s) <= 253 && hostName.MatchString(s) }

// configured returns the operator's values of a setting.
func (o *Options) configured(setting string) []Configured {
	var list []Configured
	for _, c := range o.Configured {
		if c.Setting == setting {
			list = append(list, c)
		}
	}
	return list
}

// checkSettings refuses a value of a setting that the statement does not declare, which would be taken for one that counts.
func (p *plan) checkSettings() error {
	var declared []string
	for i := range p.flows {
		for j := range p.flows[i].Endpoints {
			if e := &p.flows[i].Endpoints[j]; e.Kind == "configured" || e.Kind == "discovered" {
				declared = append(declared, e.Setting)
			}
		}
	}
	for _, c := range p.o.Configured {
		if !slices.Contains(declared, c.Setting) {
			return refuse(CodeOptions, "write the setting exactly as the statement declares it; `avow show` prints it",
				"the statement declares no setting %q", c.Setting)
		}
	}
	return nil
}
