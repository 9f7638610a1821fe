package enforce

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/avow-dev/avow/verify"
)

// Options say what to compile for and what to leave out. They are the buyer's; nothing of them comes from the statement.
type Options struct {
	// Target is required.
	Target Target
	// Now is the time of compilation; required. The statement must be in force then.
	Now time.Time
	// RequireStanding refuses a statement whose standing was not asked for at verification.
	RequireStanding bool
	// AllowUncompiled leaves out what cannot be compiled instead of refusing.
	AllowUncompiled bool

	// LeaveOutVendorBenefit leaves out flows of the necessity vendorBenefit.
	LeaveOutVendorBenefit bool
	// LeaveOutRecipients leaves out flows one of whose recipients has this role, or is, is controlled from, stores in or is read
	// from this place: a recipient's role, or an ISO 3166-1 code in upper case. What is not declared reads as anywhere.
	LeaveOutRecipients []string
	// Cut is a policy that is asked about the verified evidence; flows that make its rules fail are left out. A rule that
	// fails and names no flows is a refusal, since leaving out does not meet it.
	Cut verify.Policy

	// Configured are the operator's own values of configured and discovered endpoints.
	Configured []Configured

	// Name names the policy: object, table, or network; a DNS label. Empty means DefaultName.
	Name string
	// Namespace is that of the object, and Selector the labels of the pods (Cilium and Kubernetes); a selector is required.
	Namespace string
	Selector  map[string]string
	// Scope is whose traffic the ruleset is about (NFTables); required.
	Scope Scope
	// Resolver is the only DNS server that may be asked (NFTables); required where names are declared.
	Resolver netip.AddrPort
	// Listen is where the proxy listens (Envoy and Squid); zero means DefaultListen.
	Listen netip.AddrPort
	// Service is the Compose service that is confined, and ProxyImage the image of the Squid proxy (Docker); required.
	Service, ProxyImage string
}

// DefaultName is the name of a policy that was given none.
const DefaultName = "avow-egress"

// proxyPort is the port of the proxies.
const proxyPort = 3128

// DefaultListen is where a proxy listens if nothing else is said: this machine only.
func DefaultListen() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), proxyPort)
}

// Scope is whose traffic an nftables ruleset is about: exactly one member is set.
type Scope struct {
	// Namespace means everything in the network namespace that the ruleset is loaded in.
	Namespace bool
	// UID is a user id; nil for none.
	UID *uint32
	// Cgroup is the path of a cgroup (version 2) below the root of the hierarchy, without leading slash.
	Cgroup string
}

var (
	dnsLabel   = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)
	labelValue = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$`)
	labelName  = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$`)
	hostName   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)
	cgroupPath = regexp.MustCompile(`^[A-Za-z0-9_.@:-]+(/[A-Za-z0-9_.@:-]+)*$`)
	imageName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}$`)
	service    = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$`)
	country    = regexp.MustCompile(`^[A-Z]{2}$`)
)

// recipientRoles are the roles that can be left out (registry recipientRole).
var recipientRoles = []string{"declarant", "processor", "independentController", "publicService", "customer"}

// Validate reports what is missing or malformed, as a *Refusal with CodeOptions.
func (o *Options) Validate() error {
	const hint = "correct the option"
	if !slices.Contains(Targets(), o.Target) {
		return refuse(CodeOptions, "name one of the targets", "target %q is not known", o.Target)
	}
	if o.Now.IsZero() {
		return refuse(CodeOptions, hint, "no time of compilation is given")
	}
	if o.Name != "" && !dnsLabel.MatchString(o.Name) {
		return refuse(CodeOptions, "write a DNS label: lower-case letters, digits and hyphens", "name %q is not a DNS label", o.Name)
	}
	for _, r := range o.LeaveOutRecipients {
		if !slices.Contains(recipientRoles, r) && !country.MatchString(r) {
			return refuse(CodeOptions, "name a role ("+strings.Join(recipientRoles, ", ")+") or an ISO 3166-1 code in upper case",
				"recipient %q is neither a role nor a country", r)
		}
	}
	for _, a := range []netip.AddrPort{o.Resolver, o.Listen} {
		if a != (netip.AddrPort{}) && (!a.IsValid() || a.Port() == 0 || a.Addr().Zone() != "" || a.Addr().Is4In6()) {
			return refuse(CodeOptions, "write an address with a port and without zone", "%q cannot be used as an address", a)
		}
	}
	for _, c := range o.Configured {
		if err := c.validate(); err != nil {
			return err
		}
	}
	return o.validateTarget()
}

func (o *Options) validateTarget() error {
	switch o.Target {
	case Cilium, Kubernetes:
		return o.validateSelector()
	case NFTables:
		return o.validateScope()
	case Docker:
		if !service.MatchString(o.Service) {
			return refuse(CodeOptions, "name the Compose service that is to be confined", "service %q is not a name of a Compose service", o.Service)
		}
		if !imageName.MatchString(o.ProxyImage) {
			return refuse(CodeOptions, "name an image with Squid, best by its digest", "proxy image %q is not the name of an image", o.ProxyImage)
		}
	}
	return nil
}

func (o *Options) validateSelector() error {
	if o.Namespace != "" && !dnsLabel.MatchString(o.Namespace) {
		return refuse(CodeOptions, "write the name of the namespace", "namespace %q is not a DNS label", o.Namespace)
	}
	if len(o.Selector) == 0 {
		return refuse(CodeOptions, "give the labels of the product's pods: a policy for all pods of a namespace is not what a statement is about",
			"no labels select the pods")
	}
	for key, value := range o.Selector {
		prefix, name, ok := strings.Cut(key, "/")
		if !ok {
			prefix, name = "", key
		}
		if ok && !hostName.MatchString(prefix) || !labelName.MatchString(name) || !labelValue.MatchString(value) {
			return refuse(CodeOptions, "write labels as KEY=VALUE", "%q=%q is not a label", key, value)
		}
	}
	return nil
}

func (o *Options) validateScope() error {
	given := 0
	for _, set := range []bool{o.Scope.Namespace, o.Scope.UID != nil, o.Scope.Cgroup != ""} {
		if set {
			given++
		}
	}
	if given != 1 {
		return refuse(CodeOptions, "say whose traffic: a user id, a cgroup, or the whole network namespace", "%d scopes are given, want 1", given)
	}
	if o.Scope.Cgroup != "" && (!cgroupPath.MatchString(o.Scope.Cgroup) || slices.Contains(strings.Split(o.Scope.Cgroup, "/"), "..")) {
		return refuse(CodeOptions, "write the path below /sys/fs/cgroup, as system.slice/app.service", "cgroup %q is not a path", o.Scope.Cgroup)
	}
	return nil
}

// name returns the policy's name.
func (o *Options) name() string {
	if o.Name == "" {
		return DefaultName
	}
	return o.Name
}

// listen returns where the proxy listens.
func (o *Options) listen() netip.AddrPort {
	if !o.Listen.IsValid() {
		return DefaultListen()
	}
	return o.Listen
}
