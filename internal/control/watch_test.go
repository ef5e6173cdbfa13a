package control

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/job"
)

// tape is a line in memory that can be cut and can go back: both its streams.
type tape struct {
	mu      sync.Mutex
	entries []entry
	own     []entry
	broken  bool
	reads   int
}

type entry struct {
	ms   uint64
	hint job.Hint
}

func (t *tape) write(ms uint64, order string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entries = append(t.entries, entry{ms, job.Hint{Order: job.Order{ID: job.ID(order)}}})
}

// tell writes to the stream that is the worker's own.
func (t *tape) tell(ms uint64, order string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.own = append(t.own, entry{ms, job.Hint{Order: job.Order{ID: job.ID(order)}}})
}

func (t *tape) set(change func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change()
}

func (t *tape) Tip(context.Context, int) (at Cursor, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.broken {
		return at, job.ErrUnavailable
	}
	for i, entries := range [][]entry{t.entries, t.own} {
		at[i] = start
		if len(entries) > 0 {
			at[i] = fmt.Sprintf("%d-0", entries[len(entries)-1].ms)
		}
	}
	return at, nil
}

// Hints blocks for a second of its bubble's clock.
func (t *tape) Hints(_ context.Context, _ int, after Cursor) ([]job.Hint, Cursor, error) {
	for range 100 { // a second of blocking
		t.mu.Lock()
		t.reads++
		if t.broken {
			t.mu.Unlock()
			return nil, after, errors.New("cut")
		}
		var out []job.Hint
		for i, entries := range [][]entry{t.entries, t.own} {
			from, _ := splitID(after[i])
			for _, e := range entries {
				if e.ms > from {
					out = append(out, e.hint)
					after[i] = fmt.Sprintf("%d-0", e.ms)
				}
			}
		}
		t.mu.Unlock()
		if len(out) > 0 {
			return out, after, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, after, nil
}

// ear is what a watch delivered.
type ear struct {
	mu    sync.Mutex
	heard []string
	gaps  int
}

func (e *ear) hear(h job.Hint) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if h.Gap {
		e.gaps++
		return
	}
	e.heard = append(e.heard, string(h.Order.ID))
}

func (e *ear) all() ([]string, int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.heard...), e.gaps
}

func watching(t *testing.T, line *tape, test func(w *Watch, e *ear)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := NewWatch(line, []int{0}, zap.NewNop())
		ctx, stop := context.WithCancel(t.Context())
		var e ear
		var wg sync.WaitGroup
		wg.Go(func() { w.Run(ctx, e.hear) })
		time.Sleep(time.Second)
		test(w, &e)
		stop()
		wg.Wait()
	})
}

func TestAWatchBeginsAtTheTipAndAsksForARenewal(t *testing.T) {
	line := &tape{}
	line.write(1, "before")
	watching(t, line, func(_ *Watch, e *ear) {
		heard, gaps := e.all()
		require.Empty(t, heard, "what came before is in the records")
		require.Equal(t, 1, gaps, "and the first renewal tells")
	})
}

func TestACutLinkLosesNoHint(t *testing.T) {
	line := &tape{}
	watching(t, line, func(_ *Watch, e *ear) {
		line.write(10, "a")
		time.Sleep(time.Second)
		line.set(func() { line.broken = true })
		line.write(11, "b")
		line.write(12, "c")
		time.Sleep(3 * time.Second)
		line.set(func() { line.broken = false })
		time.Sleep(time.Second)
		heard, gaps := e.all()
		require.Equal(t, []string{"a", "b", "c"}, heard, "each once, in order: the cursor resumes")
		require.Equal(t, 2, gaps, "and the renewals are asked after the cut")
	})
}

func TestAWorkersOwnStreamIsHeardAndMayGoByItself(t *testing.T) {
	line := &tape{}
	watching(t, line, func(_ *Watch, e *ear) {
		line.tell(10, "mine")
		line.write(5, "all")
		time.Sleep(time.Second)
		line.set(func() { line.broken, line.own = true, nil }) // nothing for an hour, and the link is cut
		time.Sleep(time.Second)
		line.tell(7, "mine again") // by a server whose clock is behind
		line.set(func() { line.broken = false })
		time.Sleep(time.Second)
		line.tell(8, "and again")
		line.write(6, "all again")
		time.Sleep(time.Second)
		heard, gaps := e.all()
		require.Equal(t, []string{"all", "mine", "all again", "and again"}, heard, "each stream goes on at its own cursor")
		require.Equal(t, 2, gaps, "and the renewal catches what was said between")
	})
}

func TestAStreamThatWentBackIsReadFromItsTip(t *testing.T) {
	line := &tape{}
	watching(t, line, func(_ *Watch, e *ear) {
		line.write(1000, "a")
		time.Sleep(time.Second)
		line.set(func() { line.broken = true })
		time.Sleep(time.Second)
		line.set(func() { line.broken, line.entries = false, line.entries[:0] })
		line.write(500, "below the cursor") // a failover that lost data, on a server whose clock is behind
		time.Sleep(time.Second)
		line.write(501, "after")
		time.Sleep(time.Second)
		heard, gaps := e.all()
		require.Equal(t, []string{"a", "after"}, heard)
		require.Equal(t, 2, gaps, "the renewal catches the one that could not be heard")
	})
}

func TestAMarkRemembersWhatWasHeardSince(t *testing.T) {
	line := &tape{}
	watching(t, line, func(w *Watch, _ *ear) {
		early := w.Mark()
		line.write(10, "a")
		time.Sleep(time.Second)
		late := w.Mark()
		line.write(11, "b")
		time.Sleep(time.Second)
		ids := func(hs []job.Hint) (out []string) {
			for _, h := range hs {
				out = append(out, string(h.Order.ID))
			}
			return out
		}
		require.Equal(t, []string{"b"}, ids(w.Since(late)))
		require.Equal(t, []string{"a", "b"}, ids(w.Since(early)), "closing a later mark keeps what an earlier one needs")
		line.write(12, "c")
		time.Sleep(time.Second)
		require.Empty(t, w.heard, "without an open mark nothing is kept")
	})
}

func TestEntriesThatCannotBeReadAreGaps(t *testing.T) {
	for name, values := range map[string]map[string]any{
		"nothing":                   {},
		"no order":                  {"scope": "fleet", "h": "3"},
		"unknown scope":             {"order": "x", "scope": "galaxy", "h": "3"},
		"no horizon":                {"order": "x", "scope": "fleet"},
		"horizon is no number":      {"order": "x", "scope": "owner", "owner": "ann", "h": "many"},
		"a job scope without a job": {"order": "x", "scope": "job"},
	} {
		require.True(t, hintFrom(0, values).Gap, name)
	}
	h := hintFrom(3, map[string]any{"order": "o", "scope": "owner", "owner": "ann", "h": "7", "actor": "eve", "reason": "r"})
	require.False(t, h.Gap)
	require.Equal(t, job.Order{
		ID: "o", Scope: job.Scope{Kind: job.ScopeOwner, Owner: "ann"}, Actor: "eve", Reason: "r",
		Horizon: map[int]uint64{3: 7},
	}, h.Order)
}

func TestStreamPositionsCompareByNumber(t *testing.T) {
	require.True(t, before("9-0", "10-0"))
	require.True(t, before("10-1", "10-2"))
	require.False(t, before("10-2", "10-2"))
	require.False(t, before("10-10", "10-9"))
}

func TestPresenceIsWatchedOnOurOwnClock(t *testing.T) {
	pr := newPresence()
	at := time.Unix(1000, 0)
	pr.note(0, []workerRow{{id: "w1", beat: 5}}, at)
	pr.note(0, []workerRow{{id: "w1", beat: 5}, {id: "w2", beat: 6}}, at.Add(4*time.Second))
	require.Equal(t, 10*time.Second, pr.silent(0, "w1", at.Add(10*time.Second)))
	require.Equal(t, 6*time.Second, pr.silent(0, "w2", at.Add(10*time.Second)))
	pr.note(0, []workerRow{{id: "w1", beat: 7}}, at.Add(11*time.Second))
	require.Zero(t, pr.silent(0, "w1", at.Add(11*time.Second)))
	require.Zero(t, pr.silent(0, "w2", at.Add(11*time.Second)), "off the table")
}
