//go:build !linux

package redistest

import "syscall"

// diesWithTests can promise nothing here: a child outlives tests that are
// killed, and has to be ended by hand.
func diesWithTests() *syscall.SysProcAttr { return nil }
