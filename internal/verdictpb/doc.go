// Package verdictpb renders a verdict of package verify as the Verdict message of the API.
//
// The Verify RPC answers that message and `avow verify --format json` prints it. Both must say the same about the
// same input, so there is one conversion, here: verify may not import the API, the API holds generated code only, and
// the client links no server code.
//
// Trust: the conversion judges nothing and drops nothing. A status or an outcome that it does not know becomes the
// value that readers must treat as failed or rejected (the UNSPECIFIED values), never a pass.
//
// The message is proto/avow/v1/verdict.proto; the meaning of each check is documented at verify.CheckID.
package verdictpb
