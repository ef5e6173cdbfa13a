package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
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
	By    string        `name:"by" default:"owner" placeholder:"WHAT" help:"Who spends, by owner, kind, model, worker or label:KEY."`
	Every time.Duration `name:"every" default:"2s" help:"How often to look, 500ms or more."`
}

// Help says what the keys do.
func (topCommand) Help() string {
	return "Keys: q quits, r looks at once. Where nobody watches, and with --json, it looks once."
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
	first, err := look(ctx, cl, c.By)
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
	m := top{seen: first, at: time.Now(), every: c.Every, colour: d.screen.Colour(), look: func() tea.Msg {
		cctx, cancel := context.WithTimeout(ctx, glance)
		defer cancel()
		v, err := look(cctx, cl, c.By)
		return looked{v, time.Now(), err}
	}}
	p := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(d.Out), tea.WithEnvironment(d.Env), tea.WithoutSignalHandler())
	if _, err := p.Run(); err != nil && !errors.Is(err, tea.ErrProgramKilled) {
		return fmt.Errorf("terminal: %w", err)
	}
	return nil
}

// look asks for all that is shown.
func look(ctx context.Context, cl *client.Client, by string) (view, error) {
	var v view
	var err error
	if v.Fleet, err = cl.Fleet(ctx); err != nil {
		return v, err
	}
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

// top is what the terminal shows.
type top struct {
	seen          view
	at            time.Time // of seen
	err           error     // of the last look, since at
	round         int       // counts looks, so that a look by key starts the wait anew
	looking       bool
	width, height int
	every         time.Duration
	colour        bool
	look          tea.Cmd
}

// looked is what a look came to.
type looked struct {
	view view
	at   time.Time
	err  error
}

// due says that a round's wait is over.
type due int

// Init implements [tea.Model].
func (m top) Init() tea.Cmd { return m.wait() }

func (m top) wait() tea.Cmd {
	round := m.round
	return tea.Tick(m.every, func(time.Time) tea.Msg { return due(round) })
}

// Update implements [tea.Model].
func (m top) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return m.key(msg.String())
	case due:
		if int(msg) == m.round {
			return m.again()
		}
	case looked:
		m.looking, m.err = false, msg.err
		if msg.err == nil {
			m.seen, m.at = msg.view, msg.at
		}
		return m, m.wait()
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
	m.round++
	return m, m.look
}

// View implements [tea.Model].
func (m top) View() tea.View {
	v := tea.NewView(m.text(time.Now()))
	v.AltScreen, v.WindowTitle = true, "gavel top"
	return v
}
