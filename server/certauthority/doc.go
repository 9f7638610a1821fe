// Package certauthority issues short-lived certificates for signing keys: the part of Fulcio that signs. Who somebody is
// has been found out before; this package writes it down, and makes sure that it was logged first.
//
// # Contract
//
//   - A certificate is handed out only after the log holds it: [Authority.Issue] makes a precertificate, gives the log its
//     entry, waits until a published checkpoint covers it, and only then signs the certificate timestamp (SCT) and the
//     certificate that carries it. A crash in between leaves an entry without a certificate, and never the reverse.
//   - What is logged is what is issued: the certificate without its SCT is compared with the logged entry, byte for byte,
//     before it leaves.
//   - Certificates have an empty subject, one critical subject alternative name, the key usage digitalSignature, the extended
//     key usage codeSigning, Fulcio's extensions, and a lifetime of minutes. The lifetime never leaves that of the
//     authority's own certificates.
//   - Keys of the authority and of the log are ECDSA P-256: others cost verifiers five times as much. Signers' keys are
//     ECDSA P-256, or RSA of 2048 or 3072 bits with PKCS #1 v1.5: what the log of statements takes and every client
//     verifies.
//
// # The certificate log
//
// An entry of the log is the MerkleTreeLeaf of RFC 6962, section 3.4, for a precertificate: version 0, leaf type 0, the
// time in milliseconds, entry type 1, SHA-256 of the issuer's SubjectPublicKeyInfo, the TBSCertificate without SCT and
// poison, no extensions. Its hash is therefore the leaf hash of RFC 6962, and anybody can compute it from a certificate
// and the time in its SCT. The log is served by C2SP tlog-tiles with these entries. It is no static-ct-api log: there the
// entry's index is part of the SCT and data tiles hold the chain as well.
//
// # Trust
//
// The authority can name anybody. It is kept honest by the log: a certificate whose SCT verifies and whose entry is not
// in the log proves that the operator lied, and whoever reads the log sees every certificate in their name. The root's
// key is not needed here: it signs intermediates, and belongs on a machine without a network.
//
// # Specifications
//
//   - RFC 5280 (certificates), RFC 6962 (precertificates, SCT, Merkle leaves), RFC 2986 (certificate signing requests)
//   - https://github.com/sigstore/fulcio/blob/main/docs/certificate-specification.md, https://c2sp.org/tlog-tiles
package certauthority
