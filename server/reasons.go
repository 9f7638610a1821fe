package server

import avowv1 "github.com/avow-dev/avow/api/avow/v1"

// Short names for the closed list of reasons; what each means is documented in proto/avow/v1/errors.proto.
const (
	reasonRequestInvalid              = avowv1.ErrorReason_ERROR_REASON_REQUEST_INVALID
	reasonPageTokenInvalid            = avowv1.ErrorReason_ERROR_REASON_PAGE_TOKEN_INVALID
	reasonStatementInvalid            = avowv1.ErrorReason_ERROR_REASON_STATEMENT_INVALID
	reasonEnvelopeTooLarge            = avowv1.ErrorReason_ERROR_REASON_ENVELOPE_TOO_LARGE
	reasonEnvelopeMalformed           = avowv1.ErrorReason_ERROR_REASON_ENVELOPE_MALFORMED
	reasonPayloadType                 = avowv1.ErrorReason_ERROR_REASON_PAYLOAD_TYPE
	reasonSignatureCount              = avowv1.ErrorReason_ERROR_REASON_SIGNATURE_COUNT
	reasonSignatureInvalid            = avowv1.ErrorReason_ERROR_REASON_SIGNATURE_INVALID
	reasonKeyUnsupported              = avowv1.ErrorReason_ERROR_REASON_KEY_UNSUPPORTED
	reasonPredicateTypeUnsupported    = avowv1.ErrorReason_ERROR_REASON_PREDICATE_TYPE_UNSUPPORTED
	reasonBatchInvalid                = avowv1.ErrorReason_ERROR_REASON_BATCH_INVALID
	reasonVerificationInput           = avowv1.ErrorReason_ERROR_REASON_VERIFICATION_INPUT
	reasonPolicyInvalid               = avowv1.ErrorReason_ERROR_REASON_POLICY_INVALID
	reasonCertificateInvalid          = avowv1.ErrorReason_ERROR_REASON_CERTIFICATE_INVALID
	reasonBundleInvalid               = avowv1.ErrorReason_ERROR_REASON_BUNDLE_INVALID
	reasonTokenMalformed              = avowv1.ErrorReason_ERROR_REASON_TOKEN_MALFORMED
	reasonPossessionUnproven          = avowv1.ErrorReason_ERROR_REASON_POSSESSION_UNPROVEN
	reasonKeyUnknown                  = avowv1.ErrorReason_ERROR_REASON_KEY_UNKNOWN
	reasonKeyNotValid                 = avowv1.ErrorReason_ERROR_REASON_KEY_NOT_VALID
	reasonProductNotPermitted         = avowv1.ErrorReason_ERROR_REASON_PRODUCT_NOT_PERMITTED
	reasonDeclarantMismatch           = avowv1.ErrorReason_ERROR_REASON_DECLARANT_MISMATCH
	reasonCredentialsRequired         = avowv1.ErrorReason_ERROR_REASON_CREDENTIALS_REQUIRED
	reasonCredentialsInvalid          = avowv1.ErrorReason_ERROR_REASON_CREDENTIALS_INVALID
	reasonMethodNotPermitted          = avowv1.ErrorReason_ERROR_REASON_METHOD_NOT_PERMITTED
	reasonSigningNotConfigured        = avowv1.ErrorReason_ERROR_REASON_SIGNING_NOT_CONFIGURED
	reasonVerdictSigningNotConfigured = avowv1.ErrorReason_ERROR_REASON_VERDICT_SIGNING_NOT_CONFIGURED
	reasonLogWritesNotConfigured      = avowv1.ErrorReason_ERROR_REASON_LOG_WRITES_NOT_CONFIGURED
	reasonSigningConfigNotConfigured  = avowv1.ErrorReason_ERROR_REASON_SIGNING_CONFIG_NOT_CONFIGURED
	reasonCertificatesNotConfigured   = avowv1.ErrorReason_ERROR_REASON_CERTIFICATES_NOT_CONFIGURED
	reasonTokenIssuerUnknown          = avowv1.ErrorReason_ERROR_REASON_TOKEN_ISSUER_UNKNOWN
	reasonTokenSignature              = avowv1.ErrorReason_ERROR_REASON_TOKEN_SIGNATURE
	reasonTokenTime                   = avowv1.ErrorReason_ERROR_REASON_TOKEN_TIME
	reasonTokenAudience               = avowv1.ErrorReason_ERROR_REASON_TOKEN_AUDIENCE
	reasonTokenIdentity               = avowv1.ErrorReason_ERROR_REASON_TOKEN_IDENTITY
	reasonIdentityUnknown             = avowv1.ErrorReason_ERROR_REASON_IDENTITY_UNKNOWN
	reasonIdentityNotValid            = avowv1.ErrorReason_ERROR_REASON_IDENTITY_NOT_VALID
	reasonCertificateNotValid         = avowv1.ErrorReason_ERROR_REASON_CERTIFICATE_NOT_VALID
	reasonLogNotInUse                 = avowv1.ErrorReason_ERROR_REASON_LOG_NOT_IN_USE
	reasonStatementNotFound           = avowv1.ErrorReason_ERROR_REASON_STATEMENT_NOT_FOUND
	reasonVendorNotFound              = avowv1.ErrorReason_ERROR_REASON_VENDOR_NOT_FOUND
	reasonLogRange                    = avowv1.ErrorReason_ERROR_REASON_LOG_RANGE
	reasonRouteUnknown                = avowv1.ErrorReason_ERROR_REASON_ROUTE_UNKNOWN
	reasonRateLimited                 = avowv1.ErrorReason_ERROR_REASON_RATE_LIMITED
	reasonOverloaded                  = avowv1.ErrorReason_ERROR_REASON_OVERLOADED
	reasonMessageTooLarge             = avowv1.ErrorReason_ERROR_REASON_MESSAGE_TOO_LARGE
	reasonStorageFull                 = avowv1.ErrorReason_ERROR_REASON_STORAGE_FULL
	reasonLogUnavailable              = avowv1.ErrorReason_ERROR_REASON_LOG_UNAVAILABLE
	reasonLogHalted                   = avowv1.ErrorReason_ERROR_REASON_LOG_HALTED
	reasonStoreUnavailable            = avowv1.ErrorReason_ERROR_REASON_STORE_UNAVAILABLE
	reasonTimestampUnavailable        = avowv1.ErrorReason_ERROR_REASON_TIMESTAMP_UNAVAILABLE
	reasonShuttingDown                = avowv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN
	reasonSignerUnavailable           = avowv1.ErrorReason_ERROR_REASON_SIGNER_UNAVAILABLE
	reasonIssuerUnavailable           = avowv1.ErrorReason_ERROR_REASON_ISSUER_UNAVAILABLE
	reasonAuthorityExpired            = avowv1.ErrorReason_ERROR_REASON_CERTIFICATE_AUTHORITY_EXPIRED
	reasonDeadlineExceeded            = avowv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED
	reasonCancelled                   = avowv1.ErrorReason_ERROR_REASON_CANCELLED
	reasonSelfCheckFailed             = avowv1.ErrorReason_ERROR_REASON_SELF_CHECK_FAILED
	reasonInternal                    = avowv1.ErrorReason_ERROR_REASON_INTERNAL
)
