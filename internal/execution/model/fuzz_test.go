package model

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Whatever a model server sends as a stream, the call ends, with an error or
// with a reply whose usage can be billed.
func FuzzAnyStreamEndsInAReplyOrAnError(f *testing.F) {
	for _, seed := range []string{
		"data: " + word("hi") + "\n\ndata: " + stop + "\n\ndata: " + usage + "\n\ndata: [DONE]\n\n",
		"data: " + word("hi") + "\n\n", "data: [DONE]\n\n", "<html>", "data: {\"choices\":[]}\n\n", "data: {\n\n", ": comment\n\n",
		"data: {\"choices\":[{\"index\":7,\"delta\":null}]}\n\n", "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":-1}}\n\n",
		"data: {\"error\":{\"message\":\"no\"}}\n\n", "event: x\ndata: y\n\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c := served(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = w.Write(body)
		})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		reply, err := c.Chat(ctx, ask("?"), yes)
		require.NoError(t, ctx.Err(), "the body has ended, so must the call")
		if err == nil {
			require.GreaterOrEqual(t, reply.InputTokens, 0)
			require.GreaterOrEqual(t, reply.OutputTokens, 0)
		}
	})
}
