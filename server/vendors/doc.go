// Package vendors is the registry of who may issue statements: which keys,
// which certified identities and which product identifiers belong to which vendor, and by which API tokens or
// client certificates its machines are recognised.
//
// The registry is one YAML file that the operator keeps. It is read strictly:
// one document, no unknown member, no duplicate, limits on everything, the line
// in each error. Nothing is allowed by default: a key or identity that is in no
// vendor's list speaks for nobody, a vendor without products may name no product, an empty
// registry admits no one.
//
//	vendors:
//	  - name: acme
//	    declarant: Acme GmbH             # what statements must name as their declarant
//	    country: DE
//	    contact: security@acme.example
//	    keys:
//	      - file: keys/acme.pub          # relative to this file; or pem: |
//	        notBefore: 2026-01-01T00:00:00Z
//	        notAfter: 2028-01-01T00:00:00Z
//	        succeeds:                    # whose statements it may withdraw, supersede and answer for
//	          - key: sha256:1f0e3d...    # or issuer: and san: of an identity
//	    identities:                      # who signs with a certificate instead of a key
//	      - issuer: https://token.actions.githubusercontent.com
//	        san: https://github.com/acme/fw/.github/workflows/release.yml@refs/heads/main
//	    products:
//	      - pkg:generic/acme             # pkg:generic/acme/fw@1, not pkg:generic/acme-evil@1
//	    roles: [disputer, assessor]      # what it may say about the statements of others
//	    recovery:                        # keys that only withdraw, threshold of them together
//	      threshold: 2
//	      keys: [{file: recovery/1.pub}, {file: recovery/2.pub}, {file: recovery/3.pub}]
//	    tokens:
//	      - sha256:9f86d0...             # digest of an API token, never the token
//	    clientCerts:
//	      - sha256:2c26b4...             # digest of a client certificate (DER)
//	    signingKey:                      # only where the service signs for the vendor
//	      file: keys/acme.key            # or reference: hashivault://acme
//	      passwordFile: keys/acme.pass
//
// # Trust
//
// The file is the operator's: who writes it decides who is a vendor. Tokens are
// 256 random bits and stored as their SHA-256, which needs no salt and no
// stretching at that size; they are compared in constant time. The registry
// holds no private key, only the place of one. A broken file never replaces a
// good registry ([Watcher]); it is reported until it is mended.
package vendors
