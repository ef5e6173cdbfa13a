// Package settings is what the binaries' flags and GAVEL_* environment have in
// common: one struct per subject, read by kong, checked whole.
//
// A variable that begins with GAVEL_ and that no binary knows is a mistake and
// refused: a typo must not silently run a fleet on defaults.
//
// # Files
//
//	settings.go  Redis, fleet, lease timing, logs
//	parse.go     flags and environment
//	connect.go   from settings to clients
//	checkpoints.go  where states are kept
//	private.go   the listener for operators
//	pair.go      certificates and secrets in files
//	process.go   signals and exit codes
package settings
