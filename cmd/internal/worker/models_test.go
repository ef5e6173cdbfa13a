package worker

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestModelsByRoleAreReadFromAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		require.NoError(t, os.WriteFile(dir+"/"+name, []byte(text), 0o600))
		require.NoError(t, os.Chmod(dir+"/"+name, mode))
		return dir + "/" + name
	}
	key := write("key", "secret", 0o600)
	open := write("open", "secret", 0o644)
	p := &wired{cfg: Config{ModelURL: "http://127.0.0.1:1/v1"}}
	r, err := p.routes("")
	require.NoError(t, err)
	require.Zero(t, r)
	r, err = p.routes(write("models", `{"lead":{"url":"http://127.0.0.1:2/v1","key_file":"`+key+`","model":"o3"},"persona":{"model":"gpt-4o-mini"}}`, 0o600))
	require.NoError(t, err)
	require.Equal(t, "o3", r.Lead.Model)
	require.NotNil(t, r.Lead.Chat)
	require.Equal(t, "gpt-4o-mini", r.Persona.Model)
	require.Nil(t, r.Persona.Chat, "as for all")
	require.Zero(t, r.Synthesis)
	require.Len(t, p.models, 1, "and the worker closes it")
	p.models[0].Close()

	for text, want := range map[string]string{
		`{"leed":{}}`:                          "leed",
		`{"lead":{"key_file":"` + open + `"}}`: "chmod 600",
		`{"lead":{"url":"not a url"}}`:         "lead",
		`{} {}`:                                "follows",
		`[]`:                                   "want {",
	} {
		_, err := p.routes(write("bad", text, 0o600))
		require.ErrorContains(t, err, want, text)
	}
	_, err = p.routes(dir + "/none")
	require.ErrorContains(t, err, "none")
}
