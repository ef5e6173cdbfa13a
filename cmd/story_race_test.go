//go:build race

package cmd_test

// raced: the tests look for races, so the binaries do too. It is what the tests
// have compiled already.
const raced = true
