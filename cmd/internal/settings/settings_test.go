package settings_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/cmd/internal/dispatcher"
	"github.com/rtfm-si/gavel/cmd/internal/settings"
	"github.com/rtfm-si/gavel/cmd/internal/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryVariableThatABinaryReadsIsKnown(t *testing.T) {
	for _, cfg := range []any{&dispatcher.Config{}, &worker.Config{}} {
		parser, err := kong.New(cfg)
		require.NoError(t, err)
		for _, flag := range parser.Model.Flags {
			for _, env := range flag.Envs {
				require.Contains(t, settings.Variables(), env)
			}
			if flag.Name != "help" {
				require.NotEmpty(t, flag.Envs, "--%s has no variable", flag.Name)
				require.NotEmpty(t, flag.Help, "--%s has no help", flag.Name)
			}
		}
	}
}

func TestAVariableThatNobodyReadsIsRefused(t *testing.T) {
	require.ErrorContains(t, settings.RefuseUnknown([]string{"PATH=/bin", "GAVEL_SLOT=8"}), "GAVEL_SLOT")
	require.NoError(t, settings.RefuseUnknown([]string{"GAVEL_SLOTS=8", "GAVELLED=1"}))
	require.ErrorContains(t, settings.Parse("x", "about", &struct{}{}, nil, []string{"GAVEL_SLOT=8"}, &bytes.Buffer{}), "GAVEL_SLOT")
}

func TestHelpIsNoError(t *testing.T) {
	var out bytes.Buffer
	_, err := worker.Parse([]string{"--help"}, nil, &out)
	require.ErrorIs(t, err, settings.ErrHelp)
	require.Contains(t, out.String(), "--drain-grace")
}

type coded int

func (coded) Error() string   { return "it is so" }
func (c coded) ExitCode() int { return int(c) }

func TestProcessEndsWithTheCodeOfItsError(t *testing.T) {
	for want, err := range map[int]error{0: nil, 1: errors.New("it is so"), 3: coded(3), 4: fmt.Errorf("and: %w", coded(4))} {
		var out bytes.Buffer
		require.Equal(t, want, settings.Process(&out, func(context.Context, <-chan struct{}) error { return err }))
		require.Equal(t, err != nil, out.Len() > 0)
	}
	require.Zero(t, settings.Process(&bytes.Buffer{}, func(context.Context, <-chan struct{}) error { return settings.ErrHelp }))
}

// A process that is asked to leave while it still waits for a Redis has nothing to
// put away: that is a clean end, as a rolling restart in an outage has many.
func TestWhoIsAskedToLeaveBeforeRedisAnswersEndsCleanly(t *testing.T) {
	var out bytes.Buffer
	code := settings.Process(&out, func(ctx context.Context, _ <-chan struct{}) error {
		require.NoError(t, syscall.Kill(syscall.Getpid(), syscall.SIGTERM))
		nobody := settings.Redis{Address: settings.Address{URL: "redis://127.0.0.1:1", Fleet: "f"}, Partitions: 1}
		_, err := nobody.Connect(ctx, "test", settings.Conns{}, 0, zap.NewNop())
		return err
	})
	require.Zero(t, code, out.String())
	require.Contains(t, out.String(), "asked to leave")
}

func TestTheFirstSignalEndsTheContextAndTheSecondHurries(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		code := settings.Process(&bytes.Buffer{}, func(ctx context.Context, hurry <-chan struct{}) error {
			require.NoError(t, syscall.Kill(syscall.Getpid(), sig))
			<-ctx.Done()
			select {
			case <-hurry:
				return errors.New("the first signal must not hurry")
			default:
			}
			require.NoError(t, syscall.Kill(syscall.Getpid(), sig))
			<-hurry
			return nil
		})
		require.Zero(t, code)
	}
}
