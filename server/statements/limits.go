package statements

import "time"

// Limits of one row and of one call. They are checked before a row is queued,
// so that no caller can make the single writer work for long.
const (
	// MaxEnvelopeBytes is the largest envelope: a statement of 256 KiB in
	// base64 inside its DSSE envelope, with room for the signature.
	MaxEnvelopeBytes = 384 << 10
	// MaxSignerBytes is the largest SubjectPublicKeyInfo in DER form, or text of an identity.
	MaxSignerBytes = 4 << 10
	// MaxCertificateBytes is the largest certificate in DER form.
	MaxCertificateBytes = 16 << 10
	// MaxEntryBytes is the largest serialised log entry (leaf, proof, cosigned checkpoint).
	MaxEntryBytes = 128 << 10
	// MaxTokens is the largest number of RFC 3161 tokens of one statement.
	MaxTokens = 4
	// MaxTokenBytes is the largest RFC 3161 token.
	MaxTokenBytes = 16 << 10
	// MaxSubjects is the largest number of subject digests of one statement.
	MaxSubjects = 256
	// MaxProducts is the largest number of product identifiers of one statement.
	MaxProducts = 64
	// MaxTextBytes is the largest vendor name, predicate type, product identifier or declaration id.
	MaxTextBytes = 4 << 10
	// MaxBatch is the largest number of rows in one PutPending or Commit.
	MaxBatch = 256
	// MaxSigners is the largest number of records that Get returns for one statement.
	MaxSigners = 256
	// MaxPage is the largest page of List and PendingRows; a larger Limit is lowered to it.
	MaxPage = 1000
	// DefaultPage is the page size when a Query has no Limit.
	DefaultPage = 100
)

const (
	scanBudget     = 4096 // index rows that one page of a combined query may look at
	maxGroupRows   = 512  // rows that share one transaction
	maxGroupBytes  = 8 << 20
	queueDepth     = 1024  // operations that wait for the writer before callers block
	maxCached      = 65536 // entries of each cache of a writer
	indexBatch     = 4096  // statements that share one transaction of the index
	maxRecent      = 4 * indexBatch
	indexDelay     = 250 * time.Millisecond // how long the index waits for a batch to fill
	indexRetry     = time.Second            // how long it waits after an error of the disk
	walPages       = 4000                   // WAL pages after which the WAL is folded into the database
	walKeepBytes   = 64 << 20
	writerCacheKiB = 64 << 10
	readerCacheKiB = 16 << 10
	busyTimeout    = 5 * time.Second
	defaultReaders = 8
	storePageSize  = 8192 // rows of a few KiB, appended
	indexPageSize  = 4096 // small rows, at random places

	applicationID   = 0x61766f77 // "avow", in the header of the database file
	indexVersion    = 1
	lockSuffix      = ".lock"
	indexSuffix     = ".index"
	migrationsTable = "schema_versions"
)
