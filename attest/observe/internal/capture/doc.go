// Package capture reads the two containers of packet captures: pcap and pcapng.
//
// # Purpose
//
// A [Reader] gives packets one after another, in the order of the file, without
// copying them: [Packet.Data] is a window of the read buffer. What the packets
// mean is the business of package wire.
//
// # Trust
//
// A capture is foreign. Its lengths are believed only after they were compared
// with limits that do not depend on the file ([MaxPacket], [MaxInterfaces],
// and what the buffer holds), its snap length not at all. Blocks that are not
// needed are skipped, not read into memory; options are read for the clock of
// an interface and for its drop counters, inside the bounds of their block.
// Memory is one buffer, whatever the file says. The first thing that does not
// fit ends the reading with an [Error] that says where: after it nothing in the
// file can be trusted to be a packet.
//
// # Specification
//
// draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng. Modified pcap of the
// nineties and compressed files are refused.
package capture
