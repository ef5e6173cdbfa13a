package problem

import (
	"encoding/json"
	"fmt"
)

// AnswerVersion is the shape of [Answer] that this build writes.
const AnswerVersion = 1

// Answer is what a deliberation found: the result of its job.
type Answer struct {
	Version int    `json:"version"`
	Problem string `json:"problem"`
	// Synthesis answers the whole problem, in Markdown.
	Synthesis       string           `json:"synthesis"`
	Recommendations []Recommendation `json:"recommendations"`
	NextSteps       []string         `json:"next_steps,omitempty"`
	SubProblems     []SubProblem     `json:"sub_problems"`
	// Simulated is set when a simulated model server gave the answers.
	Simulated bool `json:"simulated,omitempty"`
	// CostMicroUSD is what the job has spent, interrupted calls of earlier
	// attempts included.
	CostMicroUSD int64 `json:"cost_micro_usd"`
	Calls        int   `json:"calls"`
}

// Recommendation is one thing to do, with confidence in percent.
type Recommendation struct {
	Title      string `json:"title"`
	Detail     string `json:"detail"`
	Confidence int    `json:"confidence"`
	// SubProblems names those it rests on.
	SubProblems []string `json:"sub_problems,omitempty"`
}

// SubProblem is one part of the problem and what became of it.
type SubProblem struct {
	ID         string   `json:"id"`
	Title      string   `json:"title"`
	Goal       string   `json:"goal"`
	Complexity int      `json:"complexity"`
	DependsOn  []string `json:"depends_on,omitempty"`
	// Personas took part, in this order.
	Personas []Seat `json:"personas"`
	// Rounds is how many were held, and StoppedBy why no more.
	Rounds        int            `json:"rounds"`
	StoppedBy     string         `json:"stopped_by"`
	Contributions []Contribution `json:"contributions"`
	Options       []Option       `json:"options"`
	Votes         []Vote         `json:"votes"`
	// Winner is the option with the most weight, "" on a tie.
	Winner     string    `json:"winner,omitempty"`
	Synthesis  string    `json:"synthesis"`
	Action     string    `json:"action"`
	Confidence int       `json:"confidence"`
	Risks      []string  `json:"risks,omitempty"`
	Dissent    []Dissent `json:"dissent,omitempty"`
}

// Seat is a persona in a sub-problem and why it was asked.
type Seat struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Why  string `json:"why,omitempty"`
}

// Contribution is what one persona said in one round.
type Contribution struct {
	Persona string `json:"persona"`
	Round   int    `json:"round"`
	Text    string `json:"text"`
	// Declined is set when the model would not speak; Text then says why.
	Declined bool `json:"declined,omitempty"`
}

// Option is one way to go.
type Option struct {
	ID      string `json:"id"`
	Title   string `json:"title"`
	Summary string `json:"summary"`
	// Weight is the sum of the confidences that voted for it; Votes their number.
	Weight int `json:"weight"`
	Votes  int `json:"votes"`
}

// Vote is one persona's choice, with confidence in percent.
type Vote struct {
	Persona    string   `json:"persona"`
	Option     string   `json:"option"`
	Confidence int      `json:"confidence"`
	Reason     string   `json:"reason"`
	Conditions []string `json:"conditions,omitempty"`
}

// Dissent is a view that the synthesis did not follow.
type Dissent struct {
	Persona string `json:"persona"`
	View    string `json:"view"`
}

// ReadAnswer reads the result of a deliberation.
func ReadAnswer(data []byte) (Answer, error) {
	var a Answer
	if err := json.Unmarshal(data, &a); err != nil {
		return Answer{}, fmt.Errorf("read the answer of a deliberation: %w", err)
	}
	if a.Version != AnswerVersion {
		return Answer{}, fmt.Errorf("the answer has version %d and this build reads %d; use the build that wrote it", a.Version, AnswerVersion)
	}
	return a, nil
}
