// Package recorder runs a program in a network namespace of its own and records
// what it says to the network.
//
// # Purpose
//
// An observation is only as good as its vantage. On a host the packets of all
// programs are mixed; in a namespace with one program in it every packet is the
// program's. [Run] makes such a namespace, puts a recording resolver and a packet
// capture into it, starts the program there, and hands a capture in pcap form to
// whoever summarises it. What the namespace cannot show is in [Result].
//
// # How it works
//
// The process that calls [Run] starts its own executable again (the helper, see
// [Options.Helper]) in new network, mount and process namespaces, and as an
// unprivileged user in a new user namespace too. The helper brings the interfaces
// up, opens the capture and the resolver's sockets there and passes them back:
// sockets stay in the namespace in which they were opened, so that the caller can
// read packets inside and ask the host's resolvers outside. The helper is the
// first process of its process namespace: when it ends, for whatever reason,
// the kernel ends everything that the program started.
//
// Which program has which socket ([Options.Programs]) is found by the helper, which
// looks at the kernel's lists when there are packets: what is closed by then is
// missed, and never guessed.
//
// Ways out ([Way]): as root a pair of virtual interfaces with address
// translation; as an unprivileged user pasta or slirp4netns, if installed; or
// none (offline), where every address of the world is one of the namespace's
// own: connections are refused at once, and are recorded all the same.
//
// # Contract
//
//   - The capture is open before the program starts, and is read until after it
//     has ended. Packets that the kernel dropped meanwhile are counted.
//   - Nothing of a run outlives it: the namespace goes with the helper, the rules
//     for address translation are removed, and those of a run that crashed are
//     removed by the next. Settings of the host are put back.
//   - What the kernel itself says on a link (ARP, neighbour discovery, multicast
//     membership) is nobody's flow and is not in the capture.
//
// # Trust
//
// The program is not trusted to be honest, and not confined either: as root it
// is root in its namespace. Sockets of the file system (a local resolver, a
// container daemon, D-Bus) lead out of every network namespace; the usual ones of
// resolvers are covered, the others are not. Answers of resolvers are foreign
// bytes: they are passed on unchanged, and only their headers are read.
//
// # Systems
//
// Linux. Elsewhere [Run] answers with an error.
package recorder
