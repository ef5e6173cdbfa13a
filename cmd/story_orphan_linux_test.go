package cmd_test

import "syscall"

// diesWithStory has the kernel kill a process whose story was killed.
func diesWithStory() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
