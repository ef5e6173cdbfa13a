// Package examples holds problems that a decision maker would recognise, as
// files to submit and, for the demo, inside the binary. See README.md for what
// may be in such a file.
package examples
