// Package packetworld makes captures for tests: conversations as real programs
// have them, written with an independent encoder (gopacket) into pcap and pcapng.
//
// # Purpose
//
// A [World] is a machine with a clock. Its methods are what happens on its
// wire: names are asked for, connections opened, hellos said. The hellos of TLS
// are those of crypto/tls, not ones that were written to be read again. What the
// capture should be summarised as is for the test to say.
//
// # Contract
//
// The same calls give the same packets, except for the random parts of hellos.
// Errors are the test's end. Nothing opens a socket. The package is imported by
// tests only; its doubles of hostile captures are made by cutting and editing
// what it wrote.
package packetworld
