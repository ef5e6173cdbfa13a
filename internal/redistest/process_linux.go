package redistest

import "syscall"

// diesWithTests has the kernel kill the child when the thread that started it
// ends, however the tests end.
func diesWithTests() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
