package deliberation

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rtfm-si/gavel/internal/problem"
)

// decode reads the JSON object in a reply and checks it. Models like to put it
// between fences or sentences; what is outside the braces is not minded.
func decode[T any](e entry, check func(*T) error) (T, error) {
	var value T
	if e.Fault != "" {
		return value, errors.New(e.Fault)
	}
	from, to := strings.IndexByte(e.Text, '{'), strings.LastIndexByte(e.Text, '}')
	if from < 0 || to < from {
		return value, errors.New("it holds no JSON object")
	}
	if err := json.Unmarshal([]byte(e.Text[from:to+1]), &value); err != nil {
		return value, fmt.Errorf("its JSON is not as asked: %w", err)
	}
	return value, check(&value)
}

// inquiry is what the deliberation would like to know from its owner.
type inquiry struct {
	Questions []string `json:"questions"`
}

func (q *inquiry) check() error {
	q.Questions = tidy(q.Questions, 5)
	return nil
}

// plan is the problem taken apart.
type plan struct {
	Complexity  int    `json:"complexity"`
	SubProblems []part `json:"sub_problems"`
}

type part struct {
	ID         string   `json:"id"`
	Title      string   `json:"title"`
	Goal       string   `json:"goal"`
	Complexity int      `json:"complexity"`
	DependsOn  []string `json:"depends_on"`
}

func (p *plan) check(most int) error {
	if n := len(p.SubProblems); n < 1 || n > most {
		return fmt.Errorf("sub_problems has %d entries; want 1 to %d", n, most)
	}
	known := map[string]bool{}
	for i := range p.SubProblems {
		s := &p.SubProblems[i]
		if want := fmt.Sprintf("s%d", i+1); s.ID != want {
			return fmt.Errorf("sub_problems[%d].id is %q; want %q", i, s.ID, want)
		}
		if err := s.check(); err != nil {
			return fmt.Errorf("sub_problems[%d]: %w", i, err)
		}
		known[s.ID] = true
	}
	for _, s := range p.SubProblems {
		for _, d := range s.DependsOn {
			if !known[d] || d == s.ID {
				return fmt.Errorf("%s depends on %q, which is no other sub-problem", s.ID, d)
			}
		}
	}
	return p.acyclic()
}

func (s *part) check() error {
	s.Title, s.Goal = strings.TrimSpace(s.Title), strings.TrimSpace(s.Goal)
	switch {
	case s.Title == "" || s.Goal == "":
		return errors.New("title and goal must not be empty")
	case s.Complexity < 1 || s.Complexity > 10:
		return fmt.Errorf("complexity is %d; want 1 to 10", s.Complexity)
	}
	slices.Sort(s.DependsOn)
	s.DependsOn = slices.Compact(s.DependsOn)
	return nil
}

func (p *plan) acyclic() error {
	done := map[string]bool{}
	for range p.SubProblems {
		for _, s := range p.SubProblems {
			done[s.ID] = done[s.ID] || !slices.ContainsFunc(s.DependsOn, func(d string) bool { return !done[d] })
		}
	}
	for _, s := range p.SubProblems {
		if !done[s.ID] {
			return fmt.Errorf("%s waits for itself through depends_on", s.ID)
		}
	}
	return nil
}

// casting is who is to deliberate.
type casting struct {
	Personas []chosen `json:"personas"`
}

type chosen struct {
	ID  string `json:"id"`
	Why string `json:"why"`
}

func (c *casting) check(library problem.Library) error {
	if n := len(c.Personas); n < problem.MinPersonas || n > problem.MaxPersonas {
		return fmt.Errorf("personas has %d entries; want %d to %d", n, problem.MinPersonas, problem.MaxPersonas)
	}
	seen := map[string]bool{}
	for _, p := range c.Personas {
		if _, ok := library.Of(p.ID); !ok || seen[p.ID] {
			return fmt.Errorf("personas names %q, which is not in the list or is named twice", shorten(p.ID, 40))
		}
		seen[p.ID] = true
	}
	return nil
}

// lead is what the facilitator wants next.
type lead struct {
	Next     string `json:"next"`
	Focus    string `json:"focus"`
	Question string `json:"question"`
}

func (l *lead) check() error {
	if l.Next != "discuss" && l.Next != "vote" {
		return fmt.Errorf("next is %q; want discuss or vote", shorten(l.Next, 40))
	}
	if l.Next == "discuss" && strings.TrimSpace(l.Focus) == "" {
		return errors.New("focus is empty; say what the next round is about")
	}
	return nil
}

// measure is how near the personas are to each other, in percent.
type measure struct {
	Convergence   *int     `json:"convergence"`
	Novelty       *int     `json:"novelty"`
	Agreements    []string `json:"agreements"`
	Disagreements []string `json:"disagreements"`
}

func (m *measure) check() error {
	if err := percent("convergence", m.Convergence); err != nil {
		return err
	}
	return percent("novelty", m.Novelty)
}

// menu is what can be voted for.
type menu struct {
	Options []problem.Option `json:"options"`
}

func (m *menu) check() error {
	if n := len(m.Options); n < 2 || n > 5 {
		return fmt.Errorf("options has %d entries; want 2 to 5", n)
	}
	for i := range m.Options {
		o := &m.Options[i]
		if want := string(rune('A' + i)); o.ID != want {
			return fmt.Errorf("options[%d].id is %q; want %q", i, shorten(o.ID, 40), want)
		}
		if strings.TrimSpace(o.Title) == "" || strings.TrimSpace(o.Summary) == "" {
			return fmt.Errorf("options[%d] needs a title and a summary", i)
		}
		o.Votes, o.Weight = 0, 0
	}
	return nil
}

// ballot is one vote.
type ballot struct {
	Option     string   `json:"option"`
	Confidence *int     `json:"confidence"`
	Reason     string   `json:"reason"`
	Conditions []string `json:"conditions"`
}

func (b *ballot) check(options []problem.Option) error {
	if !slices.ContainsFunc(options, func(o problem.Option) bool { return o.ID == b.Option }) {
		return fmt.Errorf("option is %q, which is not on the list", shorten(b.Option, 40))
	}
	if strings.TrimSpace(b.Reason) == "" {
		return errors.New("reason is empty")
	}
	b.Conditions = tidy(b.Conditions, 5)
	return percent("confidence", b.Confidence)
}

// finding is what a sub-problem came to.
type finding struct {
	Synthesis  string            `json:"synthesis"`
	Action     string            `json:"action"`
	Confidence *int              `json:"confidence"`
	Risks      []string          `json:"risks"`
	Dissent    []problem.Dissent `json:"dissent"`
}

func (f *finding) check(seats []problem.Persona) error {
	if strings.TrimSpace(f.Synthesis) == "" || strings.TrimSpace(f.Action) == "" {
		return errors.New("synthesis and action must not be empty")
	}
	for _, d := range f.Dissent {
		if !slices.ContainsFunc(seats, func(p problem.Persona) bool { return p.ID == d.Persona }) {
			return fmt.Errorf("dissent names %q, who did not take part", shorten(d.Persona, 40))
		}
	}
	f.Risks = tidy(f.Risks, 10)
	return percent("confidence", f.Confidence)
}

// conclusion is what the whole problem came to.
type conclusion struct {
	Synthesis       string   `json:"synthesis"`
	Recommendations []advice `json:"recommendations"`
	NextSteps       []string `json:"next_steps"`
}

type advice struct {
	Title       string   `json:"title"`
	Detail      string   `json:"detail"`
	Confidence  *int     `json:"confidence"`
	SubProblems []string `json:"sub_problems"`
}

func (c *conclusion) check(subs []*sub) error {
	if strings.TrimSpace(c.Synthesis) == "" {
		return errors.New("synthesis is empty")
	}
	if n := len(c.Recommendations); n < 1 || n > 10 {
		return fmt.Errorf("recommendations has %d entries; want 1 to 10", n)
	}
	for i, a := range c.Recommendations {
		if strings.TrimSpace(a.Title) == "" {
			return fmt.Errorf("recommendations[%d] has no title", i)
		}
		if err := percent(fmt.Sprintf("recommendations[%d].confidence", i), a.Confidence); err != nil {
			return err
		}
		for _, id := range a.SubProblems {
			if !slices.ContainsFunc(subs, func(s *sub) bool { return s.part.ID == id }) {
				return fmt.Errorf("recommendations[%d] rests on %q, which is no sub-problem", i, shorten(id, 40))
			}
		}
	}
	c.NextSteps = tidy(c.NextSteps, 10)
	return nil
}

func percent(what string, n *int) error {
	if n == nil || *n < 0 || *n > 100 {
		return fmt.Errorf("%s is missing or outside 0 to 100", what)
	}
	return nil
}

// tidy drops what is empty and what is too much.
func tidy(list []string, most int) []string {
	var out []string
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" && len(out) < most {
			out = append(out, s)
		}
	}
	return out
}
