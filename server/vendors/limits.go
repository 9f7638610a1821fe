package vendors

import "time"

// Limits of the registry, checked before work is done.
const (
	// MaxRegistryBytes is the largest registry file.
	MaxRegistryBytes = 8 << 20
	// MaxKeyBytes is the largest public key in PEM form.
	MaxKeyBytes = 8 << 10
	// MaxVendors is the largest number of vendors.
	MaxVendors = 20_000
	// MaxPerVendor is the largest number of keys, identities, products, tokens or client certificates of one vendor.
	MaxPerVendor = 256
	// MaxFormer is the largest number of signers that one key or identity succeeds.
	MaxFormer = 64
	// MaxRecoveryKeys is the largest number of recovery keys of one vendor.
	MaxRecoveryKeys = 16
	// MaxNameBytes is the largest vendor name.
	MaxNameBytes = 64
	// MaxTextBytes is the largest declarant, contact, file name or name of a variable.
	MaxTextBytes = 200
	// MaxIdentityBytes is the largest issuer, and the largest subject alternative name, of an identity.
	MaxIdentityBytes = 1 << 10
	// MaxIdentifierBytes is the largest product identifier, and prefix of one.
	MaxIdentifierBytes = 4 << 10
	// DefaultInterval is how often a Watcher looks at its file.
	DefaultInterval = time.Second

	// fullLook is how many looks go by before one reads the files even though
	// size and time have not changed.
	fullLook = 60
)
