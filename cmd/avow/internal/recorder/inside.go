package recorder

// helperFailed is the exit code of a helper that could not say what went wrong.
const helperFailed = 2

// HelperFile is the descriptor on which the helper finds its caller.
const HelperFile = 3
