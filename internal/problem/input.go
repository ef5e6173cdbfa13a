package problem

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// The limits of an input, stated in the errors of [Parse].
const (
	MinProblem     = 10       // characters
	MaxProblem     = 10_000   // characters
	MaxContext     = 50 << 10 // bytes
	MaxConstraints = 10
	MaxConstraint  = 1_000 // characters
	MaxRounds      = 6
	MaxSubProblems = 5
	MaxModel       = 128 // characters
)

// Input is what a deliberation is asked.
type Input struct {
	Problem     string   `json:"problem"`
	Context     string   `json:"context,omitempty"`
	Constraints []string `json:"constraints,omitempty"`
	// Personas, when given, deliberate on every sub-problem; otherwise each
	// sub-problem gets its own choice from the library.
	Personas []Persona `json:"personas,omitempty"`
	// MaxRounds lowers the cap that follows from the complexity; 0 leaves it.
	MaxRounds int `json:"max_rounds,omitempty"`
	// MaxSubProblems lowers the number of sub-problems; 0 means five.
	MaxSubProblems int `json:"max_sub_problems,omitempty"`
	// Model answers every call unless Models names another for the role; empty
	// means the worker's default.
	Model  string `json:"model,omitempty"`
	Models Models `json:"models,omitzero"`
	// Seed makes a deterministic model server give the same deliberation again.
	Seed int64 `json:"seed,omitempty"`
	// MayAsk lets the deliberation ask its owner for what it misses, once, before
	// it begins; the job is parked until the answer comes.
	MayAsk bool `json:"may_ask,omitempty"`
	// Transcript keeps every prompt and reply for post-mortem, until the job is
	// forgotten.
	Transcript bool `json:"transcript,omitempty"`
}

// Models names a model per role; an empty one means [Input.Model].
type Models struct {
	// Lead decomposes, selects, facilitates and checks for convergence.
	Lead string `json:"lead,omitempty"`
	// Persona contributes and votes.
	Persona string `json:"persona,omitempty"`
	// Synthesis writes the conclusions.
	Synthesis string `json:"synthesis,omitempty"`
}

// Named lists the models that the input names, each once.
func (in Input) Named() []string {
	var names []string
	for _, m := range []string{in.Model, in.Models.Lead, in.Models.Persona, in.Models.Synthesis} {
		if m != "" && !slices.Contains(names, m) {
			names = append(names, m)
		}
	}
	return names
}

// Parse reads an input strictly. Every error wraps [ErrBadInput] and says which
// field is wrong and what would be right.
func Parse(data []byte) (Input, error) {
	library, err := Personas()
	if err != nil {
		return Input{}, err
	}
	var in Input
	var rounds, subs int64
	err = fields{
		"problem": text("problem", MinProblem, MaxProblem, &in.Problem),
		"context": text("context", 0, MaxContext, &in.Context),
		"constraints": list("constraints", MaxConstraints, func(i int) func(json.RawMessage) error {
			in.Constraints = append(in.Constraints, "")
			return text(fmt.Sprintf("constraints[%d]", i), 1, MaxConstraint, &in.Constraints[i])
		}),
		"personas": list("personas", MaxPersonas, func(i int) func(json.RawMessage) error {
			in.Personas = append(in.Personas, Persona{})
			return library.readPersona(fmt.Sprintf("personas[%d]", i), &in.Personas[i])
		}),
		"max_rounds":       number("max_rounds", 1, MaxRounds, &rounds),
		"max_sub_problems": number("max_sub_problems", 1, MaxSubProblems, &subs),
		"model":            text("model", 1, MaxModel, &in.Model),
		"models":           in.Models.read,
		"seed":             number("seed", 0, math.MaxInt32, &in.Seed),
		"may_ask":          flag("may_ask", &in.MayAsk),
		"transcript":       flag("transcript", &in.Transcript),
	}.read("input", data)
	if err != nil {
		return Input{}, err
	}
	in.MaxRounds, in.MaxSubProblems = int(rounds), int(subs)
	return in, in.check()
}

func (m *Models) read(raw json.RawMessage) error {
	return fields{
		"lead":      text("models.lead", 1, MaxModel, &m.Lead),
		"persona":   text("models.persona", 1, MaxModel, &m.Persona),
		"synthesis": text("models.synthesis", 1, MaxModel, &m.Synthesis),
	}.read("models", raw)
}

// check holds the fields against each other.
func (in Input) check() error {
	if in.Problem == "" {
		return refuse("problem is missing; say in %d to %d characters what is to be decided", MinProblem, MaxProblem)
	}
	if n := len(in.Context); n > MaxContext {
		return refuse("context has %d bytes; at most %d are allowed", n, MaxContext)
	}
	if n := len(in.Personas); n > 0 && n < MinPersonas {
		return refuse("personas has %d entries; give %d to %d, or none to have them chosen", n, MinPersonas, MaxPersonas)
	}
	for i, p := range in.Personas {
		if slices.ContainsFunc(in.Personas[:i], func(o Persona) bool { return o.ID == p.ID }) {
			return refuse("personas has %q twice", p.ID)
		}
	}
	return nil
}
