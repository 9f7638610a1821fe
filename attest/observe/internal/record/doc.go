// Package record holds what every reader of a capture or a log produces: ended
// connections, answers of name resolution, and gaps.
//
// # Contract
//
// A reader calls the functions of a [Sink] for what it found, in the order in
// which it found it. It decides nothing that needs other files: which side the
// program is, which of several names an address had, what a peer is. That is
// done once, by package observe, for all formats alike.
//
// A [Conn] says only what its source says. A time, a count or a name that is
// not in the source is absent, and never made up.
//
// # Trust
//
// Names come from foreign traffic. [HostName] lets through what can be a host
// name and nothing else; whatever it refuses is not a name.
package record
