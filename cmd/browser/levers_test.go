//go:build browser

package browser

import (
	"context"
	"testing"

	"github.com/chromedp/chromedp/kb"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/dev"
)

// submit submits one job and waits for a state of it.
func (w *town) submit(c *client.Client, s client.Submission, state client.State) string {
	w.Helper()
	got, err := c.Submit(w.Context(), s)
	require.NoError(w, err)
	w.comesTo(got.ID, state)
	return got.ID
}

func (w *town) comesTo(id string, state client.State) client.Job {
	w.Helper()
	var j client.Job
	require.Eventually(w, func() bool {
		var err error
		j, err = w.admin.Job(w.Context(), id)
		return err == nil && j.State == state
	}, within, looks)
	return j
}

// ready waits until what the dialog asks for can be sent.
func (p *page) ready() {
	p.Helper()
	p.until("document.querySelector('dialog').open && !document.querySelector('#go').disabled")
}

// A job that says nothing is one of many that run: its worker names it, the list
// shows it alone, and it can be killed there. What a service asked for is a share
// of its own.
func TestAJobWithoutProgressIsNamedAndKilled(t *testing.T) {
	w := newTown(t, dev.Config{Workers: 1, Slots: 6})
	ids := w.canaries(w.alice, 3, 500, nil)
	w.canaries(w.bob, 1, 500, nil)
	w.running(4)
	slot := "{" + fleetName + ":0}:"
	require.NoError(t, w.redis.Client(t).HSet(t.Context(), slot+"worker:w-quiet", "row", `{"slots":4,"running":1,"no_progress":1,"no_progress_jobs":["`+ids[1]+`"]}`).Err())
	require.NoError(t, w.redis.Client(t).ZAdd(t.Context(), slot+"workers", redis.Z{Score: 1, Member: "w-quiet"}).Err())
	p := w.open(1440, 900, "light")
	p.signIn(dev.Admin)
	p.focus("#show")
	p.press("N")
	p.until("document.querySelectorAll('#jobs tbody tr').length === 1 && document.querySelector('#jobs tbody tr').dataset.row === '" + ids[1] + "'")
	p.click("#by-submitter")
	p.until("document.querySelectorAll('#top tbody tr').length === 2 && document.querySelector('#top tbody tr').dataset.row === 'alice'")
	p.shot("no-progress-desktop-light")
	p.accessible("the jobs without progress")
	p.click("#jobs tbody tr button")
	p.dialog("canary of alice")
	p.enter("#reason", "it says nothing\r")
	p.noDialog()
	w.comesTo(ids[1], client.Killed)
	p.until("document.querySelectorAll('#jobs tbody tr').length === 0")

	p.click("#top tbody tr button")
	p.dialog("Kill 2 jobs?")
	p.says("#preview", "submitter alice")
	p.enter("#reason", "alice's program loops\r")
	p.noDialog()
	w.running(1)
	p.click("#by-version")
	p.says("#top", "1")
}

// A block is previewed, set and lifted, by the keyboard alone.
func TestABlockIsPreviewedSetAndLifted(t *testing.T) {
	w := newTown(t, dev.Config{Workers: 1, Slots: 3})
	w.canaries(w.bob, 2, 500, map[string]string{"batch": "nightly"})
	w.canaries(w.alice, 1, 500, nil)
	w.running(3)
	w.canaries(w.bob, 2, 500, map[string]string{"batch": "nightly"}) // no slot is left for these
	p := w.open(1440, 900, "dark")
	p.signIn(dev.Admin)

	p.hit("b")
	p.dialog("What runs goes on")
	p.press("bob\r")
	p.dialog("Block owner bob?")
	p.says("#preview", "4 jobs live now: 2 would be put aside instead of starting, 2 run on")
	p.shot("block-preview-desktop-dark")
	p.accessible("the preview of a block")
	p.press("bob floods the road\tinc-9\r")
	p.noDialog()
	p.says("#blocks", "owner bob")
	p.says("#blocks", "bob floods the road")
	p.says("#say", "Blocked: owner bob.")
	_, err := w.bob.Submit(t.Context(), client.Submission{Kind: "canary", Input: map[string]any{"steps": 1}})
	require.ErrorContains(t, err, "bob floods the road")

	p.hit("b")
	p.dialog("Block until lifted")
	p.focus("#b-on")
	p.press("L") // by a label
	p.enter("#b-label", "batch")
	p.enter("#b-value", "nightly\r")
	p.dialog("Block label batch=nightly?")
	p.says("#preview", "4 jobs live now")
	p.press("nightly loops\r")
	p.noDialog()
	p.until("document.querySelectorAll('#blocks li').length === 2")
	p.whole("blocks-desktop-dark")
	p.accessible("the blocks")

	p.says("#changes", "block label batch=nightly")
	q := w.open(390, 844, "light")
	q.signIn(dev.Admin)
	q.says("#blocks", "label batch=nightly")
	q.until("document.querySelector('#jobs tbody tr')")
	q.whole("blocks-phone-light")
	q.accessible("the blocks on a phone")

	p.focus("#blocks li")
	p.press(kb.Enter)
	p.dialog("Lift the block of owner bob?")
	p.ready()
	p.shot("lift-desktop-dark")
	p.press("bob has mended it\r")
	p.noDialog()
	p.until("document.querySelectorAll('#blocks li').length === 1")
	p.says("#changes", "bob has mended it")
	p.click("#blocks button")
	p.dialog("Lift the block of label batch=nightly?")
	p.ready()
	p.press("over\r")
	p.noDialog()
	p.until("!document.querySelector('#blocks')")
	blocks, _, err := w.admin.Blocks(t.Context())
	require.NoError(t, err)
	require.Empty(t, blocks)
}

// Thawed at a rate, slower or faster afterwards, and without one in the end.
func TestTheFleetIsThawedAtARate(t *testing.T) {
	w := newTown(t, dev.Config{Workers: 1, Slots: 4})
	p := w.open(390, 844, "light")
	p.signIn(dev.Admin)
	p.hit("h")
	p.dialog("Freeze")
	p.press("too much at once\r")
	p.noDialog()
	p.says("#gate", "FROZEN")

	p.hit("t")
	p.dialog("too much at once")
	p.enter("#reason", "gently")
	p.enter("#rate-of", "2")
	p.enter("#rate-for", "10")
	p.shot("thaw-phone-light")
	p.accessible("thaw at a rate")
	p.press("\r")
	p.noDialog()
	p.says("#gate", "open, 2/s")
	f, err := w.admin.Fleet(t.Context())
	require.NoError(t, err)
	require.InDelta(t, 2, f.Gate.Rate, 0)
	require.False(t, f.Gate.RateUntil.IsZero())

	q := w.open(1440, 900, "dark")
	q.signIn(dev.Admin)
	q.hit("t")
	q.dialog("At most 2 jobs")
	q.shot("rate-desktop-dark")
	q.accessible("the rate")

	p.hit("t")
	p.dialog("At most 2 jobs")
	p.until("document.activeElement.id === 'reason'")
	p.clear("#rate-of")
	p.enter("#rate-of", "50")
	p.enter("#reason", "it holds\r")
	p.noDialog()
	p.says("#gate", "open, 50/s")

	p.click("#gate")
	p.dialog("At most 50 jobs")
	p.clear("#rate-of")
	p.enter("#reason", "all is well\r")
	p.noDialog()
	p.until("document.querySelector('#gate').innerText === 'open'")
	f, err = w.admin.Fleet(t.Context())
	require.NoError(t, err)
	require.Zero(t, f.Gate.Rate)
}

// A job that asks its owner is answered on their phone.
func TestAJobThatAsksIsAnswered(t *testing.T) {
	w := newTown(t, dev.Config{Workers: 1, Slots: 2})
	id := w.submit(w.alice, client.Submission{
		Kind: "canary", Input: map[string]any{"steps": 3, "step_ms": 20, "park_at": 2, "checkpoint": true},
	}, client.Parked)
	p := w.open(390, 844, "dark")
	p.signIn(dev.Alice)
	p.press(kb.Escape)
	p.until("location.hash = '#/jobs/" + id + "'")
	p.says(".asks", "Shall it go on?")
	p.until("!document.querySelector('#resume-job')")
	p.enter("#answers textarea", "Yes, go on.")
	p.whole("answer-phone-dark")
	p.accessible("the questions of a job")
	q := w.open(1440, 900, "light")
	q.signIn(dev.Admin)
	q.until("location.hash = '#/jobs/" + id + "'")
	q.says(".asks", "Shall it go on?")
	q.shot("answer-desktop-light")
	p.press("\t\r")
	p.says("#say", "Answered")
	p.until("document.querySelector('#result')")
	w.comesTo(id, client.Succeeded)
}

// What was killed goes on from a checkpoint that its owner chooses.
func TestAKilledJobGoesOnFromACheckpoint(t *testing.T) {
	w := newTown(t, dev.Config{Workers: 1, Slots: 2})
	id := w.submit(w.alice, client.Submission{
		Kind: "canary", Input: map[string]any{"steps": 200, "step_ms": 40, "checkpoint": true},
	}, client.Running)
	require.Eventually(t, func() bool {
		j, err := w.alice.Job(t.Context(), id)
		return err == nil && j.Checkpoint >= 4
	}, within, looks)
	_, err := w.alice.Kill(t.Context(), id, client.Kill{Reason: "wrong turn", Wait: within})
	require.NoError(t, err)
	kept, err := w.alice.Checkpoints(t.Context(), id)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(kept), 2)
	older := kept[len(kept)-2].Seq

	p := w.open(1440, 900, "light")
	p.signIn(dev.Alice)
	p.until("location.hash = '#/jobs/" + id + "'")
	p.until("document.querySelector('#resume-job')")
	p.hit("r")
	p.dialog("This job stays killed")
	p.ready()
	p.until("document.querySelectorAll('#checkpoints input').length > 1")
	p.focus("#checkpoints input:checked")
	p.press(kb.ArrowDown) // the one before the newest
	p.enter("#budget", "2.5")
	p.shot("go-on-desktop-light")
	p.accessible("the choice of a checkpoint")
	q := w.open(390, 844, "dark")
	q.signIn(dev.Alice)
	q.until("location.hash = '#/jobs/" + id + "'")
	q.click("#resume-job")
	q.until("document.querySelectorAll('#checkpoints input').length > 1")
	q.shot("go-on-phone-dark")
	q.accessible("the choice of a checkpoint on a phone")
	p.press("\r")
	p.noDialog()
	p.until("location.hash.length > 8 && !location.hash.endsWith('" + id + "')")
	p.says("aside", "goes on from")
	p.whole("resumed-desktop-light")
	next := w.after(id)
	require.Equal(t, older, next.ResumedSeq)
	require.EqualValues(t, 2_500_000, next.Budget)
}

// after is alice's job that goes on from another.
func (w *town) after(id string) client.Job {
	w.Helper()
	for j, err := range w.alice.Jobs(w.Context(), client.JobQuery{}) {
		require.NoError(w, err)
		if j.ResumedFrom == id {
			return j
		}
	}
	require.Fail(w, "no job goes on")
	return client.Job{}
}

// A job that has used up its budget is given more.
func TestAJobParkedForItsBudgetIsResumed(t *testing.T) {
	w := newTown(t, dev.Config{Workers: 1, Slots: 2})
	id := w.submit(w.alice, client.Submission{
		Kind: "canary", Budget: 1000,
		Input: map[string]any{"steps": 4, "step_ms": 20, "calls_per_step": 1, "call_micro_usd": 400, "checkpoint": true},
	}, client.Parked)
	p := w.open(390, 844, "light")
	p.expectTrouble()
	p.signIn(dev.Alice)
	p.until("location.hash = '#/jobs/" + id + "'")
	p.click("#resume-job")
	p.dialog("parked: budget")
	p.press("0.0001\r")
	p.says("dialog .fault", "budget") // less than it has spent is refused, in words
	p.clear("#budget")
	p.shot("raise-phone-light")
	p.accessible("the raise of a budget")
	p.enter("#budget", "1\r")
	p.noDialog()
	p.until("document.querySelector('#result')")
	w.comesTo(id, client.Succeeded)
}

// After Redis has lost data nothing starts until an admin adopts what is there.
func TestLostAuthorityIsAdopted(t *testing.T) {
	w := newTown(t, dev.Config{Workers: 1, Slots: 2})
	p := w.open(1440, 900, "dark")
	p.expectTrouble()
	p.signIn(dev.Admin)
	p.hit("h")
	p.dialog("Freeze")
	p.press("before the backup\r")
	p.noDialog()
	p.says("#gate", "FROZEN")
	ctx := context.WithoutCancel(t.Context())
	require.NoError(t, w.redis.Client(t).FlushAll(ctx).Err())
	p.says("#lost", "Redis lost data")

	p.hit("a")
	p.dialog("older state")
	p.says("#losses", "Partition 0")
	p.press("prod-us\trestored the backup of noon\r")
	p.until("document.querySelector('dialog').open && document.querySelector('#go').disabled")
	p.clear("#confirm")
	p.enter("#confirm", fleetName)
	p.ready()
	p.shot("adopt-desktop-dark")
	p.accessible("adopting")
	q := w.open(390, 844, "light")
	q.expectTrouble()
	q.signIn(dev.Admin)
	q.click("#lost button")
	q.dialog("older state")
	q.shot("adopt-phone-light")
	q.accessible("adopting on a phone")
	p.press("\r")
	p.noDialog()
	p.until("!document.querySelector('#lost')")
	f, err := w.admin.Fleet(t.Context())
	require.NoError(t, err)
	require.Empty(t, f.Losses)
}

// An operator may block; what only an admin may is not offered.
func TestAnOperatorBlocksAndCannotLift(t *testing.T) {
	w := newTown(t, dev.Config{Workers: 1, Slots: 2})
	w.canaries(w.alice, 3, 500, nil)
	w.running(2)
	secret, _, err := w.admin.CreateKey(t.Context(), client.NewKey{Subject: "olga", Roles: []string{"operator"}})
	require.NoError(t, err)
	olga, err := client.New(w.fleet.URL(), client.WithKey(secret))
	require.NoError(t, err)
	require.Eventually(t, func() bool { _, err := olga.Fleet(t.Context()); return err == nil }, within, looks, "a dispatcher reads new keys within seconds")
	p := w.open(1440, 900, "light")
	p.signIn(secret)
	p.click("#block")
	p.dialog("Block until lifted")
	p.focus("#b-on")
	p.press("K") // by kind
	p.enter("#b-value", "canary\r")
	p.dialog("Block kind canary?")
	p.says("#preview", "3 jobs live now: 1 would be put aside instead of starting, 2 run on.")
	p.press("canaries are out\r")
	p.noDialog()
	p.says("#blocks", "kind canary")
	p.until("!document.querySelector('#blocks button')")
	p.focus("#blocks li")
	p.press(kb.Enter)
	p.hit("t", "a")
	p.noDialog()
	p.shot("operator-desktop-light")
}
