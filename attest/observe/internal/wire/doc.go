// Package wire decodes what observing needs of packets: addresses, ports and
// lengths of the layers down to TCP, UDP, SCTP and ICMP, and of payloads the
// few things that name a peer: DNS answers, the hello of TLS and QUIC, the
// first request of HTTP.
//
// # Contract
//
// Every function takes bytes and keeps none of them. [Decode] fills a [Packet]
// without allocating; payloads are windows of what it was given. Lengths are
// those that the packet declares, so that a capture with a small snap length
// still counts right. A function that could go on if it had more bytes says so
// (more), which is how a hello in several segments is read.
//
// Tunnels are not looked into: the peer is the end of the tunnel.
//
// # Trust
//
// All bytes are foreign. Nothing here loops without going forward, follows more
// than a fixed number of pointers, or allocates by a length that it read.
// Checksums are not verified, because captures are full of packets whose
// checksum the network card was yet to write.
//
// # Specification
//
// RFC 791, 8200, 9293, 768, 9260 (headers); 1035, 9460 (DNS); 8446, 6066
// (TLS); 9000, 9001, 9369 (QUIC); 9112 (HTTP/1.1).
package wire
