package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/dev"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

func TestAnEventIsOneLineWhateverIsInIt(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 5_000_000, time.UTC)
	for data, want := range map[string]string{
		`{"round":1,"persona":"risk","text":"We should wait."}`:  `contribution round=1 persona=risk text="We should wait."`,
		`{"z":1,"a":{"b":[1, 2]},"ok":true,"no":null,"none":""}`: `contribution z=1 a={"b":[1,2]} ok=true no="" none=""`,
		`{"text":"two\nlines","evil":"a\u001b[2Jb","eq":"a=b"}`:  `contribution text="two\nlines" evil="a\x1b[2Jb" eq="a=b"`,
		`{"long":"` + strings.Repeat("x", 200) + `"}`:            `contribution long=` + strings.Repeat("x", clipAt) + "…",
		`[1,2]`: `contribution data=[1,2]`, `{}`: `contribution`, ``: `contribution`, `{"a":`: `contribution data=?`,
	} {
		var out bytes.Buffer
		got := (&logsCommand{}).line(show.NewScreen(&out, true), client.Event{Type: "contribution", At: at, Data: json.RawMessage(data)})
		require.Equal(t, "2026-03-01T12:00:00.005Z "+want, got)
		require.NotContains(t, got, "\n")
	}
	full := (&logsCommand{Full: true}).line(show.NewScreen(&bytes.Buffer{}, true), client.Event{Type: "x", Data: json.RawMessage(`{"long":"` + strings.Repeat("x", 200) + `"}`)})
	require.Equal(t, "- x long="+strings.Repeat("x", 200), full)
}

func TestLogsFollowAJobToItsEnd(t *testing.T) {
	t.Parallel()
	w := newTown(t, quick())
	id := w.submit(dev.Alice, "return-to-office")
	all := w.gavel(dev.Alice, "logs", id).ok()
	lines := strings.Split(strings.TrimSpace(all), "\n")
	require.Contains(t, lines[0], " job.queued ")
	require.Contains(t, lines[len(lines)-1], " job.succeeded")
	require.Greater(t, len(lines), 10)

	some := w.gavel(dev.Alice, "logs", "--json", "--type", "job.", id).ok()
	dec := json.NewDecoder(strings.NewReader(some))
	n := 0
	for ; dec.More(); n++ {
		var e eventLine
		require.NoError(t, dec.Decode(&e))
		require.True(t, strings.HasPrefix(e.Type, "job."), e.Type)
		require.NotEmpty(t, e.ID)
	}
	require.Less(t, n, len(lines))
	w.gavel(dev.Bob, "logs", id).fails(codeRefused)
}
