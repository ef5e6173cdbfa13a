// Package mutant is what torture must be able to fail: builds of the product in
// which one line is wrong. Each is made by laying a patched copy of a file over
// the tree for the compiler alone (go build -overlay); nothing of a mutant is in
// the product, and a patch that no longer fits is an error, so that the list
// stays true.
//
// # Files
//
//	list.go   the mutants, and the checker that has to catch each
//	build.go  building one
//	clock.go  building a worker whose clock can be moved
package mutant
