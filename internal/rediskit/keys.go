package rediskit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Key is one row of the key table.
type Key struct {
	// Name is what scripts call it.
	Name string
	// Per says what is appended to the key: "" (one per partition), "job",
	// "owner", "order", "worker", "idem" or "bucket".
	Per string
	// Type is the Redis type.
	Type string
	// Writers are the processes that may write it: "dispatcher", "worker".
	Writers string
	// Ends says when the key goes away.
	Ends string
	// About is one line for people.
	About string
}

// Table is every key Gavel writes. The ACL files, the scripts' headers and
// ARCHITECTURE.md are held to it by tests.
func Table() []Key {
	const both = "dispatcher worker"
	return []Key{
		{"meta", "", "hash", both, "never", "schema, partitions, fleet, cursor key, whether there is a gate"},
		{"seq", "", "string", "dispatcher", "never", "last job number"},
		{"gate", "", "hash", "dispatcher", "never", "frozen or open, rules, number.random"},
		{"pace", "", "string", both, "with the thaw that follows", "when the next job may start, after a thaw at a rate"},
		{"road", "", "stream", both, "never", "queued jobs, one entry each"},
		{"wake", "", "list", both, "never", "tokens that wake idle workers, at most 64"},
		{"aside", "", "stream", both, "trimmed to 1,000", "entries that were no job, with the reason"},
		{"live", "", "zset", both, "never", "every job not over, by seq"},
		{"leases", "", "zset", both, "never", "running jobs, by the beat of their last renewal"},
		{"later", "", "zset", both, "never", "delayed jobs by due time, parked ones at +inf"},
		{"capped", "", "zset", both, "member leaves with the last held job", "owners with held jobs, by the turn they had last"},
		{"short", "", "zset", both, "member leaves when it comes back", "jobs parked by a window's cap or the breaker, by seq"},
		{"over", "", "zset", both, "never", "ended jobs by end, until forgotten"},
		{"index", "", "zset", "dispatcher", "never", "every job by seq, until forgotten"},
		{"alive", "", "hash", both, "never", "jobs neither over nor under an order, by state, and by state and owner"},
		{"beat", "", "string", both, "never", "the logical clock of leases"},
		{"reapers", "", "hash", both, "field leaves with its reaper", "a nonce and the last beat per beat sampler"},
		{"workers", "", "zset", both, "member leaves with its worker", "workers by the beat of their last renewal"},
		{"control", "", "stream", "dispatcher", "trimmed to 10,000", "hints of orders over many jobs"},
		{"orders", "", "zset", "dispatcher", "with retention", "orders by the time they were recorded"},
		{"open_orders", "", "set", "dispatcher", "member leaves when quiesced", "orders not yet quiesced"},
		{"audit", "", "stream", "dispatcher", "never", "who did what, append-only"},
		{"audit_n", "", "string", "dispatcher", "never", "number of the last audit entry"},
		{"keys", "", "hash", "dispatcher", "field leaves when it is revoked", "API keys by id, hashed, in the first partition"},
		{"keys_used", "", "hash", "dispatcher", "field leaves with its key", "when an API key was last used, to the minute"},
		{"seal", "", "hash", "dispatcher", "never", "how far the audit is chained and signed, and who does it"},

		{"money", "", "hash", "dispatcher", "never", "the money's clock, window and caps, the breaker"},
		{"caps", "", "hash", "dispatcher", "field leaves with its cap", "an owner's cap per window and of running jobs"},
		{"absent", "bucket", "string", "", "it is never there", "asked for on a cluster: whether the slot is moving"},
		{"holding", "", "hash", both, "field leaves at zero", "set aside for calls in flight, by owner and in all"},
		{"minute", "bucket", "hash", both, "2 h", "spent in a minute, by owner, kind, model, label, worker"},
		{"day", "bucket", "hash", both, "35 days", "spent in a day, the same"},
		{"window", "bucket", "hash", both, "3 windows", "spent in a window, by owner"},

		{"job", "job", "hash", both, "with retention", "the record"},
		{"events", "job", "stream", both, "with the record", "what happened, trimmed to 5,000"},
		{"checkpoints", "job", "hash", both, "with the record", "the last checkpoints by number"},
		{"transcript", "job", "stream", both, "with the record", "prompts, replies and usage, of jobs that asked for it"},
		{"calls", "job", "hash", both, "with the record", "booked calls"},
		{"reserved", "job", "hash", both, "with the claim", "calls reserved and not settled"},

		{"owned", "owner", "zset", "dispatcher", "with the last record", "an owner's jobs by seq"},
		{"held", "owner", "zset", both, "when empty", "jobs waiting behind the owner's cap"},

		{"order", "order", "hash", "dispatcher", "with retention; a lifted block 30 days after", "an order"},
		{"tally", "order", "hash", both, "with the order", "its verdicts"},

		{"worker", "worker", "hash", both, "with its worker", "a worker's row: host, version, slots"},
		{"hints", "worker", "stream", "dispatcher", "an hour after the last", "hints of orders over one job that this worker runs"},
		{"attempt", "worker", "string", both, "60 s", "the last grant, to answer its retry"},

		{"idem", "idem", "string", "dispatcher", "24 h", "idempotency key to job id and body digest; 1 h: what a kill was refused for"},
	}
}

// lookup finds a row by name.
func lookup(name string) (Key, bool) {
	t := Table()
	i := slices.IndexFunc(t, func(k Key) bool { return k.Name == name })
	if i < 0 {
		return Key{}, false
	}
	return t[i], true
}

// Place is where a key lives: the slot of a partition, and whose key it is.
// Only the fields that a script's keys need have to be set.
type Place struct {
	Slot                            Slot
	Job, Owner, Order, Worker, Idem string
	// Bucket is a stretch of the money's clock.
	Bucket string
}

// Slot is the key prefix of one partition, "{fleet:P}:".
type Slot string

// NewSlot returns the slot of partition p of a fleet. The fleet's name must
// have passed job.CheckName.
func NewSlot(fleet string, p int) Slot { return Slot(fmt.Sprintf("{%s:%d}:", fleet, p)) }

// Partition is the number of the slot's partition, -1 for what is no slot.
func (s Slot) Partition() int {
	_, number, _ := strings.Cut(strings.TrimSuffix(string(s), "}:"), ":")
	p, err := strconv.Atoi(number)
	if err != nil {
		return -1
	}
	return p
}

// Key returns a whole key, or an error for a name that is not in the table or
// whose owner (job, order, …) the place does not say.
func (pl Place) Key(name string) (string, error) {
	row, ok := lookup(name)
	if !ok {
		return "", fmt.Errorf("rediskit: no key %q in the table", name)
	}
	return pl.key(row)
}

func (pl Place) key(row Key) (string, error) {
	if row.Per == "" {
		return string(pl.Slot) + row.Name, nil
	}
	part := pl.part(row.Per)
	if part == "" {
		return "", fmt.Errorf("rediskit: key %q needs the %s it belongs to", row.Name, row.Per)
	}
	return string(pl.Slot) + row.Name + ":" + part, nil
}

func (pl Place) part(per string) string {
	switch per {
	case "job":
		return pl.Job
	case "owner":
		return pl.Owner
	case "order":
		return pl.Order
	case "worker":
		return pl.Worker
	case "idem":
		return pl.Idem
	case "bucket":
		return pl.Bucket
	default:
		return ""
	}
}

// Of returns the key of that name belonging to whom (a job, an owner, …), or of
// the partition itself when whom is empty.
func (s Slot) Of(name string, whom ...string) string {
	if len(whom) == 0 {
		return string(s) + name
	}
	return string(s) + name + ":" + strings.Join(whom, ":")
}

// Prefix is what a script appends an id to.
func (s Slot) Prefix(name string) string { return string(s) + name + ":" }
