package keyref

import "io/fs"

// readableByOthers cannot say on Windows, where access is not in the mode.
func readableByOthers(fs.FileInfo) bool { return false }
