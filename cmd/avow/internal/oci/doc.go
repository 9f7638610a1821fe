// Package oci reads and writes Sigstore bundles beside images in OCI registries.
//
// # Purpose
//
// A vendor attaches the bundles of a release to its image, a buyer finds them there. A bundle is a blob with a manifest
// of its own whose subject is the image, as cosign 3 keeps them, so that each finds what the other attached. Registries
// without the referrers API keep the list under the tag sha256-HEX.
//
//   - [ParseImage] takes an image by its digest. A tag says nothing about content; [Resolve] tells what it names now.
//   - [Client.Bundles] checks the image's manifest against the digest and returns the bundles that may be of interest,
//     and says of everything else why not.
//   - [Client.Attach] attaches a bundle once, however often it is called.
//
// # Trust
//
// Nothing that a registry says is trusted. What it serves under a digest is hashed; what it lists only selects
// candidates, which package verify judges like any file. A registry can leave out, and never make accepted.
//
// A request goes to the registry that was named and to nobody else, with two exceptions that registries are built on,
// both over HTTPS alone: the token server that the registry names when it asks for credentials, and the place to which
// it redirects the download of a blob, which gets no credentials and whose answer has to have the blob's digest. Plain
// HTTP is spoken on loopback only. Credentials come from the keychain of the caller.
//
// # Contract
//
// Errors are *[Error] with a [Reason] from a closed list, or the context's. What is left out of a list is [Ignored],
// with a Reason too. Limits are checked before work is done: the constants Max. The context bounds every call; nothing
// is read from the environment but by the keychain and the transport that the caller gives.
//
// # Specifications
//
//   - OCI distribution 1.1: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md
//   - OCI image 1.1, artifacts: https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md
//   - Bundles of cosign: https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md
package oci
