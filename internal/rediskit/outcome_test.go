package rediskit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/fstest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
)

// said is an error as a server gives it.
type said string

func (s said) Error() string { return string(s) }
func (said) RedisError()     {}

func TestWhatAFailedCallLeftBehind(t *testing.T) {
	for _, refused := range []string{
		"READONLY You can't write against a read only replica.", "LOADING Redis is loading the dataset in memory",
		"MASTERDOWN Link with MASTER is down", "CLUSTERDOWN Hash slot not served", "TRYAGAIN Multiple keys request during rehashing of slot",
		"NOREPLICAS Not enough good replicas to write.", "BUSY Redis is busy running a script.", "NOSCRIPT No matching script.",
		"NOPERM this user has no permissions", "NOAUTH Authentication required.", "WRONGPASS invalid username-password pair",
		"OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'",
		"MISCONF Redis is configured to save RDB snapshots", "MOVED 3999 127.0.0.1:6381", "ASK 3999 127.0.0.1:6381",
		"ERR max number of clients reached",
	} {
		require.Equal(t, rediskit.NotExecuted, rediskit.OutcomeOf(said(refused)), refused)
		require.Equal(t, rediskit.NotExecuted, rediskit.OutcomeOf(fmt.Errorf("submit: %w", said(refused))), refused)
	}
	for _, unknown := range []error{
		io.EOF, net.ErrClosed, context.DeadlineExceeded, context.Canceled, redis.ErrPoolTimeout, redis.ErrClosed,
		&net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")},
		&net.OpError{Op: "write", Net: "tcp", Err: errors.New("broken pipe")},
		said("ERR value is not an integer or out of range script: 37c4, on @user_script:94."),
		said("WRONGTYPE Operation against a key holding the wrong kind of value script: 37c4, on @user_script:3."),
		// From within a script that may have written before.
		said("NOPERM this user has no permissions to access one of the keys script: 37c4, on @user_script:3."),
		said("OOM command not allowed when used memory > 'maxmemory'. script: 37c4, on @user_script:3."),
		// A word of a refusal in the middle of a text is none.
		said("ERR it said OOM twice"), errors.New("the TASK failed"), errors.New("READONLY but not from redis"),
		fmt.Errorf("submit: %w", rediskit.ErrReply),
	} {
		require.Equal(t, rediskit.Unknown, rediskit.OutcomeOf(unknown), unknown.Error())
	}
}

func TestARefusedConnectionLeftNothingBehind(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	c := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, DialerRetries: 1, DialTimeout: time.Second})
	defer func() { _ = c.Close() }()
	err = c.Ping(t.Context()).Err()
	require.Error(t, err)
	require.Equal(t, rediskit.NotExecuted, rediskit.OutcomeOf(err), err.Error())
}

func TestWhatTheRoomsSayOfAFailure(t *testing.T) {
	require.NoError(t, rediskit.Unavailable(nil))
	require.NoError(t, rediskit.Unread(nil))

	lost := rediskit.Unavailable(io.EOF)
	require.ErrorIs(t, lost, job.ErrUnavailable)
	require.ErrorIs(t, lost, job.ErrOutcomeUnknown)
	require.ErrorIs(t, lost, io.EOF, "the cause is for the log")
	require.Equal(t, lost, rediskit.Unavailable(lost), "once is enough")

	refused := rediskit.Unavailable(said("OOM no"))
	require.ErrorIs(t, refused, job.ErrUnavailable)
	require.NotErrorIs(t, refused, job.ErrOutcomeUnknown)

	read := rediskit.Unread(io.EOF)
	require.ErrorIs(t, read, job.ErrUnavailable)
	require.NotErrorIs(t, read, job.ErrOutcomeUnknown, "a read leaves nothing behind")
}

func TestAReplyThatIsNotInTheHeaderIsRefused(t *testing.T) {
	s, err := rediskit.Load(fstest.MapFS{"lua/odd.lua": {Data: []byte(
		"-- odd: (no job moves)\n-- KEYS: beat\n-- ARGV: word\n-- REPLY: fine\nlocal _ = K.beat, 'fine'\nreturn { A.word }\n")}}, "odd")
	require.NoError(t, err)
	server := redistest.Start(t)
	run := rediskit.Runner{Client: server.Client(t), Profile: rediskit.Server}
	at := rediskit.Place{Slot: rediskit.NewSlot(server.Fleet, 0)}
	reply, err := run.Run(t.Context(), s, at, rediskit.Args{"word": "fine"})
	require.NoError(t, err)
	require.Equal(t, "fine", reply.Word)
	_, err = run.Run(t.Context(), s, at, rediskit.Args{"word": "other"})
	require.ErrorIs(t, err, rediskit.ErrReply)
	require.Equal(t, rediskit.Unknown, rediskit.OutcomeOf(err))

	// A server that forgot its scripts is told them again.
	require.NoError(t, run.Client.ScriptFlush(t.Context()).Err())
	_, err = run.Run(t.Context(), s, at, rediskit.Args{"word": "fine"})
	require.NoError(t, err)
}
