// Package beat watches the logical clock of leases.
//
// A partition's beat grows with every renewal and every sample. A lease is
// scored by the beat of its last renewal. A sampler takes one sample every H,
// and notes on its own monotonic clock when each reply arrived. T after a
// sample with beat b arrived, every lease scored below b has stood still for at
// least T, by the sampler's own clock: no clock of Redis, and no clock of the
// lease's holder, has any part in it.
//
// # When things fail
//
// An error, another server process (run_id), a nonce that is gone, a beat that
// did not grow, or a gap of more than 2H drops every sample, so that nobody is
// robbed after a restart, a hang, a restore or a failover. Dropping costs T.
//
// It moves no job: lease reclaims, control fences.
//
// # Files
//
//	timing.go     H, S and T and what they must obey
//	stillness.go  the samples, pure
//	redis.go      the sampler
package beat
