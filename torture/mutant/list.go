package mutant

import (
	"slices"
	"time"
)

// Mutant is a build with one thing wrong.
type Mutant struct {
	Name string
	// File is patched: each text in Patch by the one behind it.
	File  string
	Patch []string
	// Caught are the checkers of which one has to see it.
	Caught []string
	// Faults are those that bring it to light.
	Faults []string
	// Slots is how many each worker has; 0 is the default.
	Slots int
	// Pace is how often each owner submits; 0 is the default. A slow one leaves
	// workers room to take at once what another has lost.
	Pace time.Duration
	// Losses says that its faults are of those that may lose something.
	Losses bool
}

// All are the mutants.
func All() []Mutant { return slices.Concat(fences(), orders(), gates(), books()) }

// fences are about who may still write.
func fences() []Mutant {
	return []Mutant{
		{
			Name: "finish-without-fence", File: "internal/lease/lua/finish.lua",
			Patch:  []string{"if not holds(r, A.worker, A.epoch) then", "if not r then"},
			Caught: []string{"moves"}, Faults: []string{"link-requests-late", "worker-paused-long"},
		},
		{
			Name: "claim-not-compared", File: "internal/rediskit/lua/record.lua",
			Patch:  []string{"return r and r.state == 'running' and r.worker == worker and r.epoch == epoch", "return r and r.state == 'running'"},
			Caught: []string{"checkpoints"}, Faults: []string{"writes-come-late"}, Pace: time.Second,
		},
		{
			Name: "checkpoint-without-fence", File: "internal/execution/lua/checkpoint.lua",
			Patch:  []string{"if not holds(r, A.worker, A.epoch) then", "if not r or A.worker == A.epoch then"},
			Caught: []string{"checkpoints"}, Faults: []string{"writes-come-late"}, Pace: time.Second,
		},
	}
}

// orders are about what stands over a job.
func orders() []Mutant {
	noOrder := []string{"local order = covering(r)", "local order = nil"}
	return []Mutant{
		{
			Name: "grant-ignores-orders", File: "internal/lease/lua/grant.lua", Patch: noOrder,
			Caught: []string{"killed"}, Faults: []string{"kill-storm", "dispatcher-killed-mid-kill", "worker-sigkill"}, Slots: 2,
		},
		{
			Name: "finish-ignores-orders", File: "internal/lease/lua/finish.lua", Patch: noOrder,
			Caught: []string{"killed"}, Faults: []string{"kill-storm", "control-stream-dead"},
		},
		{
			Name: "reclaim-ignores-orders", File: "internal/lease/lua/reclaim.lua", Patch: noOrder,
			Caught: []string{"moves", "receipts"}, Faults: []string{"worker-paused-under-kill", "worker-sigkill", "kill-storm"},
		},
		{
			Name: "reserve-ignores-orders", File: "internal/budget/lua/reserve.lua", Patch: noOrder,
			Caught: []string{"bound"}, Faults: []string{"only-money-passes"},
		},
		{
			Name: "permit-never-too-old", File: "internal/execution/permit.go",
			Patch:  []string{"if clock.Since(p.sent) > p.age {", "if clock.Since(p.sent) > p.age*1000 {"},
			Caught: []string{"bound"}, Faults: []string{"kill-over-slow-links"},
		},
		{
			Name: "trust-never-ends", File: "internal/lease/keeper.go",
			Patch: []string{
				"\t\tif clock.Since(h.since) >= k.timing.Trust {\n\t\t\th.end", "\t\tif clock.Since(h.since) >= k.timing.Trust*1000 {\n\t\t\th.end",
			},
			Caught: []string{"single"}, Faults: []string{"link-black-hole-over-calls"}, Pace: time.Second,
		},
		{
			Name: "kill-by-hint-only", File: "internal/control/lua/order.lua",
			Patch: []string{
				"'order', A.id, 'order_at', at, 'order_by', A.actor, 'order_reason', A.reason,\n    'spent_at_order'", "'spent_at_order'",
			},
			Caught: []string{"killed"}, Faults: []string{"control-stream-dead"},
		},
	}
}

// gates are about what is let in, and what is let go.
func gates() []Mutant {
	return []Mutant{
		{
			Name: "submit-ignores-freeze", File: "internal/stream/lua/submit.lua",
			Patch:  []string{"if gate().frozen then", "if gate().frozen and A.id == '' then"},
			Caught: []string{"freeze"}, Faults: []string{"kill-storm"},
		},
		{
			Name: "grant-ignores-freeze", File: "internal/lease/lua/grant.lua",
			Patch:  []string{"if gate().frozen then", "if gate().frozen and A.worker == '' then"},
			Caught: []string{"freeze"}, Faults: []string{"freeze-under-load"}, Slots: 2,
		},
		{
			Name: "gone-gate-is-an-open-one", File: "internal/rediskit/lua/gate.lua",
			Patch:  []string{"'gated') == '1'", "'gated') == 'never'"},
			Caught: []string{"receipts", "killed", "conservation"}, Faults: []string{"operator-deletes-gate", "kill-storm"}, Losses: true,
		},
		{
			Name: "submit-forgets-its-key", File: "internal/stream/lua/submit.lua",
			Patch:  []string{"if seen then", "if seen and A.id == '' then"},
			Caught: []string{"idempotency"}, Faults: []string{"submits-at-once", "dispatcher-reply-lost"},
		},
		{
			Name: "release-loses-the-job", File: "internal/lease/lua/release.lua",
			Patch:  []string{"to_road(A.id, t, 'last_end', claim_end(r, 'released'))", "redis.call('HSET', P.job .. A.id, 'state', 'queued')"},
			Caught: []string{"conservation"}, Faults: []string{"workers-rolling-restart"},
		},
		{
			Name: "drain-counts-an-attempt", File: "internal/lease/lua/release.lua",
			Patch:  []string{"to_road(A.id, t, 'last_end'", "redis.call('HINCRBY', P.job .. A.id, 'attempts', 1)\nto_road(A.id, t, 'last_end'"},
			Caught: []string{"claims"}, Faults: []string{"workers-rolling-restart"},
		},
	}
}

// books are about what is written down.
func books() []Mutant {
	return []Mutant{
		{
			Name: "settle-books-twice", File: "internal/budget/lua/settle.lua",
			Patch: []string{
				"if how ~= 'estimated' then return { 'settled' } end", "if how == '' then return { 'settled' } end",
				"owed, guess = owed - tonumber(was), guess - tonumber(was)", "owed, guess = owed - 0 * tonumber(was), guess - tonumber(was)",
			},
			Caught: []string{"money"}, Faults: []string{"worker-reply-lost"},
		},
		{
			Name: "audit-forgets-a-kill", File: "internal/control/lua/order.lua",
			Patch:  []string{"\n  allowed(first, A.id)", "\n  if first ~= 'waiting' then allowed(first, A.id) end"},
			Caught: []string{"audit"}, Faults: []string{"kill-storm"},
		},
		{
			Name: "receipt-off-by-one", File: "internal/control/lua/horizon.lua",
			Patch:  []string{"'targeted', total, 'covered_before'", "'targeted', total + 1, 'covered_before'"},
			Caught: []string{"receipts"}, Faults: []string{"kill-storm"},
		},
	}
}
