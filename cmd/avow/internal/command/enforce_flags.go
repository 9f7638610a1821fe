package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/cmd/avow/internal/egress"
	"github.com/avow-dev/avow/verify/enforce"
)

// enforceTargetFlags say what a policy is compiled for.
type enforceTargetFlags struct {
	target         string
	name           string
	selector       []string
	namespace      string
	uid            string
	cgroup         string
	wholeNamespace bool
	resolver       string
	listen         string
	service        string
	proxyImage     string
}

// flagTargets are the targets that a flag is for; a flag that would be passed over could be taken for one that counts.
func flagTargets() map[string][]enforce.Target {
	return map[string][]enforce.Target{
		"selector": {enforce.Cilium, enforce.Kubernetes}, "namespace": {enforce.Cilium, enforce.Kubernetes},
		"uid": {enforce.NFTables}, "cgroup": {enforce.NFTables}, "whole-namespace": {enforce.NFTables}, "resolver": {enforce.NFTables},
		"listen": {enforce.Envoy, enforce.Squid}, "service": {enforce.Docker}, "proxy-image": {enforce.Docker},
	}
}

func (f *enforceTargetFlags) register(c *cobra.Command) {
	var names []string
	for _, t := range enforce.Targets() {
		names = append(names, string(t))
	}
	o := c.Flags()
	o.StringVar(&f.target, "target", "", "`TARGET` to compile for: "+strings.Join(names, ", "))
	o.StringVar(&f.name, "name", enforce.DefaultName, "`NAME` of the policy: object, table or network")
	o.StringSliceVar(&f.selector, "selector", nil, "`KEY=VALUE` label of the product's pods (cilium, kubernetes); may be repeated")
	o.StringVar(&f.namespace, "namespace", "", "`NAME` of the pods' namespace (cilium, kubernetes)")
	o.StringVar(&f.uid, "uid", "", "`NUMBER` of the user that the product runs as (nftables)")
	o.StringVar(&f.cgroup, "cgroup", "", "`PATH` of the product's cgroup below /sys/fs/cgroup (nftables)")
	o.BoolVar(&f.wholeNamespace, "whole-namespace", false, "the ruleset is for all of the network namespace that it is loaded in (nftables)")
	o.StringVar(&f.resolver, "resolver", "", "`ADDRESS[:PORT]` of the only DNS server that may be asked (nftables)")
	o.StringVar(&f.listen, "listen", "", "`ADDRESS:PORT` that the proxy listens on (envoy, squid; default "+enforce.DefaultListen().String()+")")
	o.StringVar(&f.service, "service", "", "`NAME` of the Compose service to confine (docker)")
	o.StringVar(&f.proxyImage, "proxy-image", "", "`IMAGE` with Squid, best by its digest (docker)")
	completes(c, "target", names...)
}

func (f *enforceTargetFlags) apply(c *cobra.Command, o *enforce.Options) error {
	o.Target = enforce.Target(f.target)
	if !slices.Contains(enforce.Targets(), o.Target) {
		return usageFailure(c.CommandPath(), fmt.Errorf("--target %q is none of %v", f.target, enforce.Targets()))
	}
	for name, targets := range flagTargets() {
		if c.Flags().Changed(name) && !slices.Contains(targets, o.Target) {
			return usageFailure(c.CommandPath(), fmt.Errorf("--%s is for %v, and the target is %s", name, targets, o.Target))
		}
	}
	o.Name, o.Namespace, o.Service, o.ProxyImage = f.name, f.namespace, f.service, f.proxyImage
	o.Scope = enforce.Scope{Namespace: f.wholeNamespace, Cgroup: f.cgroup}
	if f.uid != "" {
		n, err := strconv.ParseUint(f.uid, 10, 32)
		if err != nil {
			return failed("`id -u USER` says it", "--uid %q is not a user id", f.uid)
		}
		id := uint32(n)
		o.Scope.UID = &id
	}
	for _, label := range f.selector {
		key, value, ok := strings.Cut(label, "=")
		if _, twice := o.Selector[key]; !ok || twice {
			return failed("write --selector KEY=VALUE, each key once", "--selector %q is not a label, or its key is given twice", label)
		}
		if o.Selector == nil {
			o.Selector = map[string]string{}
		}
		o.Selector[key] = value
	}
	var err error
	if o.Resolver, err = addressFlag("resolver", f.resolver, 53); err != nil {
		return err
	}
	o.Listen, err = addressFlag("listen", f.listen, 0)
	return err
}

// addressFlag reads an address with a port, which may be left out where there is a usual one.
func addressFlag(name, value string, usual uint16) (netip.AddrPort, error) {
	if value == "" {
		return netip.AddrPort{}, nil
	}
	if a, err := netip.ParseAddr(value); err == nil && usual != 0 && a.Zone() == "" {
		return netip.AddrPortFrom(a, usual), nil
	}
	a, err := netip.ParseAddrPort(value)
	if err != nil || a.Port() == 0 || a.Addr().Zone() != "" || a.Addr().Is4In6() {
		return netip.AddrPort{}, failed("write an address as 192.0.2.53:53 or [2001:db8::53]:53", "--%s %q is not an address with a port", name, value)
	}
	return a, nil
}

// leaveOutFlags say what of the statement is not in the policy.
type leaveOutFlags struct {
	necessities     []string
	recipients      []string
	policy          string
	parameters      policyParameters
	configured      []string
	allowUncompiled bool
}

func (f *leaveOutFlags) register(c *cobra.Command) {
	o := c.Flags()
	o.StringSliceVar(&f.necessities, "leave-out", nil, "`vendorBenefit`: leave out the flows that are for the vendor's benefit")
	o.StringSliceVar(&f.recipients, "leave-out-recipient", nil,
		"`ROLE|COUNTRY` of recipients whose flows are left out: a role, or a country that they are in, controlled from, store or read in; may be repeated")
	o.StringVar(&f.policy, "leave-out-policy", "", "`NAME|FILE` of a policy; the flows that make its rules fail are left out")
	o.StringArrayVar((*[]string)(&f.parameters), "leave-out-policy-param", nil, "`NAME=VALUE` of a parameter of that policy; may be repeated")
	o.StringArrayVar(&f.configured, "configured", nil, "`SETTING=HOST[:PORT]`: your own value of a configured endpoint; may be repeated")
	o.BoolVar(&f.allowUncompiled, "allow-uncompiled", false, "leave out what cannot be compiled")
	completes(c, "leave-out", "vendorBenefit")
	completePolicyFlag(c, "leave-out-policy", completePolicy)
}

func (f *leaveOutFlags) apply(c *cobra.Command, o *enforce.Options) error {
	for _, n := range f.necessities {
		if n != "vendorBenefit" {
			return failed("vendorBenefit can be left out; core and feature are what the product is for", "--leave-out %q is not vendorBenefit", n)
		}
		o.LeaveOutVendorBenefit = true
	}
	o.LeaveOutRecipients, o.AllowUncompiled = f.recipients, f.allowUncompiled
	for _, s := range f.configured {
		value, err := enforce.ParseConfigured(s)
		if err != nil {
			return err
		}
		o.Configured = append(o.Configured, value)
	}
	if f.policy == "" {
		if len(f.parameters) > 0 {
			return usageFailure(c.CommandPath(), errors.New("--leave-out-policy-param is for a policy: give --leave-out-policy"))
		}
		return nil
	}
	values, err := f.parameters.values(c)
	if err != nil {
		return err
	}
	o.Cut, err = cutPolicy(c.Context(), f.policy, values)
	return err
}

// followFlags say how the sets of a ruleset are kept filled.
type followFlags struct {
	on           bool
	interval     time.Duration
	grace        time.Duration
	allowPrivate bool
}

func (f *followFlags) register(c *cobra.Command) {
	o := c.Flags()
	o.BoolVar(&f.on, "follow", false, "load the ruleset with nft and keep its sets filled, until stopped (nftables)")
	o.DurationVar(&f.interval, "interval", egress.DefaultInterval, "`DURATION` between two lookups, at least (--follow)")
	o.DurationVar(&f.grace, "grace", egress.DefaultGrace, "`DURATION` that an address counts longer than its answer holds (--follow)")
	o.BoolVar(&f.allowPrivate, "allow-private", false, "take addresses of private networks too, which a declared name could be pointed at (--follow)")
}

func (f *followFlags) check(c *cobra.Command, target string) error {
	for _, name := range []string{"interval", "grace", "allow-private"} {
		if c.Flags().Changed(name) && !f.on {
			return usageFailure(c.CommandPath(), fmt.Errorf("--%s is for --follow", name))
		}
	}
	switch {
	case !f.on:
		return nil
	case target != string(enforce.NFTables):
		return usageFailure(c.CommandPath(), fmt.Errorf("--follow is for nftables, and the target is %s", target))
	case f.interval < time.Second:
		return usageFailure(c.CommandPath(), fmt.Errorf("--interval %s is less than 1s", f.interval))
	case f.grace < 0:
		return usageFailure(c.CommandPath(), fmt.Errorf("--grace %s is negative", f.grace))
	}
	return nil
}

// follow keeps the sets filled until it is stopped, or the policy's time is over, which is the answer no.
func (a *app) follow(ctx context.Context, policy *enforce.Policy, f *followFlags, resolver netip.AddrPort) error {
	if _, err := exec.LookPath("nft"); err != nil {
		return failed("install nftables", "--follow needs nft: %w", err)
	}
	follower := &egress.Follower{Policy: policy, Resolver: &egress.Resolver{Server: resolver}, Apply: egress.NFT("nft"), Now: a.env.Now, Sleep: a.env.Sleep,
		Log: slog.New(slog.NewTextHandler(a.env.Stderr, nil)), Interval: f.interval, Grace: f.grace, AllowPrivate: f.allowPrivate}
	err := follower.Run(ctx)
	if errors.Is(err, egress.ErrEnded) {
		return &failure{code: exitNo, err: err, hint: "get the statement that is in force, or a status that is not older than --max-staleness, and start again"}
	}
	if err != nil {
		return failed("nft needs root, or the capability CAP_NET_ADMIN in the network namespace", "%w", err)
	}
	return nil
}
