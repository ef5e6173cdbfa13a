package cmd_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/internal/modelsim"
)

// What nobody but its owner may read, marked so that it is found wherever it goes:
// prompts, replies, labels, the people's keys, a stored key, Redis's password and the
// model server's key are in no log at its most talkative, no metric, no span, no
// audit entry and no error.
func TestSecretsStayWhereTheyBelong(t *testing.T) {
	t.Parallel()
	const prompt, label, modelKey, reply = "kanarienvogel-im-prompt", "kanarienvogel-im-label", "kanarienvogel-modellschluessel", "kanarienvogel-antwort"
	c := newTraced(t, 1, directly)
	sim, err := modelsim.New(modelsim.Config{Seed: 3})
	require.NoError(t, err)
	heard := make(chan string, 1000)
	model := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard <- r.Header.Get("Authorization")
		sim.Handler().ServeHTTP(w, r)
	}))
	bad := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest) // and says what it was asked, as servers do
		_, _ = io.WriteString(w, `{"error":{"message":"`+reply+` is no answer to `+prompt+`","type":"x","code":"y","param":""}}`)
	}))
	keyFile := filepath.Join(c.dir, "model.key")
	require.NoError(t, os.WriteFile(keyFile, []byte(modelKey), 0o600))
	private := []string{"GAVEL_PRIVATE_LISTEN=127.0.0.1:0", "GAVEL_MODEL_KEY_FILE=" + keyFile}
	c.worker("w1", append(private, "GAVEL_MODEL_URL="+model+"/v1")...)
	require.NoError(t, c.startDispatcher("second", unset, append(c.vars, private[0])...))

	input := `{"problem":"Should the ` + prompt + ` sing on Sundays?","max_rounds":1,"max_sub_problems":1,"transcript":true}`
	submit := func() string {
		return c.post("alice", "/v1/jobs", `{"kind":"deliberation","labels":{"note":"`+label+`"},"input":`+input+`,"max_attempts":1}`)["id"].(string)
	}
	good := submit()
	c.becomes(t, good, "succeeded")
	require.Equal(t, "Bearer "+modelKey, <-heard, "the key was used")
	killed := submit()
	_ = c.post("adam", "/v1/jobs/"+killed+"/kill", `{"reason":"one of each","wait_seconds":10}`)
	stored := c.post("adam", "/v1/keys", `{"subject":"eve","owner":"eve","roles":["owner"]}`)["secret"].(string)
	for _, wrong := range []knock{
		{who: "nobody-" + stored, method: "GET", path: "/v1/jobs/" + good},
		{who: "bob", method: "GET", path: "/v1/jobs/" + good},
		{who: "alice", method: "POST", path: "/v1/jobs", body: `{"kind":"deliberation","input":{"problem":"` + prompt + `","model":"a\nb"}}`},
		{who: "alice", method: "POST", path: "/v1/jobs", body: `{"kind":"deliberation","input":{"problem":"` + prompt + `"`},
	} {
		_, _, body := answered(t, c.fleet, wrong)
		for _, secret := range []string{prompt, stored, "nobody-"} {
			require.NotContains(t, body, secret, "%+v", wrong)
		}
	}
	require.NoError(t, c.processes["w1"].signal("TERM"))
	_, err = c.processes["w1"].exits()
	require.NoError(t, err)
	c.worker("w2", append(private, "GAVEL_MODEL_URL="+bad+"/v1")...)
	refused := submit()
	c.becomes(t, refused, "failed")

	// A Redis that says no to the password, one in a URL that cannot be read.
	const password = "kanarienvogel-redis"
	for _, url := range []string{"redis://worker:" + password + "@127.0.0.1:1", "redis://worker:" + password + "@127.0.0.1:1/x/y", "redis://:" + password + "%zz@h"} {
		p, err := launch("bad", filepath.Join(binaries, "worker"), c.environment("worker", unset, []string{"GAVEL_REDIS_URL=" + url, "GAVEL_WORKER_ID=x"}))
		require.NoError(t, err)
		c.processes["bad "+url[:20]] = p
		late := time.After(3 * time.Second)
		select {
		case <-p.gone:
		case <-late:
		}
		p.end()
		require.NotContains(t, p.log.text(), password)
		require.NotEmpty(t, p.log.text())
	}

	outputs := map[string]string{}
	for name, p := range c.processes {
		outputs["the log of "+name] = p.log.text()
	}
	for _, name := range []string{"w2", "second"} {
		addr, err := c.processes[name].said("metrics, profiles and log level", "addr")
		require.NoError(t, err)
		outputs["the metrics of "+name] = fetched(t, "http://"+addr+"/metrics")
	}
	for where, text := range outputs {
		for _, id := range []string{good, killed, refused, "alice", "adam"} { // names have no bound: they are no label
			require.False(t, strings.Contains(where, "metrics") && strings.Contains(text, id), "%s have %s", where, id)
		}
	}
	c.spans(counted(1, "run", "gavel.job", good), counted(1, "run", "gavel.job", refused))
	outputs["the spans"] = fetched(t, c.url+"/spans")
	_, _, outputs["the audit"] = answered(t, c.fleet, knock{who: "adam", method: "GET", path: "/v1/audit?limit=200"})
	_, _, outputs["the audit's log"] = answered(t, c.fleet, knock{who: "adam", method: "GET", path: "/v1/audit/log?limit=500"})
	_, _, outputs["the fleet"] = answered(t, c.fleet, knock{who: "adam", method: "GET", path: "/v1/fleet"})
	_, _, outputs["the orders"] = answered(t, c.fleet, knock{who: "adam", method: "GET", path: "/v1/orders"})
	secrets := []string{prompt, label, modelKey, reply, stored, secretOf("alice"), secretOf("adam")}
	for where, text := range outputs {
		if where == "the log of collector" {
			continue
		}
		require.NotEmpty(t, text, where)
		for _, secret := range secrets {
			require.NotContains(t, text, secret, where)
		}
	}

	// In Redis are the owner's own texts; credentials are not, but for hashes.
	look := c.ground.servers[0].Client(t)
	dump := everything(t, look, c.name)
	require.Contains(t, dump, prompt)
	for _, secret := range []string{modelKey, stored, secretOf("alice"), secretOf("adam")} {
		require.NotContains(t, dump, secret)
	}
	j, err := c.as("alice").Job(t.Context(), good)
	require.NoError(t, err)
	require.Equal(t, client.Succeeded, j.State)
}

func fetched(t *testing.T, url string) string {
	t.Helper()
	_, body := asks(t, http.MethodGet, url, "")
	return body
}

// everything is all that a fleet has in Redis, as bytes.
func everything(t *testing.T, c *redis.Client, fleet string) string {
	t.Helper()
	var all strings.Builder
	ctx := context.WithoutCancel(t.Context())
	it := c.Scan(ctx, 0, "{"+fleet+":*", 1000).Iterator()
	for it.Next(ctx) {
		all.WriteString(it.Val())
		switch c.Type(ctx, it.Val()).Val() {
		case "hash":
			for k, v := range c.HGetAll(ctx, it.Val()).Val() {
				all.WriteString(k + "=" + v + "\n")
			}
		case "string":
			all.WriteString(c.Get(ctx, it.Val()).Val())
		case "stream":
			for _, m := range c.XRange(ctx, it.Val(), "-", "+").Val() {
				for k, v := range m.Values {
					text, _ := v.(string)
					all.WriteString(k + "=" + text + "\n")
				}
			}
		case "zset":
			all.WriteString(strings.Join(c.ZRange(ctx, it.Val(), 0, -1).Val(), "\n"))
		default:
		}
	}
	require.NoError(t, it.Err())
	return all.String()
}
