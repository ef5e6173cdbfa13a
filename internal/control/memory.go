package control

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rtfm-si/gavel/internal/job"
)

// memory is what this process has seen of the gates, so that it notices when a
// gate no longer knows it: after a restore, a FLUSHALL, a failover that lost
// data. What it has seen it does not forget because Redis did.
type memory struct {
	mu   sync.Mutex
	in   map[int]*recall
	soon chan struct{}
}

// recall is the memory of one partition.
type recall struct {
	seen bool
	last sight
	lost *job.Loss
	// orders are those known to stand, oldest first; said says which of them the
	// gate of now was told again.
	orders []standingOrder
	known  map[job.ID]job.Scope
	said   map[job.ID]bool
	frozen bool // the gate as it was before it was lost; said again when it is
	pace   pace
	blocks []job.Block
	// late is what an adoption came before: it is told to the adopted gate too.
	late owed
}

// pace is the rate at which a gate was thawed, as the gate has it; the zero value
// for none.
type pace struct {
	rate, interval string
	until          time.Time // zero for until the next thaw
}

// paceSaid stands for the rate among the orders that a gate was told again; the
// freeze is the empty id.
const paceSaid = job.ID("rate")

// standingOrder is an order as its partition recorded it.
type standingOrder struct {
	order    job.Order
	who      []byte
	at, h    string
	selector string
}

// sight is a partition's gate as one look found it.
type sight struct {
	number, past            string
	acts                    uint64 // number of the last audit entry
	adopted                 uint64
	frozen                  bool
	reason, incident, actor string
	pace                    pace
	blocks                  []job.Block
}

// maxRemembered bounds what one partition's memory keeps.
const maxRemembered = 10_000

func newMemory() *memory {
	return &memory{in: map[int]*recall{}, soon: make(chan struct{}, 1)}
}

func (m *memory) of(p int) *recall {
	if m.in[p] == nil {
		m.in[p] = &recall{known: map[job.ID]job.Scope{}, said: map[job.ID]bool{}}
	}
	return m.in[p]
}

// head is the last head seen of a partition's gate, empty for none.
func (m *memory) head(p int) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of(p).last.number
}

// saw takes the head that the reply to an act of our own showed.
func (m *memory) saw(p int, head string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.of(p); head != "" && (serial(head) > serial(r.last.number) || r.lost != nil) {
		r.last.number = head
	}
}

// closed takes the head that an act of our own showed that closed the gate: it is
// to be said again even if the gate is lost before it was looked at.
func (m *memory) closed(p int, head, actor, reason, incident string) {
	m.saw(p, head)
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.of(p)
	r.frozen, r.last.frozen, r.last.actor, r.last.reason, r.last.incident = true, true, actor, reason, incident
	delete(r.said, "")
}

// remember keeps an order that was seen to stand.
func (m *memory) remember(p int, o standingOrder) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.of(p)
	if _, ok := r.known[o.order.ID]; ok {
		return
	}
	r.known[o.order.ID] = o.order.Scope
	r.orders = append(r.orders, o)
	if over := len(r.orders) - maxRemembered; over > 0 {
		for _, old := range r.orders[:over] {
			delete(r.known, old.order.ID)
		}
		r.orders = slices.Clone(r.orders[over:])
	}
}

func (m *memory) remembers(p int, id job.ID) bool {
	_, ok := m.scope(p, id)
	return ok
}

// scope is that of an order that is remembered of a partition.
func (m *memory) scope(p int, id job.ID) (s job.Scope, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok = m.of(p).known[id]
	return s, ok
}

// before is what a look has to find again: taken before the look is sent, for
// what is seen meanwhile it cannot show.
func (m *memory) before(p int) (head string, acts uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.of(p)
	return r.last.number, r.last.acts
}

// news is what a look changed.
type news int

const (
	nothingNew news = iota
	dataLost
	gateAdopted
)

// look takes what a look found. head and acts are what [memory.before] gave when
// it was sent.
func (m *memory) look(p int, head string, acts uint64, s sight, now time.Time) news {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.of(p)
	if !r.seen {
		r.seen, r.last.adopted = true, s.adopted
	}
	if s.adopted > r.last.adopted {
		was := r.lost != nil
		fresh := &recall{seen: true, known: map[job.ID]job.Scope{}, said: map[job.ID]bool{}}
		if !was && !s.knows(head, acts) {
			r.lost = &job.Loss{} // which nobody here had noticed yet
		}
		fresh.late = r.untold()
		fresh.take(s)
		m.in[p] = fresh
		if was {
			return gateAdopted
		}
		return nothingNew
	}
	if !s.knows(head, acts) {
		if r.lost == nil {
			r.lost = &job.Loss{Partition: p, Since: now}
		}
		r.lost.Seen, r.lost.Found = head, s.number
		r.said = map[job.ID]bool{}
		// What the gate was is still to be said to it; its head is followed, so
		// that a further loss is noticed too.
		r.last.number, r.last.past, r.last.acts = s.number, s.past, s.acts
		return dataLost
	}
	if r.lost != nil {
		r.last.number, r.last.past, r.last.acts = s.number, s.past, s.acts
		return nothingNew
	}
	if serial(s.number) >= serial(r.last.number) {
		r.take(s)
	}
	return nothingNew
}

func (r *recall) take(s sight) {
	s.acts = max(s.acts, r.last.acts)
	r.last, r.frozen, r.pace, r.blocks = s, s.frozen, s.pace, s.blocks
}

// owed is what a gate that lost data has to be told again.
type owed struct {
	orders []standingOrder
	blocks []job.Block
	freeze *sight
	pace   pace // zero for none
}

func (m *memory) owed(p int) (owed, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.of(p)
	o := r.untold()
	if r.lost == nil {
		r.late.orders, r.late.blocks = o.orders, o.blocks
		return r.late, len(o.orders)+len(o.blocks) > 0
	}
	if r.frozen && !r.said[""] {
		o.freeze = new(sight)
		*o.freeze = r.last
	}
	if !r.frozen && !r.said[paceSaid] {
		o.pace = r.pace
	}
	return o, true
}

// untold are the orders and blocks that the gate was not told again: all of them
// while it is lost, those that were late when it is not.
func (r *recall) untold() (o owed) {
	orders, blocks := r.late.orders, r.late.blocks
	if r.lost != nil {
		orders, blocks = slices.Concat(orders, r.orders), slices.Concat(blocks, r.blocks)
	}
	for _, s := range orders {
		if !r.said[s.order.ID] {
			o.orders = append(o.orders, s)
		}
	}
	for _, b := range blocks {
		if !r.said[b.ID] {
			o.blocks = append(o.blocks, b)
		}
	}
	return o
}

// told notes that the gate has an order again; the empty id is the freeze, and
// [paceSaid] the rate.
func (m *memory) told(p int, id job.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(p).said[id] = true
}

// losses lists the partitions whose gate no longer knows this process.
func (m *memory) losses() []job.Loss {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []job.Loss
	for _, r := range m.in {
		if r.lost != nil {
			out = append(out, *r.lost)
		}
	}
	slices.SortFunc(out, func(a, b job.Loss) int { return a.Partition - b.Partition })
	return out
}

// stamp is one that is above every adoption this process has seen.
func (m *memory) stamp(p int, now time.Time) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return max(uint64(max(now.UnixMicro(), 1)), m.of(p).last.adopted+1)
}

// lookSoon asks for a look at every gate without waiting for the next turn.
func (m *memory) lookSoon() {
	select {
	case m.soon <- struct{}{}:
	default:
	}
}

// knows reports whether a gate still knows of what was seen of it: the head is
// its own or among its past ones, and no control act has vanished from the
// audit. A head that is older than all that is kept is taken for known.
func (s sight) knows(head string, acts uint64) bool {
	if s.acts < acts {
		return false
	}
	if head == "" || s.number == head {
		return true
	}
	past := strings.Fields(s.past)
	if slices.Contains(past, head) {
		return true
	}
	const cut = 1000 // from here on the last one is cut short, see gate_head.lua
	if len(s.past) >= cut && len(past) > 1 {
		past = past[:len(past)-1]
		return serial(head) < serial(past[len(past)-1])
	}
	return false
}

// serial is the number of a head, "number.random"; -1 for no head.
func serial(head string) int64 {
	n, _, _ := strings.Cut(head, ".")
	v, err := strconv.ParseInt(n, 10, 64)
	if err != nil {
		return -1
	}
	return v
}
