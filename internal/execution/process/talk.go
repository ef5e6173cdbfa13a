package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/job"
)

const (
	// queued is how many messages wait for the runtime; what comes then waits in
	// the pipe, but for events, which are dropped and counted.
	queued = 64
	// maxBad is how many lines that are not protocol end a job.
	maxBad = 3
	// maxPermits bounds how often one grant is reserved again because the machine
	// took longer than a permit is good for.
	maxPermits = 8
)

// errProtocol ends a job whose program cannot speak.
var errProtocol = errors.New("the program does not speak " + Protocol)

// talk is the conversation with one program. What it learns it keeps for the
// verdict; what needs the ladder it says on over.
type talk struct {
	work  job.Work
	rt    job.Runtime
	mouth *mouth
	room  *room
	log   *zap.Logger
	limit int64 // bytes of a state

	over  chan ending // holds at most one
	hello chan struct{}

	// Of answer alone: the calls that are paid for and not settled; and whether
	// the runtime has failed since the job was stopped, when each further try
	// would only keep the slot.
	granted map[string]bool
	mute    bool

	mu      sync.Mutex
	dropped int // events
	bad     int // lines
	heard   heard
}

// heard is what a program said for the verdict.
type heard struct {
	result job.Result
	fail   *said     // its own error
	park   *job.Park // it needs input, or money
	fault  error     // what it did wrong, or what it ran into
}

// ending is why a program should end now.
type ending struct {
	cause  string // for its cancel
	linger bool   // it means to end by itself
}

func (t *talk) learn(f func(*heard)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.heard)
}

// end asks for the ladder; the first to ask is heard.
func (t *talk) end(e ending) {
	select {
	case t.over <- e:
	default:
	}
}

// fail gives up on the program for what it did or ran into.
func (t *talk) fail(cause string, err error) {
	t.learn(func(h *heard) {
		if h.fault == nil {
			h.fault = err
		}
	})
	t.end(ending{cause: cause})
}

// listen reads lines until the pipe ends, and hands the messages on.
func (t *talk) listen(end pipeEnd, out chan<- said) {
	defer close(out)
	lines := bufio.NewReaderSize(end, 64<<10)
	for {
		text, err := line(lines, MaxLine)
		if err != nil && !errors.Is(err, errTooLong) {
			return
		}
		if len(text) == 0 && err == nil {
			continue
		}
		var m said
		if err == nil {
			m, err = read(text)
		}
		if err != nil {
			t.badLine(err, len(text))
			continue
		}
		t.rt.Progress()
		t.enqueue(m, out)
	}
}

func (t *talk) enqueue(m said, out chan<- said) {
	if m.Msg != "event" {
		out <- m
		return
	}
	select {
	case out <- m:
	default:
		t.mu.Lock()
		t.dropped++
		t.mu.Unlock()
	}
}

func (t *talk) badLine(err error, size int) {
	t.mu.Lock()
	t.bad++
	n := t.bad
	t.mu.Unlock()
	t.log.Warn("bad line on the program's stdout", zap.Int("bad", n), zap.Int("bytes", size), zap.Error(err))
	if n == maxBad {
		t.fail("protocol", fmt.Errorf("%w: %d bad lines, the last: %w", errProtocol, n, err))
	}
}

// answer deals with the messages in order, until there are no more.
func (t *talk) answer(ctx context.Context, in <-chan said) {
	greeted := false
	for m := range in {
		switch {
		case !greeted && m.Msg == "hello":
			greeted = true
			t.start(m)
		case !greeted && m.Msg != "":
			t.badLine(fmt.Errorf("%s before hello", m.Msg), 0)
		default:
			t.message(ctx, m)
		}
	}
}

// message deals with one; those it does not know are ignored.
func (t *talk) message(ctx context.Context, m said) {
	switch m.Msg {
	case "event":
		t.event(ctx, m)
	case "reserve":
		t.reserve(ctx, m)
	case "usage":
		t.usage(ctx, m)
	case "checkpoint":
		t.checkpoint(ctx, m)
	case "need_input":
		t.learn(func(h *heard) {
			h.park = &job.Park{Reason: "input", Questions: m.Questions, Detail: "the program asks"}
		})
		t.end(ending{cause: "input"})
	case "result":
		t.learn(func(h *heard) { h.result = job.Result(m.Data) })
		t.end(ending{cause: "linger", linger: true})
	case "error":
		t.learn(func(h *heard) { h.fail = &m })
		t.end(ending{cause: "linger", linger: true})
	}
}

func (t *talk) tell(line any) {
	data, err := encode(line)
	if err == nil {
		err = t.mouth.say(data, nil)
	}
	t.unheard(err)
}

// unheard deals with a line that was not taken. One that exits hears nothing,
// and its exit says more; one that does not read will not hear of a grant either.
func (t *talk) unheard(err error) {
	switch {
	case errors.Is(err, errStalled):
		t.fail("stalled", fmt.Errorf("%w: %w", job.ErrRetryable, err))
	case err != nil && !errors.Is(err, errHushed):
		t.log.Info("program not told", zap.Error(err))
	}
}

func (t *talk) start(m said) {
	if m.Protocol != Protocol {
		t.fail("protocol", fmt.Errorf("%w: it said hello with %q", errProtocol, m.Protocol))
		return
	}
	close(t.hello)
	line, err := t.startLine()
	if err != nil {
		t.fail("error", err)
		return
	}
	t.tell(line)
	if len(t.work.Answers) > 0 {
		t.tell(answersLine{"input", t.work.Answers})
	}
}

func (t *talk) startLine() (startLine, error) {
	w := t.work
	line := startLine{
		Msg: "start", Job: w.ID.String(), Owner: w.Owner, Kind: w.Kind, Labels: w.Labels, Attempt: w.Attempt,
		Budget: money{w.Budget, w.Spent}, Dir: t.room.path, Input: w.Input, Tells: job.Transcribes(w.Input),
	}
	if !w.Deadline.IsZero() {
		line.Deadline = w.Deadline.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	if len(w.Input) > maxInput {
		line.Input, line.InputFile = nil, "input"
		if err := t.room.write(line.InputFile, w.Input); err != nil {
			return line, fmt.Errorf("%w: %w", job.ErrRetryable, err)
		}
	}
	if w.Checkpoint == nil {
		return line, nil
	}
	var err error
	line.Last, err = t.room.unpack(*w.Checkpoint)
	return line, err
}

func (t *talk) event(ctx context.Context, m said) {
	e := job.Event{Type: m.Type, Audience: m.Audience, Data: m.Data}
	if len(e.Data) == 0 {
		e.Data = []byte("{}")
	}
	if t.mute {
		return
	}
	err := t.rt.Event(ctx, e)
	t.mute = err != nil && ctx.Err() != nil
	t.mu.Lock()
	lost := t.dropped
	t.dropped = 0
	t.mu.Unlock()
	if err == nil && lost > 0 {
		t.log.Warn("events dropped: the program writes them faster than they are kept", zap.Int("events", lost))
		err = t.rt.Event(ctx, job.Event{Type: "events.dropped", Data: fmt.Appendf(nil, `{"events":%d}`, lost)})
	}
	if err != nil {
		t.log.Info("event not kept", zap.String("type", m.Type), zap.Error(err))
	}
}

func (t *talk) checkpoint(ctx context.Context, m said) {
	if m.Safe != nil && !*m.Safe {
		t.tell(ackLine{"checkpoint_ack", m.Seq, false})
		return
	}
	if t.mute {
		return
	}
	c, err := t.room.pack(m, t.limit)
	if err == nil {
		err = t.rt.Checkpoint(ctx, c)
		t.mute = err != nil && ctx.Err() != nil
	}
	switch {
	case err == nil:
		t.tell(ackLine{"checkpoint_ack", m.Seq, true})
	case errors.Is(err, job.ErrUnavailable):
		t.fail("error", fmt.Errorf("%w: take checkpoint %d: %w", job.ErrRetryable, m.Seq, err))
	default:
		t.fail("error", fmt.Errorf("take checkpoint %d: %w", m.Seq, err))
	}
}
