//go:build unix

package show

import (
	"os"

	"golang.org/x/sys/unix"
)

// columns is the width of a terminal, 0 if the file is none.
func columns(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	if size.Col == 0 {
		return 80
	}
	return int(size.Col)
}

// IsTerminal reports whether a person sits at the file.
func IsTerminal(f *os.File) bool { return columns(f) > 0 }
