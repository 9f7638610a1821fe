// Package tlog is the transparency log: opaque leaves in; index, checkpoint and proof out.
package tlog
