package demo

import (
	"context"
	"fmt"
	"strings"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
	"github.com/rtfm-si/gavel/internal/problem"
)

// gather shows the fleet.
func (p *play) gather(ctx context.Context) error {
	f, err := p.admin.Fleet(ctx)
	if err != nil {
		return fmt.Errorf("look at the fleet: %w", err)
	}
	s := p.screen
	p.say("one dispatcher at %s, and %s with %s", p.fleet.URL(),
		show.Count(int64(len(f.Workers)), "worker", "workers"), show.Count(int64(f.Slots), "slot", "slots"))
	p.say("an embedded Redis, %s: a real one takes its place with gavel dev --redis", s.Paint(show.Yellow, "memory-only"))
	p.say("a %s model server: the texts are made up; the protocol, the pace and the prices are not", s.Paint(show.Yellow, "simulated"))
	p.say("three people: alice and bob, owners of their own jobs, and an admin")
	return p.promise(len(f.Workers) == p.cfg.Fleet.Workers && !f.Gate.Frozen && live(f) == 0,
		"every worker has reported, the gate is open, nothing is waiting", "the fleet is %+v", f)
}

// live is how many jobs are not over.
func live(f client.Fleet) (n int64) {
	for _, jobs := range f.Jobs {
		n += jobs
	}
	return n
}

// deliberate runs one problem to its answer.
func (p *play) deliberate(ctx context.Context) error {
	id, err := p.submit(ctx, p.alice, "return-to-office", nil)
	if err != nil {
		return err
	}
	j, err := p.alice.Job(ctx, id)
	if err != nil {
		return fmt.Errorf("look at the job: %w", err)
	}
	p.say("alice asks:")
	p.screen.Line("%s\n", p.screen.Paint(show.Bold, p.screen.Fold(question(j), "    ")))
	if err := p.follow(ctx, p.alice, id, nothing); err != nil {
		return err
	}
	r, err := p.alice.Result(ctx, id)
	if err != nil {
		return fmt.Errorf("read the result: %w", err)
	}
	if r.Outcome != client.Succeeded {
		return fmt.Errorf("the job %s: %s %s", r.Outcome, r.Cause, r.Error)
	}
	a, err := problem.ReadAnswer(r.Result)
	if err != nil {
		return err
	}
	p.answer(a)
	calls := p.fleet.Witness().Records(id)
	asked := map[string]bool{}
	for _, c := range calls {
		asked[c.Call] = true
	}
	return p.promise(len(a.Recommendations) > 0 && r.Spent == client.MicroUSD(a.CostMicroUSD) && r.Spent <= j.Budget && len(asked) == len(calls),
		fmt.Sprintf("an answer, for %s of a budget of %s; the model was asked %d times, no question twice", show.Money(r.Spent), show.Money(j.Budget), len(calls)),
		"it cost %s by the books and %d by the answer, with %d calls of %d questions", show.Money(r.Spent), a.CostMicroUSD, len(calls), len(asked))
}

// answer shows what came out, in short.
func (p *play) answer(a problem.Answer) {
	p.screen.Line("")
	p.say("the answer, in short (simulated):")
	p.screen.Line("%s", p.screen.Fold(show.Gist(firstParagraph(a.Synthesis)), "    "))
	for i, rec := range a.Recommendations {
		p.screen.Line("    %d. %s", i+1, p.screen.Fit(fmt.Sprintf("%s (%d %%)", show.Gist(rec.Title), rec.Confidence), len("    1. ")))
	}
}

func firstParagraph(text string) string {
	for block := range strings.SplitSeq(text, "\n\n") {
		if block = strings.TrimSpace(block); block != "" && !strings.HasPrefix(block, "#") {
			return block
		}
	}
	return text
}
