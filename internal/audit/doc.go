// Package audit is the log of control acts, allowed and denied, and the proof
// that nothing was taken out of it.
//
// An entry is written by the script of the act itself, numbered without gaps in
// its partition, so that there is no act without an entry and no entry without
// an act. This room writes only what was denied at the door, before any script,
// and reads all of it. A [Sealer] chains the entries, signs the end of the chain
// and sends both out of Redis; [Verify] holds what is left against that.
//
// It is append-only: nothing here changes or removes an entry, and no worker
// may write one. It does not decide who may do what, and it keeps nothing from
// an administrator of Redis: it makes what they change visible to those who hold
// an export.
//
// # The chain
//
//	hash 0 = SHA-256(genesis, fleet, partition)
//	hash n = SHA-256(entry, hash n-1, partition, n, stream id, fields by name)
//	head   = Ed25519(fleet, partition, n, stream id, hash n, when, key)
//
// Each text stands behind its length and each number has eight bytes, so that
// no two entries are the same bytes. A head stands for all entries before it.
//
// # A batch
//
//	elect ─▶ read behind the head ─▶ chain, sign ─▶ export ─▶ seal
//	  ▲                                                        │
//	  └────────────────── until nothing is new ────────────────┘
//
// One sealer at a time is elected for each partition, by a turn that it moves
// and that others watch on their own clocks. Correctness does not hang on it:
// the same entries always have the same hashes, seal is compare-and-set, and an
// export may repeat itself.
//
// # Invariants
//
// What Redis calls sealed has been exported. Two sealers never export different
// entries under one number. The memory of sealing, copying and verifying does
// not grow with the log.
//
// # When things fail
//
// A denial that cannot be written is [job.ErrUnavailable]; the door refuses the
// act all the same and logs that its entry is missing. A sealer that cannot
// export leaves the turn to others and tries again; it logs each failure once,
// and its end. A log with a gap is sealed on, gap and all: to damage the log must
// not stop it from leaving Redis. Redis that lost its last entries writes new
// ones under the same numbers; an export then shows two of them, and [Verify]
// says so.
//
// # Files
//
//	redis.go    denials, reading, the turn and the seal
//	cursor.go   a position in several partitions
//	chain.go    the canonical encoding, one link
//	head.go     signed heads
//	key.go      keys in files
//	sealer.go   chain, sign, export, record
//	export.go   where the sealed log goes
//	line.go     the format of an export
//	source.go   copies of the log: a fleet's, exported ones
//	verify.go   entries held to numbering, chain and each other
//	tail.go     heads, and where a log ends
//	verdict.go  what is wrong, and what was verified
//	follow.go   copying and following a fleet's log
//	lua/        the entry of a denial, the turn, the seal
package audit
