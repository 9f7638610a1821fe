// Command avowd is the avow service: it takes signed statements from registered vendors, checks them, gives them a time, logs
// them, keeps them, and answers with bundles that anybody verifies offline.
//
//	avowd quickstart [--dir D] [--exit]    the whole story on this machine, with the commands to repeat it by hand
//	avowd init --dir D --origin HOST       keys, log, store, registry and a commented configuration; overwrites nothing
//	avowd serve --config F                 gRPC, REST and the static files of the log, until SIGTERM
//	avowd fsck --config F                  reads every entry, tile and statement and recomputes the log's root
//	avowd reindex --config F               rebuilds every index from the stored envelopes and the log
//	avowd vendor add|list|token            edits the registry of vendors
//	avowd index init|key --config F        the complete index of a service from before there was one; its log's key
//	avowd trusted-root --config F          what buyers need to verify, from the keys of this configuration
//	avowd bench --server ADDR | --embedded drives a service and prints rate, latency and CPU per statement
//	avowd witness init|enrol|serve         a witness of other logs, a service of its own; log-key prints what it needs to know
//	avowd version | completion
//
// This package is the only one that reads flags, signals and the environment, that opens listeners and that chooses the log's
// driver; everything below it is handed what it needs. The configuration is one YAML file, read strictly: a member that is not
// known is an error, because a misspelt limit must not become no limit. See docs/operating.md.
//
// # Trust
//
// The operator is not trusted by buyers, and this program does nothing that would change that: it holds no key of a vendor
// unless the registry says so, and what it answers is checked by the buyer's own code path before it is sent. It refuses to
// listen beyond loopback without TLS, and to serve a log whose anchor does not agree with it.
//
// # Exit codes
//
//	0  done; for serve: stopped by a signal, every accepted call answered
//	1  it could not be done, or what was checked is not in order (fsck, quickstart)
//	2  wrong usage or configuration; nothing was touched
package main
