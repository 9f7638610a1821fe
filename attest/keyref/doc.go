// Package keyref opens signing keys that are not files: in a key management service or on a PKCS #11 token. A reference
// names such a key, and [Open] makes an [attest.Signer] of it.
//
//	hashivault://NAME  openbao://NAME          the transit engine of a Vault or OpenBao server
//	awskms://...  gcpkms://...  azurekms://... the cloud services, in the notation of cosign
//	OTHER://...                                any service that has a Sigstore KMS plugin
//	pkcs11:token=...;object=...                a token, by RFC 7512; in binaries built with the tag pkcs11
//
// A service is reached through a program sigstore-kms-SCHEME on the PATH that speaks Sigstore's KMS plugin protocol, the same
// that cosign starts. No code of a service is linked, and this package opens no socket: credentials, HTTP and their faults
// stay in the other process. avow's programs for Vault and the clouds are in cmd/kms, a module of their own.
//
// # Contract
//
// The public key is read once, by Open, and is the signer's for its life. A key that is not ECDSA P-256 is refused. Every
// signature is checked before it is returned: strict DER, and valid over the digest with that public key. If it is not, the
// key is read again, and the error says whether the service has another key by now or signed something else. A valid
// signature is passed on as it came, also with a high S, which every verifier of this ecosystem takes.
//
// Every call ends: after Options.Timeout the plugin is killed, and a token that does not return is left to itself. Whatever a
// plugin answers is bounded, and its text is stripped of control characters before it becomes part of an error.
//
// # Trust
//
// The caller trusts the reference: it decides which program is started and which PKCS #11 module is loaded into the process.
// It comes from a command line or a configuration, never from a request. The service or token is trusted to keep the key,
// not to answer well. PINs are read from a file, the environment or the terminal, never from the reference, and neither
// they nor the values of environment variables that look like secrets appear in an error. Plugins do not get to see
// variables that begin with AVOW_.
//
// # Specifications
//
//   - RFC 7512, The PKCS #11 URI Scheme: https://www.rfc-editor.org/rfc/rfc7512
//   - Sigstore KMS plugins: https://github.com/sigstore/sigstore/tree/v1.10.8/pkg/signature/kms/cliplugin
package keyref
