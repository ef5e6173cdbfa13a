//go:build browser

package browser

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/dev"
	"github.com/rtfm-si/gavel/examples"
)

// The incident: bob's jobs run away. Found, previewed, killed, seen quiesced,
// and the fleet thawed, from the console alone.
func TestARunawayIsFoundKilledAndTheFleetThawed(t *testing.T) {
	w := newTown(t, dev.Config{Workers: 3, Slots: 8, Simulation: simulation()})
	w.hour(8_000_000)
	most := client.MicroUSD(5_000_000_000)
	_, err := w.admin.SetBudget(t.Context(), "", client.Limits{Cap: &most}, "the day's plan")
	require.NoError(t, err)
	w.canaries(w.alice, 4, 900, map[string]string{"batch": "weekly", "team": "growth"})
	w.canaries(w.bob, 12, 1_200_000, map[string]string{"batch": "nightly", "team": "imports"})
	w.running(16)
	p := w.open(1440, 900, "dark")
	p.signIn(dev.Admin)
	began := time.Now()

	p.hit("h")
	p.dialog("What runs goes on")
	p.press("spend runs away\tinc-417\r")
	p.noDialog()
	p.says("#gate", "FROZEN")
	p.says("#banners", "spend runs away")

	p.until("document.querySelector('#top tbody tr')?.dataset.row === 'bob'")
	p.click("#top tbody tr button")
	p.dialog("Kill 12 jobs?")
	p.says("dialog .tally", "canary")
	p.shot("kill-preview-desktop-dark")
	p.accessible("the preview")
	p.enter("#reason", "bob's import loops\r")
	p.noDialog()
	p.until("document.querySelector('.kill[data-stage=quiesced]')")
	p.says(".kill", "12 targeted")
	p.says(".kill", "quiesced in")
	p.until("document.querySelectorAll('#jobs tbody tr').length === 4")
	p.until("document.querySelector('#states dd').innerText === '4'") // as the fleet tells a second later
	p.says(".rate.high", "/min")
	p.says(".spend", "baseline $") // the mean of the hour before
	p.says(".spend .cap", "of $5,000, cap in")
	p.until("document.querySelectorAll('.hour .bar').length === 60 && document.querySelectorAll('.hour .high').length >= 1 && document.querySelector('.hour .base')")
	p.says("#changes", "bob's import loops")
	p.says("#changes", "inc-417")
	p.shot("incident-desktop-dark")

	p.hit("t")
	p.dialog("Frozen by admin")
	p.press("bob is out\r")
	p.noDialog()
	p.says("#gate", "open")
	t.Logf("the incident took %s", time.Since(began).Round(time.Millisecond))

	f, err := w.admin.Fleet(t.Context())
	require.NoError(t, err)
	require.False(t, f.Gate.Frozen)
	require.EqualValues(t, 4, f.Jobs[client.Running], "alice's go on")
	p.click(".kill header button")
	p.until("!document.querySelector('.kill')")
	p.whole("overview-desktop-dark")
	p.accessible("the overview, dark")
	p.click("#theme")
	p.until("document.documentElement.dataset.theme === 'light'")
	p.whole("overview-desktop-light")
	p.accessible("the overview, light")
}

// Everything by the keyboard, to the worst of it.
func TestKillAllByTheKeyboardAlone(t *testing.T) {
	w := newTown(t, dev.Config{Workers: 2, Slots: 4})
	w.canaries(w.alice, 3, 500, nil)
	w.canaries(w.bob, 9, 700, map[string]string{"batch": "nightly"})
	w.running(8)
	p := w.open(1440, 900, "light")
	p.signIn(dev.Admin)

	p.hit("?")
	p.dialog("after typing the name")
	p.press(kb.Escape)
	p.noDialog()

	// A hand that is faster than the close event of the dialog before finds the
	// next one whole.
	p.hit("?")
	p.until("(document.querySelector('dialog').close(), document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'K', bubbles: true })), true)")
	p.dialog("12 jobs of 2 owners")
	p.until("document.activeElement.id === 'confirm'")
	p.press("prod-us\teverything loops\t\r")
	p.dialog("Kill ALL")
	p.until("document.querySelector('#go').disabled")
	p.clear("#confirm")
	p.focus("#confirm")
	p.press("prod-eu")
	p.until("!document.querySelector('#go').disabled")
	p.shot("kill-all-desktop-light")
	p.accessible("kill all")
	p.press("\r")
	p.noDialog()
	p.says("#gate", "FROZEN")
	p.until("document.querySelector('.kill[data-stage=quiesced]')")
	p.says(".kill", "12 targeted")
	p.says("#say", "Quiesced")

	orders, _, err := w.admin.Orders(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, orders, 1)
	require.Equal(t, "everything loops", orders[0].Reason)
	require.True(t, orders[0].Freeze)

	p.hit("t")
	p.dialog("everything loops")
	p.press("over\r")
	p.noDialog()
	p.says("#gate", "open")
}

// A job is found by the filter, looked at, and killed.
func TestAJobIsFoundWatchedAndKilled(t *testing.T) {
	w := newTown(t, dev.Config{Workers: 2, Slots: 4, Simulation: simulation()})
	w.canaries(w.bob, 2, 500, map[string]string{"batch": "nightly"})
	input, err := examples.Problem("market-entry")
	require.NoError(t, err)
	got, err := w.alice.Submit(t.Context(), client.Submission{Kind: "deliberation", Input: input, Labels: map[string]string{"team": "strategy"}})
	require.NoError(t, err)
	p := w.open(1440, 900, "dark")
	p.signIn(dev.Admin)

	p.focus("#show")
	p.press("A") // all: a fast machine may be done with it already
	p.press(kb.Escape)
	p.hit("/")
	p.press("strategy")
	p.until("document.querySelectorAll('#jobs tbody tr').length === 1")
	p.press(kb.Escape)
	p.focus("#jobs tbody tr")
	p.press(kb.Enter)
	p.until("location.hash.startsWith('#/jobs/')")
	p.until("document.querySelector('.event.speech')")
	p.says("aside", "round")
	p.shot("job-desktop-dark")
	p.accessible("the job")
	_, err = w.alice.Wait(t.Context(), got.ID)
	require.NoError(t, err)
	p.until("document.querySelector('#result')")
	p.whole("job-over-desktop-dark")
	p.accessible("the job that is over")

	p.press(kb.Escape)
	p.until("document.querySelector('#jobs')")
	p.until("document.querySelector('#filter').value === 'strategy'") // what hides jobs is to be seen
	p.clear("#filter")
	p.enter("#filter", "bob nightly")
	p.until("document.querySelectorAll('#jobs tbody tr').length === 2")
	p.press(kb.Escape)
	p.focus("#jobs tbody tr")
	p.hit("k")
	p.dialog("canary of bob")
	p.press("it loops\r")
	p.noDialog()
	p.until("document.querySelector('.kill[data-stage=quiesced]')")
	p.says(".kill", "1 targeted")
	p.click(".kill header a")
	p.says(".timeline", "the work returned")
	p.until("document.querySelectorAll('.timeline .done').length === 5")
	p.shot("receipt-desktop-dark")
	p.accessible("the receipt")
}

// An order that asks for a kind and a label, and what a bad one is answered; then
// one for a model, from the shares.
func TestASelectorIsPreviewedAndKilled(t *testing.T) {
	w := newTown(t, dev.Config{Workers: 2, Slots: 4})
	w.canaries(w.alice, 2, 5000, map[string]string{"batch": "nightly"})
	w.canaries(w.bob, 3, 500, map[string]string{"batch": "nightly"})
	w.canaries(w.bob, 2, 500, map[string]string{"batch": "weekly"})
	w.running(7)
	p := w.open(1280, 800, "dark")
	p.signIn(dev.Admin)
	p.expectTrouble()

	p.focus("#show")
	p.press("D") // the dearest first, though they are the oldest
	p.until("document.querySelector('#jobs tbody td:nth-of-type(2)')?.innerText === 'alice'")
	p.press(kb.Escape)

	p.hit("k")
	p.dialog("What is given must all hold")
	p.click("#go")
	p.dialog("selector") // nothing given is refused, in words
	p.enter("#f-kind", "canary")
	p.enter("#f-labels", "batch=nightly\r")
	p.dialog("Kill 5 jobs?")
	p.says("dialog .tally", "alice")
	p.click("#resumable")
	p.shot("kill-preview-desktop-dark")
	p.accessible("the preview of a kill")
	p.enter("#reason", "the nightly batch loops\r")
	p.noDialog()
	p.until("document.querySelector('.kill[data-stage=quiesced]')")
	p.says(".kill", "5 targeted")
	w.running(2)
	killed := 0
	for j, err := range w.admin.Jobs(t.Context(), client.JobQuery{States: []client.State{client.Killed}}) {
		require.NoError(t, err)
		require.True(t, j.AllowResume, "its owner may go on from it")
		killed++
	}
	require.Equal(t, 5, killed)

	p.says("#lag", "orders arrive in")
	p.click("#by-model")
	p.until("document.querySelector('#top tbody tr')?.dataset.row === 'canary'")
	p.click("#top tbody tr button")
	p.dialog("Kill 2 jobs?")
	p.says("#preview", "model canary")
	p.enter("#reason", "that model is out\r")
	p.noDialog()
	w.running(0)
}

// Owners see their own, and no lever that they do not have.
func TestAnOwnerSeesTheirOwnOnly(t *testing.T) {
	w := newTown(t, dev.Config{Workers: 2, Slots: 4})
	mine := w.canaries(w.alice, 2, 500, map[string]string{"team": "growth"})
	w.canaries(w.bob, 2, 700, nil)
	w.running(4)
	p := w.open(390, 844, "light")
	p.signIn(dev.Alice)
	p.says(".panel", "owner alice")
	p.until("document.querySelectorAll('#jobs tbody tr').length === 2")
	p.until("!document.body.innerText.includes('bob')")
	for _, lever := range []string{"#freeze", "#kill", "#kill-all", "#thaw"} {
		p.until("!document.querySelector('" + lever + "')")
	}
	for _, key := range []string{"h", "K", "t"} {
		p.hit(key)
		p.noDialog()
	}
	p.whole("owner-phone-light")
	p.accessible("an owner's overview")
	p.click("#jobs tbody tr button")
	p.dialog("canary of alice")
	p.enter("#reason", "enough\r")
	p.noDialog()
	require.Eventually(t, func() bool {
		for _, id := range mine {
			if j, err := w.alice.Job(t.Context(), id); err == nil && j.State == client.Killed && j.KillReason == "enough" {
				return true
			}
		}
		return false
	}, within, 50*time.Millisecond)
}

// A stream that is held back is replaced by polling; a door that is gone leaves
// what was seen, marked as stale.
func TestAgeAndWayOfTheDataAreSaid(t *testing.T) {
	w := newTown(t, dev.Config{Workers: 1, Slots: 4})
	w.canaries(w.alice, 2, 500, nil)
	w.running(2)
	p := w.open(390, 844, "dark")
	p.expectTrouble()
	p.signIn(dev.Admin)
	p.until("document.querySelector('#fresh[data-mode=live]')")
	p.until("document.querySelectorAll('#jobs tbody tr').length === 2")
	p.whole("overview-phone-dark")
	p.accessible("the overview on a phone")

	w.noStreams.Store(true)
	p.until("document.querySelector('#fresh[data-mode=polling]')")
	p.says("#banners", "Polling")
	w.noDoor.Store(true)
	p.until("document.querySelector('#fresh[data-mode=stale]')")
	p.says("#banners", "old")
	p.says("#alarm", "stale")
	p.shot("stale-phone-dark")
	p.accessible("stale data")

	p.hit("h")
	p.dialog("Freeze")
	p.press("does it arrive\r")
	p.dialog("answer (502) is not Gavel's")
	p.press(kb.Escape)
	w.noDoor.Store(false)
	w.noStreams.Store(false)
	p.until("document.querySelector('#fresh[data-mode=live]')")
	p.until("!document.querySelector('.banner')")
}

// The key stays in the tab, is refused in words, and is gone after signing out.
func TestTheCredentialStaysInTheTab(t *testing.T) {
	w := newTown(t, dev.Config{Workers: 1})
	p := w.open(1440, 900, "light")
	p.expectTrouble()
	p.shot("door-desktop-light")
	p.accessible("the door")
	p.enter("#key", "nonsense\r")
	p.says(".fault", "credential")
	p.clear("#key")
	p.signIn(dev.Admin)
	p.until("sessionStorage.getItem('gavel.key') === 'dev-admin' && !JSON.stringify(localStorage).includes('dev-admin') && document.cookie === ''")
	p.do(chromedp.Reload())
	p.until("document.querySelector('#fresh[data-mode=live]')")
	p.click("#leave")
	p.until("document.querySelector('#key') && sessionStorage.getItem('gavel.key') === null")
}
