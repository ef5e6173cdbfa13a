//go:build !unix

package show

import "os"

// columns is 0: nothing is cut or coloured where the width cannot be asked for.
func columns(*os.File) int { return 0 }

// IsTerminal reports whether a person sits at the file.
func IsTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
