package deliberation

import "github.com/rtfm-si/gavel/internal/problem"

// Route is where the questions of one role go: which model answers them, and
// who carries them there.
type Route struct {
	Model string
	Chat  Chat
	// Thinking is added to the tokens of every answer, for models that think before
	// they write and are billed for it; 0 is [Config.Thinking].
	Thinking int
}

// Routes has one for each role.
type Routes struct {
	// Lead decomposes, selects, facilitates and checks for convergence.
	Lead Route
	// Persona contributes and votes.
	Persona Route
	// Synthesis writes the conclusions.
	Synthesis Route
}

func (r Routes) all() []Route { return []Route{r.Lead, r.Persona, r.Synthesis} }

// any reports whether some role has that model.
func (r Routes) any(model string) bool {
	return r.Lead.Model == model || r.Persona.Model == model || r.Synthesis.Model == model
}

// withDefaults fills what a role does not say.
func (r Routes) withDefaults(d Route) Routes {
	for _, to := range []*Route{&r.Lead, &r.Persona, &r.Synthesis} {
		to.Model, to.Thinking = or(to.Model, d.Model), or(to.Thinking, d.Thinking)
		if to.Chat == nil {
			to.Chat = d.Chat
		}
	}
	return r
}

// named are the routes with the models that an input names: for the role, or for
// all of them.
func (r Routes) named(in problem.Input) Routes {
	r.Lead.Model = or(in.Models.Lead, or(in.Model, r.Lead.Model))
	r.Persona.Model = or(in.Models.Persona, or(in.Model, r.Persona.Model))
	r.Synthesis.Model = or(in.Models.Synthesis, or(in.Model, r.Synthesis.Model))
	return r
}
