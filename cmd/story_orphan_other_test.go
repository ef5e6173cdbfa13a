//go:build !linux

package cmd_test

import "syscall"

// diesWithStory has nothing to ask of a kernel that cannot do it.
func diesWithStory() *syscall.SysProcAttr { return nil }
