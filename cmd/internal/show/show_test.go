package show

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rtfm-si/gavel/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhatCouldSteerATerminalIsRemoved(t *testing.T) {
	require.Equal(t, "a[31m b c", Clean("a\x1b[31m\n\tb \u202ec\u0085\x7f"))
	require.Equal(t, "a\nb", CleanBlock("a\nb\r\x07"))
	var out bytes.Buffer
	s := Sized(&out, 80, false)
	table := NewTable("one")
	table.Row("x\x1b]0;title\x07y")
	table.Write(s)
	NewStory(s, false).Tell(event("job.killed", map[string]any{"by": "bob\x1b[2J", "reason": "r\x1b[0m"}))
	Receipt(s, client.Receipt{Scope: client.Scope{Kind: "job", Job: "j"}, Actor: "a\x1b[1m", Reason: "b\x1b[1m"})
	s.Markdown("# h\x1b[5m")
	require.NotContains(t, out.String(), "\x1b")
	require.NotContains(t, out.String(), "\x07")
}

func TestTablesFitTheTerminalAndKeepIdsWhole(t *testing.T) {
	table := NewTable("job!", "owner", "empty", "labels")
	id := strings.Repeat("i", 36)
	table.Row(id, "alice", "", strings.Repeat("label ", 20))
	table.Row(id, "bob")
	var out bytes.Buffer
	table.Write(Sized(&out, 60, false))
	lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	require.Len(t, lines, 3)
	for _, l := range lines {
		require.LessOrEqual(t, length(l), 60)
	}
	require.Contains(t, lines[1], id)
	require.Contains(t, lines[1], "…")
	require.NotContains(t, lines[0], "EMPTY", "a column without a word is left out")

	out.Reset()
	table.Write(Sized(&out, 0, false))
	require.NotContains(t, out.String(), "…", "nothing is cut where nobody looks")
	require.Equal(t, 2, table.Len())
}

func TestColoursAreForTerminals(t *testing.T) {
	var out bytes.Buffer
	require.Equal(t, "x", NewScreen(&out, false).Paint(Red, "x"))
	require.Equal(t, "\x1b[31mx\x1b[0m", Sized(&out, 80, true).Paint(Red, "x"))
	require.False(t, NewScreen(&out, false).IsTerminal())
}

func TestTheFirstFailedWriteIsRemembered(t *testing.T) {
	s := NewScreen(broken{}, false)
	s.Line("one")
	s.Line("two")
	require.ErrorContains(t, s.Err(), "the pipe is closed")
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("the pipe is closed") }

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		1500 * time.Microsecond: "1.5ms", 250 * time.Millisecond: "250ms", 1500 * time.Millisecond: "1.5s", 83 * time.Second: "1m23s",
		26 * time.Hour: "26h00m", 72 * time.Hour: "3d", -time.Second: "0.0ms",
	} {
		require.Equal(t, want, Span(d))
	}
	require.Equal(t, "$1.2345", Money(1_234_567))
	require.Equal(t, "-$0.0001", Money(-100))
	require.Equal(t, "a=1 b=2", Labels(map[string]string{"b": "2", "a": "1"}))
	require.Equal(t, "1 job", Count(1, "job", "jobs"))
	require.Equal(t, "0 jobs", Count(0, "job", "jobs"))
	now := time.Now()
	require.Empty(t, Age(time.Time{}, now))
	require.Empty(t, Clock(time.Time{}, now))
	require.Len(t, Clock(now, now), len("15:04:05"))
	require.Contains(t, Clock(now.AddDate(-1, 0, 0), now), "-")
}

func event(kind string, data map[string]any) client.Event {
	raw, _ := json.Marshal(data)
	return client.Event{Type: kind, At: time.Unix(1_800_000_000, 0), Data: raw}
}

func tell(brief bool, events ...client.Event) string {
	var out bytes.Buffer
	story := NewStory(Sized(&out, 0, false), brief)
	for _, e := range events {
		story.Tell(e)
	}
	return out.String()
}

func TestAStoryTellsWhoSpeaksInWhichRoundAndTheCostSoFar(t *testing.T) {
	said := map[string]any{
		"sub_problem": "s1", "round": 2, "persona": "risk", "name": "The Risk Officer", "text": "[simulated] Not yet.\nWait.", "cost_micro_usd": 12_300,
	}
	out := tell(false, event("job.queued", nil), event("contribution", said), event("contribution", said))
	require.Contains(t, out, "$0.0123   s1 r2  The Risk Officer  “Not yet. Wait.”")
	require.Equal(t, 1, strings.Count(out, "Risk Officer"), "what comes twice is told once")
	require.Equal(t, 1, strings.Count(out, "simulated model server"), "and that it is simulated is said")
	require.NotContains(t, tell(true, event("contribution", said)), "simulated model server", "a brief story leaves that to its teller")
}

func TestAStoryNeverFallsWithTheCost(t *testing.T) {
	out := tell(false, event("round.started", map[string]any{"sub_problem": "s1", "round": 1, "cost_micro_usd": 2_000_000}),
		event("round.started", map[string]any{"sub_problem": "s2", "round": 1, "cost_micro_usd": 1_000_000}))
	require.Equal(t, 2, strings.Count(out, "$2.0000"))
}

func TestEveryKindOfEventHasItsLine(t *testing.T) {
	for kind, want := range map[string]string{
		"job.started":     "started on w1",
		"job.released":    "handed back by w1 (draining)",
		"job.reclaimed":   "taken back from w1",
		"job.delayed":     "failed and is repeated later: boom",
		"job.parked":      "parked: budget",
		"job.killing":     "ordered to stop by bob: budget",
		"job.killed":      "killed by bob: budget (not running)",
		"job.failed":      "failed: draining: boom",
		"job.succeeded":   "succeeded",
		"job.resumed":     "resumed",
		"job.answered":    "answered by its owner",
		"job.held":        "waits: as many of its owner's jobs run as may",
		"job.unheld":      "has its turn",
		"convergence":     "agreement 80 %",
		"facilitator":     "calls for the vote",
		"model.retry":     "the model server has trouble",
		"model.again":     "asked for again",
		"done":            "after 7 calls",
		"something.newer": "something.newer",
	} {
		out := tell(false, event(kind, map[string]any{
			"worker": "w1", "cause": "draining", "error": "boom", "reason": "budget", "by": "bob", "verdict": "not_running",
			"convergence": 80, "next": "vote", "calls": 7,
		}))
		require.Contains(t, out, want, kind)
	}
	require.Contains(t, tell(false, client.Event{Type: "odd", Data: json.RawMessage(`[1]`)}), "odd")
}

func TestLongContributionsTakeTwoLinesOfATerminal(t *testing.T) {
	var out bytes.Buffer
	NewStory(Sized(&out, 80, false), true).Tell(event("contribution", map[string]any{
		"sub_problem": "s1", "round": 1, "name": "The Buyer", "text": strings.Repeat("many words ", 40),
	}))
	lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	require.Len(t, lines, 2)
	for _, l := range lines {
		require.LessOrEqual(t, length(l), 80)
	}
	require.True(t, strings.HasSuffix(lines[1], "…"))
}

func TestReceiptsSayWhatReallyHappened(t *testing.T) {
	at := time.Now()
	show := func(r client.Receipt) string {
		var out bytes.Buffer
		Receipt(Sized(&out, 0, false), r)
		return out.String()
	}
	single := show(client.Receipt{
		Order: "o", Scope: client.Scope{Kind: "job", Job: "j"}, Actor: "alice", Reason: "loops", Verdict: client.Stopped, State: client.Killed,
		Timeline: client.Timeline{Recorded: at, Delivered: at.Add(time.Millisecond), Cancelled: at.Add(2 * time.Millisecond), Returned: at.Add(30 * time.Millisecond)},
		Tally:    client.Tally{SpentAfter: 1500},
	})
	for _, want := range []string{"alice, because: loops", "stopped: its worker confirmed", "delivered +1.0ms, cancelled +2.0ms, returned +30ms", "$0.0015"} {
		require.Contains(t, single, want)
	}
	for _, v := range []client.Verdict{client.NotRunning, client.AlreadyOver, client.Fenced, client.Waiting, client.Deaf, ""} {
		require.NotEmpty(t, Meaning(v))
	}
	many := show(client.Receipt{
		Order: "o", Scope: client.Scope{Kind: "owner", Owner: "acme"}, Stage: client.InForce, Freeze: true,
		Tally: client.Tally{Targeted: 7, Stopped: 3, NotRunning: 2, AlreadyOver: 0, Fenced: 1, Waiting: 1, CoveredBefore: 4},
		Open:  []client.Open{{Job: "j9", Owner: "acme", Worker: "w3", Verdict: client.Deaf, LeaseEnds: at}},
	})
	for _, want := range []string{"every job of acme", "7 targeted = 3 stopped + 2 not running + 0 already over + 1 fenced + 1 waiting", "4 jobs were", "accepted", "closed in the same step", "j9", "w3", "deaf"} {
		require.Contains(t, many, want)
	}
	require.NotContains(t, many, "nobody holds authority", "accepted is not stopped")
	half := show(client.Receipt{Scope: client.Scope{Kind: "fleet"}, Stage: client.Recording, Missing: []int{2, 3}, Unread: []int{3}, Tally: client.Tally{Targeted: 2, Stopped: 2}})
	for _, want := range []string{"not all of them: the partitions [2 3]", "not taken yet by the partitions [2 3]", "of these [3] cannot be read"} {
		require.Contains(t, half, want)
	}
	require.Contains(t, show(client.Receipt{Scope: client.Scope{Kind: "fleet"}, Stage: client.Quiesced}), "nobody holds authority")
}

func TestAnOrderFillsUpOnOneLineOfATerminal(t *testing.T) {
	filling := []client.Receipt{
		{Tally: client.Tally{Targeted: 40, Waiting: 40}},
		{Tally: client.Tally{Targeted: 40, Stopped: 29, Waiting: 11}},
		{Tally: client.Tally{Targeted: 40, Stopped: 39, Waiting: 1}, Open: []client.Open{{Worker: "w-17"}}},
		{Tally: client.Tally{Targeted: 40, Stopped: 40}},
	}
	for width, want := range map[int][]string{80: {strings.Repeat("░", 20), "██████████████░░░░░░  29 of 40 over", strings.Repeat("█", 19) + "░  39 of 40", strings.Repeat("█", 20)}, 0: {"29 of 40 over", "1 waiting for w-17 (1)"}} {
		var out bytes.Buffer
		p := NewProgress(Sized(&out, width, false), time.Now())
		for _, r := range filling {
			p.Tell(r)
			p.Tell(r)
		}
		p.Done()
		for _, w := range want {
			require.Contains(t, out.String(), w)
		}
		if width == 0 {
			require.Equal(t, len(filling), strings.Count(out.String(), "\n"), "a line for each change")
			require.NotContains(t, out.String(), "█")
			continue
		}
		require.NotContains(t, out.String(), "\n")
		for _, line := range strings.Split(out.String(), "\r\x1b[K") {
			require.Less(t, utf8.RuneCountInString(line), width, "%q", line)
		}
	}
}

func TestMarkdownIsADocumentInAFileAndFoldedOnATerminal(t *testing.T) {
	text := "## Head\n\n1. **Do it** " + strings.Repeat("and on ", 30) + "\n\n> quoted " + strings.Repeat("words ", 30) + "\n\n| a | b |\n"
	var out bytes.Buffer
	Sized(&out, 0, false).Markdown(text)
	require.Equal(t, strings.TrimRight(text, "\n")+"\n", out.String())

	out.Reset()
	Sized(&out, 60, false).Markdown(text)
	for line := range strings.Lines(out.String()) {
		require.LessOrEqual(t, length(strings.TrimRight(line, "\n")), 60)
	}
	require.NotContains(t, out.String(), "##")
	require.NotContains(t, out.String(), "**")
	require.Contains(t, out.String(), "1. Do it and on")
	require.Contains(t, out.String(), "\n   on and", "the rest of an item is indented")
	require.Equal(t, 4, strings.Count(out.String(), "\n> "), "every line of a quotation is marked")
}

func TestAuditSaysWhoDidWhatToWhom(t *testing.T) {
	var out bytes.Buffer
	AuditTable([]client.AuditEntry{
		{N: 2, Act: "kill", Decision: "denied", Rule: "foreign", Who: json.RawMessage(`{"subject":"bob"}`), Fields: map[string]string{"scope": "job", "job": "j1", "reason": "mine"}},
		{N: 1, Act: "freeze", Decision: "allowed", Who: json.RawMessage(`nonsense`), Fields: map[string]string{"scope": "fleet"}},
	}, time.Now()).Write(Sized(&out, 0, false))
	require.Contains(t, out.String(), "denied (foreign)  bob  job j1  mine")
	require.Contains(t, out.String(), "fleet")
}
