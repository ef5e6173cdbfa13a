package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

// noon is when the fleet was seen.
func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// busy is a large fleet in trouble.
func busy() view {
	var v view
	v.Fleet = client.Fleet{Name: "prod", Jobs: map[client.State]int64{client.Running: 80, client.Queued: 7}, NoProgress: 3}
	for i := range 40 {
		v.Fleet.Workers = append(v.Fleet.Workers, client.Worker{ID: fmt.Sprintf("worker-%02d", i), Slots: 4, Running: 2, Host: "host", Version: "v1", Started: noon()})
	}
	v.Fleet.Workers[37].Silent = 9
	v.Fleet.Workers[38].Deaf = 1
	v.Fleet.Workers[39].NoProgressJobs = []string{"job-b", "job-a"}
	v.Spend.By = "owner"
	v.Spend.Now.PerMinute, v.Spend.Now.Baseline = 9_000_000, 1_500_000
	for i := range 30 {
		v.Spend.Top = append(v.Spend.Top, client.Spender{Name: fmt.Sprintf("owner-%02d", i), PerMinute: 1_000_000, Running: 2})
		v.Spend.Minutes = append(v.Spend.Minutes, client.SpentMinute{Spent: client.MicroUSD(i * 100_000)})
	}
	for i := range 8 {
		v.Fleet.OpenOrders = append(v.Fleet.OpenOrders, fmt.Sprintf("order-%d", i))
	}
	v.Orders = []client.Receipt{{
		Order: "order-0", Scope: client.Scope{Kind: "owner", Owner: "mallory"}, Stage: client.InForce,
		Tally: client.Tally{Targeted: 9, Stopped: 6, Waiting: 3, Deaf: 1}, Open: []client.Open{{Worker: "worker-37"}, {Worker: "worker-38"}, {Worker: "worker-37"}},
	}}
	return v
}

// sized is the terminal after it has said how large it is.
func sized(t *testing.T, m top, width, height int) top {
	t.Helper()
	next, _ := m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	return next.(top)
}

func TestTopFitsEveryTerminal(t *testing.T) {
	t.Parallel()
	for _, colour := range []bool{false, true} {
		m := top{seen: busy(), at: noon(), every: 2 * time.Second, colour: colour}
		require.Empty(t, m.text(noon()), "before the size is known")
		for _, size := range [][2]int{{80, 24}, {200, 60}, {40, 10}, {10, 3}, {1, 1}} {
			lines := strings.Split(sized(t, m, size[0], size[1]).text(noon()), "\n")
			require.Len(t, lines, size[1])
			for _, l := range lines {
				require.LessOrEqual(t, ansi.StringWidth(l), size[0], l)
			}
		}
	}
}

func TestTopShowsTheMostUrgentFirst(t *testing.T) {
	t.Parallel()
	text := sized(t, top{seen: busy(), at: noon(), every: 2 * time.Second}, 80, 24).text(noon())
	for _, want := range []string{
		"fleet prod", "$9.0000/min (base $1.5000/min)", "6.0 times the base", "▃▃▃▄", "▇█", "80 running, 7 queued", "3 without progress for 2m: job-a, job-b",
		"order-0", "owner mallory", "6/9", "worker-37 worker-38", "owner-00", "deaf (1)", "silent 9.0s", "and 3", "live, seen 12:00:00", "q quit",
	} {
		require.Contains(t, text, want, text)
	}
	require.NotContains(t, text, "\x1b")
	require.Less(t, strings.Index(text, "order-0"), strings.Index(text, "owner-00"))
}

func TestTopLeavesNothingOutWhereThereIsRoom(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	busy().write(show.Sized(&out, 0, false), 0, noon())
	for _, want := range []string{"worker-00", "worker-39", "owner-29", "order-7"} {
		require.Contains(t, out.String(), want)
	}
	require.NotContains(t, out.String(), "more")
	hostile := busy()
	hostile.Spend.Top[0].Name, hostile.Fleet.Name = "a\x1b[2Jb", "c\x1b[2Jd"
	require.NotContains(t, sized(t, top{seen: hostile, at: noon()}, 80, 24).text(noon()), "\x1b")
}

func TestTopFollowsTheNewsAndSaysWhenItIsStale(t *testing.T) {
	t.Parallel()
	var asked []client.Fleet
	m := sized(t, top{seen: busy(), at: noon(), money: noon(), every: 2 * time.Second, look: func(f client.Fleet) tea.Cmd {
		asked = append(asked, f)
		return func() tea.Msg { return nil }
	}}, 80, 24)
	step := func(msg tea.Msg) tea.Cmd {
		next, cmd := m.Update(msg)
		m = next.(top)
		return cmd
	}
	calm := func(at time.Duration) news {
		f := busy().Fleet
		f.Name, f.OpenOrders = "calm", nil
		return news{fleet: f, at: noon().Add(at)}
	}
	require.NotNil(t, m.Init())
	require.NotNil(t, step(second{}), "and so on")
	require.NotNil(t, step(calm(time.Second)), "orders went: what they came to is asked for")
	require.Contains(t, m.View().Content, "fleet calm", "and the fleet is shown at once")
	require.Nil(t, step(tea.KeyPressMsg{Code: 'r', Text: "r"}), "it looks already")
	fresh := busy()
	fresh.Spend.Now.PerMinute, fresh.Orders = 1_234_000, nil
	require.Nil(t, step(looked{view: fresh, at: noon().Add(time.Second)}))
	require.Contains(t, m.text(noon()), "$1.2340/min")
	require.Contains(t, m.text(noon()), "fleet calm", "a look takes nothing back that came since")
	require.Nil(t, step(calm(2*time.Second)), "the spend is fresh enough")
	require.NotNil(t, step(calm(3*time.Second)), "and now it is not")
	require.Len(t, asked, 2)
	step(looked{err: errors.New("connection refused")})
	require.Contains(t, m.text(noon().Add(10*time.Second)), "STALE for 7.0s")
	require.Contains(t, m.text(noon()), "connection refused")
	require.NotNil(t, step(tea.KeyPressMsg{Code: 'r', Text: "r"}), "by key at once")
	step(looked{view: fresh, at: noon().Add(3 * time.Second)})
	require.NotContains(t, m.text(noon().Add(4*time.Second)), "STALE")
	require.Contains(t, m.text(noon().Add(9*time.Second)), "STALE for 6.0s", "nothing came for a while")
	step(news{err: errors.New("reset by peer")})
	require.Contains(t, m.text(noon().Add(9*time.Second)), "reset by peer")
	require.Contains(t, m.text(noon()), "fleet calm", "the last picture stays")
	require.True(t, m.View().AltScreen)
	step(calm(9 * time.Second))
	require.NotContains(t, m.text(noon().Add(9*time.Second)), "STALE")
}

func TestTopIsLeftByKey(t *testing.T) {
	t.Parallel()
	for _, k := range []tea.KeyPressMsg{{Code: 'q', Text: "q"}, {Code: tea.KeyEscape}, {Code: 'c', Mod: tea.ModCtrl}} {
		_, cmd := top{}.Update(k)
		require.NotNil(t, cmd, k.String())
		require.Equal(t, tea.QuitMsg{}, cmd())
	}
	_, cmd := top{}.Update(tea.KeyPressMsg{Code: 'x', Text: "x"})
	require.Nil(t, cmd)
}

func TestTopWhereNobodyWatchesLooksOnce(t *testing.T) {
	t.Parallel()
	w := newTown(t, slow())
	id := w.submit("dev-alice", "market-entry")
	w.running("dev-alice", id)
	out := w.gavel("dev-admin", "top").ok()
	for _, want := range []string{"fleet " + w.fleet.Name(), "jobs  1 running", "OWNER", "alice", "worker-1", "worker-2"} {
		require.Contains(t, out, want)
	}
	require.NotContains(t, out, "q quit")
	var got view
	s := w.gavel("dev-admin", "top", "--json", "--by", "kind")
	s.ok()
	s.into(&got)
	require.Equal(t, "kind", got.Spend.By)
	require.Len(t, got.Fleet.Workers, 2)
	w.gavel("dev-alice", "top").fails(codeRefused)
	w.gavel("dev-admin", "top", "--every", "10ms").fails(codeUsage, "500ms")
}
