// Package seen remembers the checkpoints of logs that this client was shown, and finds out a log that does not continue them.
//
// # Purpose
//
// A log that shows different people different trees is found out by witnesses, by monitors, and by every client that remembers: whoever
// was shown one tree is never shown a smaller one, another one of the same size, or a larger one that does not contain it, without
// noticing. Both logs of a service are remembered: the statements, and the index that says what was said about them.
//
// # Trust
//
// The logs' keys are the caller's, and tell one log from another. The file is the user's own; a checkpoint in it that does not verify is
// damage, and is refused, not passed over. What a service answers is compared, never believed.
//
// # Contract
//
// [Open] reads the file; [Memory.See] compares a checkpoint with all that are remembered of its log; [Memory.Save] keeps what was
// seen, together with what other processes saw meanwhile. A checkpoint that comes with no way to ask for a proof, as in a status file, is
// remembered beside the others, and has to be continued, too, when the log is asked next. What is caught is a
// [follow.Caught] with its evidence. Open the memory before asking: an answer is then compared with what was known when it was asked
// for, and not with what another process was told since.
//
// The package opens no socket and reads no clock.
package seen
