// Package clock measures how long ago something was, without trusting any one
// clock.
//
// Go's monotonic clock stands still while a machine is suspended; the boot-time
// clock does not; a wall clock may jump either way. Elapsed time is the largest
// of the monotonic difference, the boot-time difference and a forward wall
// difference: a lease or a permit may look older than it is, never younger.
// (A virtual machine that is paused from outside may hide from all three.)
//
// It is not a source of timestamps. What has to be done again and again is done
// by Every; how often decides about nothing.
//
// # Files
//
//	clock.go       Instant and Since
//	every.go       Every
//	boot_linux.go  CLOCK_BOOTTIME
//	boot_other.go  systems without it
package clock
