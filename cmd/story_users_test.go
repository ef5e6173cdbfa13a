package cmd_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/redistest"
)

// usersFile has the users that Redis has in production. The stories are told
// under them; only the story itself, who plays operator and fate, may do all.
const usersFile = "../deploy/redis/users.acl"

const passwordOfUsers = "a-secret-of-the-stories"

// users are the processes' users as words of the configuration, for any fleet
// that a test may make.
func users(t testing.TB) (all [][]string) {
	t.Helper()
	text, err := os.ReadFile(usersFile)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(strings.ReplaceAll(line, "{gavel:*", "{t-*"))
		if len(words) > 1 && slices.Contains([]string{"dispatcher", "worker"}, words[1]) {
			all = append(all, append(words[1:], ">"+passwordOfUsers))
		}
	}
	require.Len(t, all, 2, "%s names the users of both processes", usersFile)
	return all
}

// admit gives the shared Redis the users. Saying it again changes nothing.
func admit(t testing.TB, s *redistest.Server) {
	t.Helper()
	c := s.Client(t)
	for _, u := range users(t) {
		words := []any{"ACL", "SETUSER"}
		for _, w := range u {
			words = append(words, w)
		}
		require.NoError(t, c.Do(context.Background(), words...).Err())
	}
}

// configured gives a Redis of the story's own the users when it starts, so that
// it has them again after a crash.
func configured(t testing.TB) (config []string) {
	t.Helper()
	for _, u := range users(t) {
		config = append(append(config, "--user"), u...)
	}
	return config
}

// under is the address of a Redis, or of a link to it, for a user of it.
func under(user, address string) string {
	return strings.Replace(address, "://", "://"+user+":"+passwordOfUsers+"@", 1) // several hosts are no URL to others
}

// refusals are what Redis has refused the fleet's processes, in its own words. A
// worker asks for the server's replication settings, which it may not read, and
// goes on with a warning; that one is meant.
func (f *fleet) refusals() ([]string, error) {
	var out []string
	for _, s := range f.ground.servers {
		log, err := s.Client(f.t).ACLLog(context.Background(), 128).Result()
		if err != nil {
			return nil, err
		}
		for _, e := range log {
			what := fmt.Sprintf("%s: %s %s", e.Username, e.Reason, e.Object)
			other := e.Reason == "key" && !strings.Contains(e.Object, f.name)
			if what != "worker: command config|get" && !other {
				out = append(out, what)
			}
		}
	}
	return out, nil
}
