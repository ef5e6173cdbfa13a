package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// verified waits until all that was noted is sealed, and verifies it.
func (w town) verified(n uint64) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		s := w.gavel("dev-admin", "audit", "verify", "--json")
		if s.err != nil {
			require.Contains(w.t, s.err.Error(), "no signed head", "nothing is sealed yet")
			return false
		}
		var rep struct {
			Partitions []struct{ Entries, Signed uint64 }
		}
		s.into(&rep)
		return rep.Partitions[0].Entries == n && rep.Partitions[0].Signed == n
	}, 20*time.Second, 50*time.Millisecond)
}

func TestTheAuditIsVerifiedExportedAndFollowed(t *testing.T) {
	w := newTown(t, quick())
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	screen := newTTY("thaw allowed")
	followed := make(chan said, 1)
	go func() {
		followed <- w.run(ctx, Process{In: strings.NewReader(""), Out: screen, Err: screen}, "dev-admin", "audit", "follow", "--all", "--every", "50ms")
	}()
	w.gavel("dev-alice", "freeze", "--reason", "mischief").fails(codeRefused)
	w.gavel("dev-admin", "freeze", "--reason", "a drill").ok()
	w.gavel("dev-admin", "thaw", "--reason", "it is over").ok()
	w.verified(3)
	require.Contains(t, w.gavel("dev-admin", "audit", "verify").ok(), "entries 1 to 3, none missing, none changed; signed up to 3")
	require.Contains(t, w.gavel("dev-admin", "audit", "-n", "1").ok(), "it is over", "a list needs no word")
	select {
	case <-screen.seen:
	case <-time.After(20 * time.Second):
		require.Fail(t, "the thaw is not followed")
	}
	interrupt()
	require.NoError(t, (<-followed).err)

	dir := t.TempDir()
	export := filepath.Join(dir, "audit.jsonl")
	text := w.gavel("dev-admin", "audit", "export").ok()
	require.NoError(t, os.WriteFile(export, []byte(text), 0o600))
	require.Contains(t, w.gavel("", "audit", "verify", export).ok(), "entries 1 to 3", "a file is verified without a credential")
	require.Contains(t, w.gavel("dev-admin", "audit", "verify", "--live", export).ok(), "entries 1 to 3")

	require.NoError(t, os.WriteFile(export, []byte(strings.Replace(text, "a drill", "a grill", 1)), 0o600))
	w.gavel("", "audit", "verify", export).fails(codeFailed, "entry 2", "edited")
	w.gavel("dev-admin", "audit", "verify", "--live", export).fails(codeFailed, "entry 2", "edited")

	key := filepath.Join(dir, "audit.key")
	public := w.gavel("", "audit", "key", key)
	require.Contains(t, public.ok(), "BEGIN PUBLIC KEY")
	pub := filepath.Join(dir, "audit.pub")
	require.NoError(t, os.WriteFile(pub, []byte(w.gavel("", "audit", "key", "--public", key).ok()), 0o600))
	w.gavel("", "audit", "key", key).fails(codeUsage, "never written over")
	w.gavel("dev-admin", "audit", "verify", "--public-key", pub).fails(codeFailed, "wrong key")
	w.gavel("dev-admin", "audit", "verify", "--public-key", key).fails(codeUsage, "no public")
	w.gavel("dev-admin", "audit", "verify", filepath.Join(dir, "none")).fails(codeUsage, "none")
	w.gavel("dev-alice", "audit", "verify").fails(codeRefused)
	w.gavel("dev-admin", "audit", "follow", "--every", "1ms").fails(codeUsage, "too often")
}
