package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/dev"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

// Config says how it is played.
type Config struct {
	// Fleet is the fleet to play on: embedded, with three workers or more, of two
	// slots or more.
	Fleet dev.Config
	// Pause is how long a reader gets after each scene.
	Pause time.Duration
	// Self is how the command is called, for what to do next.
	Self string
}

// play is one performance.
type play struct {
	cfg    Config
	screen *show.Screen
	fleet  *dev.Fleet

	alice, bob, admin *client.Client

	promises int
	second   string         // the job that its owner kills
	receipt  client.Receipt // of that kill
	all      client.Receipt // of the kill-all
}

// scene is one part of the play.
type scene struct {
	heading string
	play    func(*play, context.Context) error
}

func scenes() []scene {
	return []scene{
		{"A fleet in this process", (*play).gather},
		{"A problem is deliberated", (*play).deliberate},
		{"A stranger cannot stop somebody's job", (*play).stranger},
		{"Its owner can, and gets a receipt", (*play).owner},
		{"A worker leaves in the middle of a job", (*play).leave},
		{"The on-call person stops everything", (*play).stopAll},
		{"While frozen nothing starts; then it is thawed", (*play).thaw},
		{"Who did what, and what was paid for", (*play).account},
	}
}

// Play plays the demo to its end. It returns the first promise that was broken.
func Play(ctx context.Context, cfg Config, screen *show.Screen, log *zap.Logger) (err error) {
	began := time.Now()
	screen.Line("%s", screen.Paint(show.Bold, "Gavel runs LLM deliberations on a fleet of workers and can stop any of them, or all of them, at once."))
	fleet, err := dev.Start(ctx, cfg.Fleet, log)
	if err != nil {
		return fmt.Errorf("start the fleet: %w", err)
	}
	defer func() {
		if err != nil {
			fleet.Hurry()
		}
		err = errors.Join(err, fleet.Close())
	}()
	p := &play{cfg: cfg, screen: screen, fleet: fleet}
	if err := p.credentials(); err != nil {
		return err
	}
	for i, s := range scenes() {
		screen.Heading("%d. %s", i+1, s.heading)
		if err := s.play(p, ctx); err != nil {
			return fmt.Errorf("scene %d (%s): %w", i+1, s.heading, err)
		}
		if err := p.rest(ctx); err != nil {
			return err
		}
	}
	screen.Heading("All %d promises were kept, in %s.", p.promises, show.Span(time.Since(began)))
	screen.Line("Now yourself:  %s", screen.Paint(show.Bold, cfg.Self+" dev"))
	return screen.Err()
}

func (p *play) credentials() error {
	for token, c := range map[string]**client.Client{dev.Alice: &p.alice, dev.Bob: &p.bob, dev.Admin: &p.admin} {
		var err error
		if *c, err = client.New(p.fleet.URL(), client.WithKey(token), client.WithUserAgent("gavel-demo")); err != nil {
			return fmt.Errorf("the fleet's address: %w", err)
		}
	}
	return nil
}

// rest gives a reader time.
func (p *play) rest(ctx context.Context) error {
	t := time.NewTimer(p.cfg.Pause)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("interrupted: %w", context.Cause(ctx))
	case err := <-p.fleet.Failed():
		return fmt.Errorf("a part of the fleet ended: %w", err)
	case <-t.C:
		return nil
	}
}

// say writes a line that tells what happens next.
func (p *play) say(format string, args ...any) { p.screen.Line("  "+format, args...) }

// promise checks one promise: what must be so, and what is so if it is not.
func (p *play) promise(kept bool, text, but string, args ...any) error {
	if !kept {
		p.screen.Line("  %s %s", p.screen.Paint(show.Red, "✗"), text)
		return fmt.Errorf("promised: %s; but "+but, append([]any{text}, args...)...)
	}
	p.promises++
	p.screen.Line("  %s %s", p.screen.Paint(show.Green, "✓"), text)
	return nil
}
