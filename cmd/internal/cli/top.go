package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

const (
	// openOrders is of how many orders the receipts are read.
	openOrders = 5
	// glance bounds how long one look at the fleet may take.
	glance = 5 * time.Second
)

type topCommand struct {
	By    string        `name:"by" default:"owner" placeholder:"WHAT" help:"Who spends, by owner, submitter, kind, model, worker, version or label:KEY."`
	Every time.Duration `name:"every" default:"2s" help:"How often to look at the spend, 500ms or more; the fleet itself tells once a second."`
}

// Help says what the keys do.
func (topCommand) Help() string {
	return "Keys: q quits, r looks at the spend at once. Where nobody watches, and with --json, it looks once."
}

// view is the fleet as it was seen.
type view struct {
	Fleet client.Fleet `json:"fleet"`
	Spend client.Spend `json:"spend"`
	// Orders are the receipts of open orders, not of all when they are many.
	Orders []client.Receipt `json:"orders"`
}

// Run shows the fleet until it is left.
func (c topCommand) Run(ctx context.Context, d *desk) error {
	if c.Every < 500*time.Millisecond {
		return usage("--every: %s is too often; want 500ms or more", c.Every)
	}
	cl, err := d.client()
	if err != nil {
		return err
	}
	first, err := c.first(ctx, cl)
	if err != nil {
		return err
	}
	in, isFile := d.In.(*os.File)
	switch {
	case d.JSON:
		return d.document(first)
	case !d.screen.IsTerminal() || !isFile || !show.IsTerminal(in):
		first.write(d.screen, 0, time.Now())
		return nil
	}
	m := top{seen: first, at: time.Now(), money: time.Now(), every: c.Every, colour: d.screen.Colour(), look: func(f client.Fleet) tea.Cmd {
		return func() tea.Msg {
			cctx, cancel := context.WithTimeout(ctx, glance)
			defer cancel()
			v, err := look(cctx, cl, c.By, f)
			return looked{v, time.Now(), err}
		}
	}}
	p := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(d.Out), tea.WithEnvironment(d.Env), tea.WithoutSignalHandler())
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { watchFleet(watching, cl, func(n news) { p.Send(n) }) })
	defer watch.Wait()
	defer stop()
	if _, err := p.Run(); err != nil && !errors.Is(err, tea.ErrProgramKilled) {
		return fmt.Errorf("terminal: %w", err)
	}
	return nil
}

// first is the whole picture, asked for once.
func (c topCommand) first(ctx context.Context, cl *client.Client) (view, error) {
	f, err := cl.Fleet(ctx)
	if err != nil {
		return view{}, err
	}
	return look(ctx, cl, c.By, f)
}

// comeBack is how long it is waited before a fleet that nobody tells of any more
// is asked again.
const comeBack = time.Second

// watchFleet tells how the fleet is, as its dispatcher does, until ctx ends.
func watchFleet(ctx context.Context, cl *client.Client, tell func(news)) {
	for ctx.Err() == nil {
		for n, err := range cl.WatchFleet(ctx) {
			switch {
			case err != nil:
				tell(news{err: err})
			case n.Trouble != nil:
				tell(news{err: n.Trouble})
			default:
				tell(news{fleet: n.Fleet, at: time.Now()})
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(comeBack):
		}
	}
}

// look asks for what the fleet does not tell of itself: the spend, and what its
// open orders have come to.
func look(ctx context.Context, cl *client.Client, by string, f client.Fleet) (view, error) {
	v := view{Fleet: f}
	var err error
	if v.Spend, err = cl.Spend(ctx, by); err != nil {
		return v, err
	}
	v.Orders = []client.Receipt{}
	for _, id := range v.Fleet.OpenOrders[:min(len(v.Fleet.OpenOrders), openOrders)] {
		r, err := cl.Receipt(ctx, id)
		if err != nil {
			return v, err
		}
		v.Orders = append(v.Orders, r)
	}
	return v, nil
}

// stale is from when on a picture says how old it is: the news come once a second.
const stale = 4 * time.Second

// top is what the terminal shows.
type top struct {
	seen          view
	at            time.Time // when the fleet was seen
	money         time.Time // when the spend was
	err           error     // of the last news or look, since at
	looking       bool
	width, height int
	every         time.Duration
	colour        bool
	look          func(client.Fleet) tea.Cmd
}

// news is the fleet as it tells of itself.
type news struct {
	fleet client.Fleet
	at    time.Time
	err   error
}

// looked is what a look came to.
type looked struct {
	view view
	at   time.Time
	err  error
}

// second passes.
type second struct{}

// Init implements [tea.Model].
func (m top) Init() tea.Cmd { return pass() }

// pass lets a picture age that nothing else changes.
func pass() tea.Cmd { return tea.Tick(time.Second, func(time.Time) tea.Msg { return second{} }) }

// Update implements [tea.Model].
func (m top) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return m.key(msg.String())
	case second:
		return m, pass()
	case news:
		return m.told(msg)
	case looked:
		m.looking, m.err = false, msg.err
		if msg.err == nil {
			m.seen.Spend, m.seen.Orders, m.money = msg.view.Spend, msg.view.Orders, msg.at
		}
	}
	return m, nil
}

// told takes what the fleet says, and looks at the spend when that is old, or at
// orders that came or went.
func (m top) told(n news) (tea.Model, tea.Cmd) {
	if m.err = n.err; n.err != nil {
		return m, nil
	}
	changed := !slices.Equal(m.seen.Fleet.OpenOrders, n.fleet.OpenOrders)
	m.seen.Fleet, m.at = n.fleet, n.at
	if changed || len(n.fleet.OpenOrders) > 0 || n.at.Sub(m.money) >= m.every {
		return m.again()
	}
	return m, nil
}

func (m top) key(name string) (tea.Model, tea.Cmd) {
	switch name {
	case "q", "esc", "ctrl+c":
		return m, tea.Quit
	case "r":
		return m.again()
	default:
		return m, nil
	}
}

// again looks, unless it does already.
func (m top) again() (tea.Model, tea.Cmd) {
	if m.looking {
		return m, nil
	}
	m.looking = true
	return m, m.look(m.seen.Fleet)
}

// View implements [tea.Model].
func (m top) View() tea.View {
	v := tea.NewView(m.text(time.Now()))
	v.AltScreen, v.WindowTitle = true, "gavel top"
	return v
}
