package tlog_test

import "os"

func processID() int { return os.Getpid() }
