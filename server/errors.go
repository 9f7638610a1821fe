package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/server/certauthority"
	"github.com/avow-dev/avow/server/identity"
	"github.com/avow-dev/avow/server/index"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/verify"
)

// ErrorDomain is the domain of every google.rpc.ErrorInfo that the service sends.
const ErrorDomain = "avow.dev"

const reasonPrefix = "ERROR_REASON_"

// outcome is what a reason stands for on the wire.
type outcome struct {
	code codes.Code
	// retry is the delay that RetryInfo carries; 0 means that repeating the call is of no use.
	retry time.Duration
}

// outcomes maps the closed list of reasons to status codes. A test walks the list.
var outcomes = map[avowv1.ErrorReason]outcome{
	reasonRequestInvalid:           {code: codes.InvalidArgument},
	reasonPageTokenInvalid:         {code: codes.InvalidArgument},
	reasonStatementInvalid:         {code: codes.InvalidArgument},
	reasonEnvelopeTooLarge:         {code: codes.InvalidArgument},
	reasonEnvelopeMalformed:        {code: codes.InvalidArgument},
	reasonPayloadType:              {code: codes.InvalidArgument},
	reasonSignatureCount:           {code: codes.InvalidArgument},
	reasonSignatureInvalid:         {code: codes.InvalidArgument},
	reasonKeyUnsupported:           {code: codes.InvalidArgument},
	reasonPredicateTypeUnsupported: {code: codes.InvalidArgument},
	reasonBatchInvalid:             {code: codes.InvalidArgument},
	reasonVerificationInput:        {code: codes.InvalidArgument},
	reasonPolicyInvalid:            {code: codes.InvalidArgument},
	reasonCertificateInvalid:       {code: codes.InvalidArgument},
	reasonBundleInvalid:            {code: codes.InvalidArgument},
	reasonTokenMalformed:           {code: codes.InvalidArgument},
	reasonPossessionUnproven:       {code: codes.InvalidArgument},

	reasonKeyUnknown:                  {code: codes.PermissionDenied},
	reasonKeyNotValid:                 {code: codes.PermissionDenied},
	reasonProductNotPermitted:         {code: codes.PermissionDenied},
	reasonDeclarantMismatch:           {code: codes.PermissionDenied},
	reasonCredentialsRequired:         {code: codes.Unauthenticated},
	reasonCredentialsInvalid:          {code: codes.Unauthenticated},
	reasonMethodNotPermitted:          {code: codes.PermissionDenied},
	reasonSigningNotConfigured:        {code: codes.FailedPrecondition},
	reasonVerdictSigningNotConfigured: {code: codes.FailedPrecondition},
	reasonLogWritesNotConfigured:      {code: codes.FailedPrecondition},
	reasonSigningConfigNotConfigured:  {code: codes.FailedPrecondition},
	reasonIdentityUnknown:             {code: codes.PermissionDenied},
	reasonIdentityNotValid:            {code: codes.PermissionDenied},
	reasonCertificateNotValid:         {code: codes.PermissionDenied},
	reasonLogNotInUse:                 {code: codes.FailedPrecondition},

	reasonIndexNotConfigured: {code: codes.FailedPrecondition},
	reasonListingTooLarge:    {code: codes.FailedPrecondition},

	reasonCertificatesNotConfigured: {code: codes.FailedPrecondition},
	reasonTokenIssuerUnknown:        {code: codes.Unauthenticated},
	reasonTokenSignature:            {code: codes.Unauthenticated},
	reasonTokenTime:                 {code: codes.Unauthenticated},
	reasonTokenAudience:             {code: codes.Unauthenticated},
	reasonTokenIdentity:             {code: codes.PermissionDenied},

	reasonTargetNotFound: {code: codes.FailedPrecondition},
	reasonTargetNotYours: {code: codes.PermissionDenied},
	reasonRoleRequired:   {code: codes.PermissionDenied},

	reasonStatementNotFound: {code: codes.NotFound},
	reasonVendorNotFound:    {code: codes.NotFound},
	reasonLogRange:          {code: codes.OutOfRange},
	reasonRouteUnknown:      {code: codes.NotFound},

	reasonRateLimited:     {code: codes.ResourceExhausted, retry: time.Second},
	reasonOverloaded:      {code: codes.ResourceExhausted, retry: time.Second},
	reasonMessageTooLarge: {code: codes.ResourceExhausted},
	reasonStorageFull:     {code: codes.ResourceExhausted, retry: time.Minute},
	reasonTargetLimit:     {code: codes.ResourceExhausted},

	reasonLogUnavailable:       {code: codes.Unavailable, retry: 2 * time.Second},
	reasonLogHalted:            {code: codes.Unavailable},
	reasonStoreUnavailable:     {code: codes.Unavailable, retry: 2 * time.Second},
	reasonTimestampUnavailable: {code: codes.Unavailable, retry: 5 * time.Second},
	reasonShuttingDown:         {code: codes.Unavailable, retry: 2 * time.Second},
	reasonSignerUnavailable:    {code: codes.Unavailable, retry: 5 * time.Second},
	reasonIssuerUnavailable:    {code: codes.Unavailable, retry: 5 * time.Second},
	reasonAuthorityExpired:     {code: codes.Unavailable},
	reasonIndexUnavailable:     {code: codes.Unavailable, retry: time.Second},
	reasonIndexHalted:          {code: codes.Unavailable},

	reasonDeadlineExceeded: {code: codes.DeadlineExceeded, retry: time.Second},
	reasonCancelled:        {code: codes.Canceled},
	reasonSelfCheckFailed:  {code: codes.Internal},
	reasonInternal:         {code: codes.Internal},
}

// refusal is the service's own error: what is sent (reason, message, violations) and what is only logged (cause).
type refusal struct {
	reason     avowv1.ErrorReason
	message    string
	violations []*errdetails.BadRequest_FieldViolation
	// retry replaces the reason's delay if it is not 0.
	retry time.Duration
	cause error
}

// Error returns reason, message and cause: for the log.
func (r *refusal) Error() string {
	s := reasonName(r.reason) + ": " + r.message
	if r.cause != nil {
		s += ": " + r.cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (r *refusal) Unwrap() error { return r.cause }

// refuse makes a refusal without a cause.
func refuse(reason avowv1.ErrorReason, format string, args ...any) *refusal {
	return &refusal{reason: reason, message: fmt.Sprintf(format, args...)}
}

// invalidField refuses a request because of one of its fields.
func invalidField(field, format string, args ...any) *refusal {
	text := fmt.Sprintf(format, args...)
	return &refusal{
		reason:  reasonRequestInvalid,
		message: field + ": " + text,
		violations: []*errdetails.BadRequest_FieldViolation{{
			Field: field, Description: text, Reason: reasonName(reasonRequestInvalid),
		}},
	}
}

// reasonName is the reason as ErrorInfo carries it.
func reasonName(r avowv1.ErrorReason) string { return strings.TrimPrefix(r.String(), reasonPrefix) }

// toRefusal classifies any error of the packages below. It is the only place that does; what it does not know is
// INTERNAL.
func toRefusal(err error) *refusal {
	var own *refusal
	var envelope *attest.Error
	var rules *predicate.RulesError
	var log *tlog.Error
	var store *statements.Error
	var token *identity.Error
	var certificate *certauthority.Error
	var complete *index.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &complete): // before what may be its cause: a log or store that the index cannot read is not the caller's
		return indexRefusal(complete)
	case errors.As(err, &rules):
		return rulesRefusal("", rules.Findings)
	case errors.As(err, &envelope):
		return envelopeRefusal(envelope)
	case errors.As(err, &log):
		return logRefusal(log)
	case errors.As(err, &store):
		return storeRefusal(store)
	case errors.As(err, &token):
		return tokenRefusal(token)
	case errors.As(err, &certificate):
		return certificateRefusal(certificate)
	case errors.Is(err, verify.ErrInput), errors.Is(err, verify.ErrTrust):
		return &refusal{reason: reasonVerificationInput, message: err.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return &refusal{reason: reasonDeadlineExceeded, cause: err,
			message: "the deadline of the call passed; an issue call can be repeated and continues where it stopped"}
	case errors.Is(err, context.Canceled):
		return &refusal{reason: reasonCancelled, message: "the call was cancelled", cause: err}
	}
	return &refusal{reason: reasonInternal, message: "internal error", cause: err}
}

// envelopeReasons are the codes of package attest that are the caller's business; the others are defects of the
// service.
var envelopeReasons = map[attest.Code]avowv1.ErrorReason{
	attest.CodeEnvelopeTooLarge:  reasonEnvelopeTooLarge,
	attest.CodeEnvelopeMalformed: reasonEnvelopeMalformed,
	attest.CodePayloadType:       reasonPayloadType,
	attest.CodeSignatureCount:    reasonSignatureCount,
	attest.CodeSignatureInvalid:  reasonSignatureInvalid,
	attest.CodeKeyUnsupported:    reasonKeyUnsupported,
	attest.CodeCertificate:       reasonCertificateInvalid,
}

func envelopeRefusal(err *attest.Error) *refusal {
	reason, ok := envelopeReasons[err.Code]
	if !ok {
		return &refusal{reason: reasonInternal, message: "internal error", cause: err}
	}
	message := err.Detail
	if err.Hint != "" {
		message += "; " + err.Hint
	}
	return &refusal{reason: reason, message: message, cause: err.Err}
}

// logReasons are the codes of the log that a caller can meet in normal operation or by an operator's fault.
var logReasons = map[tlog.Code]avowv1.ErrorReason{
	tlog.CodeUnavailable:   reasonLogUnavailable,
	tlog.CodeClosed:        reasonShuttingDown,
	tlog.CodeDiskFull:      reasonStorageFull,
	tlog.CodeOutOfRange:    reasonLogRange,
	tlog.CodeRollback:      reasonLogHalted,
	tlog.CodeCorrupt:       reasonLogHalted,
	tlog.CodeLocked:        reasonLogHalted,
	tlog.CodeNotFound:      reasonLogHalted,
	tlog.CodeAnchorMissing: reasonLogHalted,
	tlog.CodeAnchorInvalid: reasonLogHalted,
}

func logRefusal(err *tlog.Error) *refusal {
	reason, ok := logReasons[err.Code]
	if !ok {
		return &refusal{reason: reasonInternal, message: "internal error", cause: err}
	}
	message := map[avowv1.ErrorReason]string{
		reasonLogUnavailable: "the log cannot answer now; repeat the call, it continues where it stopped",
		reasonShuttingDown:   "the service is stopping; repeat the call",
		reasonStorageFull:    "the log's disk is full; reads go on",
		reasonLogHalted:      "the log has stopped; an operator must act",
		reasonLogRange:       err.Message,
	}[reason]
	return &refusal{reason: reason, message: message, cause: err}
}

// storeReasons are the codes of the statement store.
var storeReasons = map[string]avowv1.ErrorReason{
	statements.NotFound:    reasonStatementNotFound,
	statements.Invalid:     reasonRequestInvalid,
	statements.Full:        reasonStorageFull,
	statements.ReadOnly:    reasonStoreUnavailable,
	statements.Locked:      reasonStoreUnavailable,
	statements.Unavailable: reasonStoreUnavailable,
	statements.Closed:      reasonShuttingDown,
}

func storeRefusal(err *statements.Error) *refusal {
	return coded(storeReasons, err.Code, err.Message, err, err.Err)
}

// coded is the refusal for an error of another package, whose message is shown if its code is among the reasons; any other is
// the operator's business, as a whole.
func coded(reasons map[string]avowv1.ErrorReason, code, message string, err, cause error) *refusal {
	reason, ok := reasons[code]
	if !ok {
		return &refusal{reason: reasonInternal, message: "internal error", cause: err}
	}
	return &refusal{reason: reason, message: message, cause: cause}
}

// rulesRefusal lists the findings that forbid issuance. The prefix names the member of a batch.
func rulesRefusal(prefix string, findings predicate.Findings) *refusal {
	r := &refusal{reason: reasonStatementInvalid}
	for _, f := range findings {
		r.violations = append(r.violations, &errdetails.BadRequest_FieldViolation{
			Field: prefix + f.Pointer, Reason: f.Code, Description: clip(describe(f), maxViolationText),
		})
	}
	r.message = fmt.Sprintf("the statement breaks %d issuance rules (%s)",
		len(findings), strings.Join(findings.Codes(), ", "))
	return r
}

func describe(f predicate.Finding) string {
	s := f.Message
	if f.Found != "" {
		s += " (found " + f.Found + ")"
	}
	if f.Hint != "" {
		s += "; " + f.Hint
	}
	return s
}

// clip shortens s to n bytes at the boundary of a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// toStatus makes the google.rpc.Status that the caller receives. Causes stay behind.
func toStatus(r *refusal) *status.Status {
	o, ok := outcomes[r.reason]
	if !ok {
		o = outcome{code: codes.Internal}
	}
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: reasonName(r.reason), Domain: ErrorDomain}}
	if len(r.violations) > 0 {
		details = append(details, &errdetails.BadRequest{FieldViolations: fitViolations(r.violations)})
	}
	if delay := orElse(r.retry, o.retry); delay > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(delay)})
	}
	st := status.New(o.code, clip(r.message, 1<<10))
	full, err := st.WithDetails(details...)
	if err != nil {
		return st
	}
	return full
}

// fitViolations keeps the violations that fit into a trailer and says how many more there are.
func fitViolations(all []*errdetails.BadRequest_FieldViolation) []*errdetails.BadRequest_FieldViolation {
	size := 0
	for i, v := range all {
		size += len(v.GetField()) + len(v.GetDescription()) + len(v.GetReason()) + 16
		if size > maxDetailBytes {
			return append(all[:i:i], &errdetails.BadRequest_FieldViolation{
				Reason:      "MORE",
				Description: fmt.Sprintf("%d more findings are left out; `avow lint` lists all of them", len(all)-i),
			})
		}
	}
	return all
}

// LogValue shows the cause as well.
func (r *refusal) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("reason", reasonName(r.reason)), slog.String("message", clip(r.message, 1<<10))}
	if r.cause != nil {
		attrs = append(attrs, slog.Any("cause", r.cause))
	}
	return slog.GroupValue(attrs...)
}
