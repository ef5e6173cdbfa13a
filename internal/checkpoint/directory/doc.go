// Package directory keeps states in a directory that every worker and dispatcher
// of a fleet sees: a local one on one machine, a network file system otherwise.
//
// It is not a cache and has no index: a state is a file, its name a path. A file
// is written beside its name, made durable and then renamed, so that a name holds
// a whole state or none; what a crash leaves beside is found by [Store.List] and
// swept like any other.
//
// # When things fail
//
// Every error but a missing file means that the store is away. A call on a network
// file system that hangs cannot be cancelled by anybody: it is left behind, and
// its caller goes on when its context ends.
package directory
