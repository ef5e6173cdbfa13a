package deliberation

import (
	"context"
	"errors"
	"fmt"

	"github.com/rtfm-si/gavel/internal/problem"
)

// The steps of one sub-problem.
const (
	atSelect     node = "select"
	atOpen       node = "open"
	atFacilitate node = "facilitate"
	atDiscuss    node = "discuss"
	atCheck      node = "check"
	atOptions    node = "options"
	atVote       node = "vote"
	atSynthesize node = "synthesize"
)

func subGraph() graph {
	return graph{
		name:  "sub-problem",
		start: atSelect,
		edges: map[node][]edge{
			atSelect:     {{to: atOpen}},
			atOpen:       {{to: atFacilitate}, {to: atOptions}},
			atFacilitate: {{to: atDiscuss}, {to: atOptions}},
			atDiscuss:    {{to: atCheck}},
			atCheck:      {{to: atFacilitate, counted: true}, {to: atOptions}},
			atOptions:    {{to: atVote}},
			atVote:       {{to: atSynthesize}},
			atSynthesize: {{to: end}},
		},
	}
}

// sub is one sub-problem under deliberation. Only its own walk writes to it.
type sub struct {
	run  *run
	part part
	most int // rounds

	needs    []*sub
	seats    []problem.Persona
	why      map[string]string
	rounds   int
	said     []problem.Contribution
	lead     lead
	measures []measure
	stopped  string
	options  []problem.Option
	votes    []problem.Vote
	winner   string
	finding  finding
	done     bool
}

// unblock reports whether everything the sub-problem rests on is done, and keeps it.
func (s *sub) unblock(done map[string]*sub) bool {
	s.needs = nil
	for _, id := range s.part.DependsOn {
		need, ok := done[id]
		if !ok {
			return false
		}
		s.needs = append(s.needs, need)
	}
	return true
}

func (s *sub) deliberate(ctx context.Context) error {
	w := walk{
		graph: subGraph(),
		steps: map[node]step{
			atSelect:     s.choose,
			atOpen:       s.open,
			atFacilitate: s.facilitate,
			atDiscuss:    s.discuss,
			atCheck:      s.check,
			atOptions:    s.offer,
			atVote:       s.vote,
			atSynthesize: s.synthesize,
		},
		laps:   s.most,
		budget: s.run.steps,
	}
	if err := w.run(ctx); err != nil {
		return err
	}
	s.done = true
	return nil
}

// choose seats the personas: those of the input, or some from the library.
func (s *sub) choose(ctx context.Context) (node, error) {
	s.why = map[string]string{}
	if s.seats = s.run.in.Personas; len(s.seats) == 0 {
		library := s.run.exec.personas
		got, err := askFor(ctx, s.run, s.selectQuestion(), func(c *casting) error { return c.check(library) })
		if err != nil {
			return "", err
		}
		for _, c := range got.Personas {
			p, _ := library.Of(c.ID)
			s.seats = append(s.seats, p)
			s.why[c.ID] = c.Why
		}
	}
	if s.run.journal.begun(s.part.ID + "/r") {
		return atOpen, nil
	}
	return atOpen, s.emit(ctx, "personas.selected", map[string]any{"personas": s.panel()})
}

func (s *sub) panel() []problem.Seat {
	var out []problem.Seat
	for _, p := range s.seats {
		out = append(out, problem.Seat{ID: p.ID, Name: p.Name, Why: s.why[p.ID]})
	}
	return out
}

// open is the first round: each persona alone with the question.
func (s *sub) open(ctx context.Context) (node, error) {
	if err := s.round(ctx); err != nil {
		return "", err
	}
	if s.stopped = stopReason(nil, s.rounds, s.most); s.stopped != "" {
		return atOptions, nil
	}
	return atFacilitate, nil
}

// facilitate asks where the next round should go, or whether it is time to vote.
func (s *sub) facilitate(ctx context.Context) (node, error) {
	got, err := askFor(ctx, s.run, s.facilitateQuestion(), (*lead).check)
	if err != nil {
		return "", err
	}
	s.lead = got
	// One round of monologues is no discussion: the first call for a vote is not heard.
	if got.Next == "vote" && s.rounds > 1 {
		s.stopped = stopFacilitator
		return atOptions, nil
	}
	return atDiscuss, nil
}

func (s *sub) discuss(ctx context.Context) (node, error) { return atCheck, s.round(ctx) }

// round lets all personas speak at once; each has heard the rounds before.
func (s *sub) round(ctx context.Context) error {
	round := s.rounds + 1
	if !s.run.journal.begun(s.callID(round, "")) {
		err := s.emit(ctx, "round.started", map[string]any{
			"round": round, "of": s.most, "focus": s.lead.Focus, "question": s.lead.Question,
		})
		if err != nil {
			return err
		}
	}
	heard := make([]problem.Contribution, len(s.seats))
	err := s.run.together(len(s.seats), func(i int) error {
		p := s.seats[i]
		e, err := s.run.askText(ctx, s.contributeQuestion(p, round))
		heard[i] = problem.Contribution{Persona: p.ID, Round: round, Text: e.Text, Declined: e.Fault != ""}
		if e.Fault != "" {
			heard[i].Text = e.Fault
		}
		return err
	})
	if err != nil {
		return err
	}
	s.rounds = round
	s.said = append(s.said, heard...)
	for _, c := range heard {
		if !c.Declined {
			return nil
		}
	}
	return s.run.fail(fmt.Errorf("%s: %w", s.callID(round, ""), errSilent))
}

var errSilent = errors.New("no persona spoke in this round; the model declines the problem as it is put")

// check measures how near the personas are and decides whether to go on.
func (s *sub) check(ctx context.Context) (node, error) {
	got, err := askFor(ctx, s.run, s.checkQuestion(), (*measure).check)
	if err != nil {
		return "", err
	}
	s.measures = append(s.measures, got)
	s.stopped = stopReason(s.measures, s.rounds, s.most)
	if s.stopped != "" {
		return atOptions, nil
	}
	return atFacilitate, nil
}

// offer draws up what can be voted for.
func (s *sub) offer(ctx context.Context) (node, error) {
	got, err := askFor(ctx, s.run, s.optionsQuestion(), (*menu).check)
	s.options = got.Options
	return atVote, err
}

// vote asks every persona for its choice, all at once.
func (s *sub) vote(ctx context.Context) (node, error) {
	votes := make([]problem.Vote, len(s.seats))
	err := s.run.together(len(s.seats), func(i int) error {
		p := s.seats[i]
		got, err := askFor(ctx, s.run, s.voteQuestion(p), func(b *ballot) error { return b.check(s.options) })
		if err != nil {
			return err
		}
		votes[i] = problem.Vote{
			Persona: p.ID, Option: got.Option, Confidence: *got.Confidence, Reason: got.Reason, Conditions: got.Conditions,
		}
		return nil
	})
	s.votes = votes
	s.options, s.winner = count(s.options, votes)
	return atSynthesize, err
}

// synthesize writes down what the sub-problem came to.
func (s *sub) synthesize(ctx context.Context) (node, error) {
	got, err := askFor(ctx, s.run, s.synthesizeQuestion(), func(f *finding) error { return f.check(s.seats) })
	s.finding = got
	return end, err
}

func (s *sub) emit(ctx context.Context, kind string, data map[string]any) error {
	data["sub_problem"] = s.part.ID
	if err := s.run.emit(ctx, kind, data); err != nil {
		return s.run.fail(err)
	}
	return nil
}

// callID names a call of a round: "s1/r2/risk".
func (s *sub) callID(round int, who string) string {
	return fmt.Sprintf("%s/r%d/%s", s.part.ID, round, who)
}

func (s *sub) outcome() problem.SubProblem {
	return problem.SubProblem{
		ID: s.part.ID, Title: s.part.Title, Goal: s.part.Goal, Complexity: s.part.Complexity, DependsOn: s.part.DependsOn,
		Personas: s.panel(), Rounds: s.rounds, StoppedBy: s.stopped,
		Contributions: s.said, Options: s.options, Votes: s.votes, Winner: s.winner,
		Synthesis: s.finding.Synthesis, Action: s.finding.Action, Confidence: *s.finding.Confidence,
		Risks: s.finding.Risks, Dissent: s.finding.Dissent,
	}
}
