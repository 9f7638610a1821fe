package verify

import "time"

// Limits of this package. All are checked before the work that they bound.
const (
	// MaxBundleBytes is the largest bundle that is looked at, in bytes.
	MaxBundleBytes = 512 << 10
	// MaxTrustBytes is the largest trusted root that is parsed, in bytes.
	MaxTrustBytes = 1 << 20
	// MaxBundles is the number of bundles that one Input may carry.
	MaxBundles = 64
	// MaxSigners is the number of signer requirements that one Input may carry.
	MaxSigners = 256
	// MaxBundleDepth is the deepest nesting of JSON in a bundle.
	MaxBundleDepth = 64
	// MaxBundleValues is the number of JSON values in a bundle.
	MaxBundleValues = 20_000
	// MaxTimestamps is the number of RFC 3161 timestamps in a bundle.
	MaxTimestamps = 4
	// MaxCheckpointSignatures is the number of signature lines of a checkpoint.
	MaxCheckpointSignatures = 32
	// MaxCheckpointBytes is the largest checkpoint, in bytes: 32 signature
	// lines of the largest algorithm in use fit well.
	MaxCheckpointBytes = 64 << 10
	// MaxWitnessPolicyBytes is the largest witness policy that is parsed, in bytes.
	MaxWitnessPolicyBytes = 64 << 10
	// MaxWitnesses is the number of witnesses of a witness policy, and of its
	// logs, and of its groups.
	MaxWitnesses = 64
	// MaxProofHashes is the longest inclusion path of a tree of 2^63 leaves.
	MaxProofHashes = 63
	// DefaultTimestampSkew is how far apart the timestamps of one bundle may
	// lie, and how far ahead of the verifier's clock a timestamp may be.
	DefaultTimestampSkew = 5 * time.Minute
)
