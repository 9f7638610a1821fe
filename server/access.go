package server

import (
	fulciopb "github.com/sigstore/fulcio/pkg/generated/protobuf"
	rekorpb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	grpchealth "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
)

// access says who may call a method.
type access int

const (
	// accessDenied is the zero value: a method without a rule.
	accessDenied access = iota
	// accessAnyone: with or without credentials. Credentials that come are checked and must be good.
	accessAnyone
	// accessProbe: as accessAnyone, and outside of all limits, so that an overloaded service is not taken for a dead
	// one. Credentials are not looked at.
	accessProbe
)

// rule is what the interceptors need to know about a method.
type rule struct {
	access access
	// cost is what a call takes from the caller's rate; of a stream, each message.
	cost int
}

// maxCost is the cost of the dearest call.
const maxCost = 8

// rules has one entry for each method that the service answers, by the full name of the resolved handler, never by a
// path of the request. A test compares it with the service descriptors, so that a new method without a rule is found;
// at run time it is refused. Issue needs no credentials because a signed envelope is one; the part of it that signs
// on the caller's behalf asks for them itself.
var rules = map[string]rule{
	avowv1.AttestationService_Issue_FullMethodName:          {access: accessAnyone, cost: 2},
	avowv1.AttestationService_IssueBatch_FullMethodName:     {access: accessAnyone, cost: maxCost},
	avowv1.AttestationService_GetStatement_FullMethodName:   {access: accessAnyone, cost: 1},
	avowv1.AttestationService_ListStatements_FullMethodName: {access: accessAnyone, cost: 1},

	avowv1.VerificationService_Verify_FullMethodName:      {access: accessAnyone, cost: 4},
	avowv1.VerificationService_BatchVerify_FullMethodName: {access: accessAnyone, cost: 4},

	// The questions of a batch after the first, and what was said about a statement, cost 1 each beside: see charge.
	avowv1.StandingService_GetStanding_FullMethodName:      {access: accessAnyone, cost: 1},
	avowv1.StandingService_BatchGetStanding_FullMethodName: {access: accessAnyone, cost: 1},
	avowv1.StandingService_Watch_FullMethodName:            {access: accessAnyone, cost: 1},

	avowv1.LogService_GetCheckpoint_FullMethodName:       {access: accessAnyone, cost: 1},
	avowv1.LogService_GetInclusionProof_FullMethodName:   {access: accessAnyone, cost: 1},
	avowv1.LogService_GetConsistencyProof_FullMethodName: {access: accessAnyone, cost: 1},

	avowv1.TrustService_GetTrustedRoot_FullMethodName:   {access: accessAnyone, cost: 1},
	avowv1.TrustService_GetSigningConfig_FullMethodName: {access: accessAnyone, cost: 1},
	avowv1.TrustService_ListVendors_FullMethodName:      {access: accessAnyone, cost: 1},
	avowv1.TrustService_GetVendor_FullMethodName:        {access: accessAnyone, cost: 1},

	// The signature of an entry is its credential, as with Issue, unless RekorConfig asks for more.
	rekorpb.Rekor_CreateEntry_FullMethodName:    {access: accessAnyone, cost: 2},
	rekorpb.Rekor_GetTile_FullMethodName:        {access: accessAnyone, cost: 1},
	rekorpb.Rekor_GetEntryBundle_FullMethodName: {access: accessAnyone, cost: 1},
	rekorpb.Rekor_GetCheckpoint_FullMethodName:  {access: accessAnyone, cost: 1},

	// The identity token is the credential.
	fulciopb.CA_CreateSigningCertificate_FullMethodName: {access: accessAnyone, cost: 4},
	fulciopb.CA_GetTrustBundle_FullMethodName:           {access: accessAnyone, cost: 1},
	fulciopb.CA_GetConfiguration_FullMethodName:         {access: accessAnyone, cost: 1},

	grpchealth.Health_Check_FullMethodName: {access: accessProbe},
	grpchealth.Health_List_FullMethodName:  {access: accessProbe},
	grpchealth.Health_Watch_FullMethodName: {access: accessProbe},

	reflectionv1.ServerReflection_ServerReflectionInfo_FullMethodName:      {access: accessAnyone, cost: 1},
	reflectionv1alpha.ServerReflection_ServerReflectionInfo_FullMethodName: {access: accessAnyone, cost: 1},
}
