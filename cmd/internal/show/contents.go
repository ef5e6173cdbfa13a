package show

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/client"
)

// contents is what events carry; each kind fills its own fields.
type contents struct {
	Cost client.MicroUSD `json:"cost_micro_usd"`

	Worker   string         `json:"worker"`
	Attempt  int            `json:"attempt"`
	Attempts int            `json:"attempts"`
	Cause    string         `json:"cause"`
	Error    string         `json:"error"`
	By       string         `json:"by"`
	Verdict  client.Verdict `json:"verdict"`
	Reason   string         `json:"reason"`

	Part       string          `json:"sub_problem"`
	Parts      []part          `json:"sub_problems"`
	Round      int             `json:"round"`
	Of         int             `json:"of"`
	Focus      string          `json:"focus"`
	Question   string          `json:"question"`
	Next       string          `json:"next"`
	Personas   []persona       `json:"personas"`
	Persona    string          `json:"persona"`
	Name       string          `json:"name"`
	Text       string          `json:"text"`
	Fault      string          `json:"fault"`
	Agreement  int             `json:"convergence"`
	Novelty    int             `json:"novelty"`
	Stops      string          `json:"stops"`
	Options    []option        `json:"options"`
	Option     string          `json:"option"`
	Confidence int             `json:"confidence"`
	Action     string          `json:"action"`
	Calls      json.RawMessage `json:"calls"`
	Call       string          `json:"call"`
	Try        int             `json:"try"`
	WaitMillis int64           `json:"wait_ms"`
}

type part struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Goal  string `json:"goal"`
}

type persona struct {
	Name string `json:"name"`
}

type option struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

// key is the same for an event that came twice; lifecycle events never do.
func (c contents) key(kind string) string {
	if c.Part == "" || strings.HasPrefix(kind, "model.") {
		return ""
	}
	return fmt.Sprintf("%s %s %d %s", kind, c.Part, c.Round, c.Persona)
}

// lines are what an event says.
func (c contents) lines(e client.Event) []line {
	if state, ok := strings.CutPrefix(e.Type, "job."); ok {
		return []line{c.moved(state)}
	}
	switch e.Type {
	case "decomposed":
		return c.decomposed()
	case "personas.selected":
		return []line{{where: c.Part, what: "at the table: " + c.names()}}
	case "round.started":
		return []line{{where: place(c.Part, c.Round), what: c.round(), style: Cyan}}
	case "contribution":
		if c.Fault != "" {
			return []line{{where: place(c.Part, c.Round), who: c.Name, what: "sits this round out: " + c.Fault, style: Yellow}}
		}
		return []line{{where: place(c.Part, c.Round), who: c.Name, what: "“" + Gist(c.Text) + "”", long: true}}
	case "facilitator":
		if c.Next != "vote" {
			return nil // the round that follows says the same
		}
		return []line{{where: c.Part, what: "the facilitator calls for the vote", style: Dim}}
	case "convergence":
		return []line{{where: place(c.Part, c.Round), what: c.agreement(), style: Dim}}
	case "options":
		return []line{{where: c.Part, what: "to vote on: " + c.choices()}}
	case "vote":
		return []line{{where: c.Part, who: c.Name, what: fmt.Sprintf("votes %s (%d %%)", c.Option, c.Confidence)}}
	case "synthesis":
		return []line{{where: c.Part, what: fmt.Sprintf("found (%d %%): %s", c.Confidence, Gist(c.Action)), style: Green}}
	case "done":
		return []line{{what: "written up, after " + string(c.Calls) + " calls of the model", minor: true}}
	case "model.retry":
		return []line{{what: fmt.Sprintf("the model server has trouble with %s (try %d of %d): %s; again in %s",
			c.Call, c.Try, c.Of, c.Reason, Span(time.Duration(c.WaitMillis)*time.Millisecond)), style: Yellow}}
	case "model.again":
		return []line{{what: "an unusable reply to " + c.Call + " is asked for again: " + c.Reason, style: Yellow, minor: true}}
	default:
		return []line{{what: e.Type + " " + string(e.Data), minor: true}}
	}
}

// moved is what happened to the job itself.
func (c contents) moved(state string) line {
	switch state {
	case "queued":
		return line{what: "queued", style: Bold}
	case "started":
		return line{what: "started on " + c.Worker, style: Bold}
	case "released":
		return line{what: fmt.Sprintf("handed back by %s (%s); the next worker resumes from the checkpoint", c.Worker, c.Cause), style: Yellow}
	case "reclaimed":
		return line{what: fmt.Sprintf("taken back from %s, which went silent", c.Worker), style: Yellow}
	case "delayed":
		return line{what: fmt.Sprintf("attempt %d failed and is repeated later: %s", c.Attempts, c.Error), style: Yellow}
	case "parked":
		return line{what: "parked: " + c.Reason, style: Yellow}
	case "held":
		return line{what: "waits: as many of its owner's jobs run as may", style: Yellow}
	case "unheld":
		return line{what: "has its turn among its owner's jobs"}
	case "answered":
		return line{what: "answered by its owner"}
	case "killing":
		return line{what: fmt.Sprintf("ordered to stop by %s: %s", c.By, c.Reason), style: Red}
	case "killed":
		return line{what: fmt.Sprintf("killed by %s: %s (%s)", c.By, c.Reason, words(string(c.Verdict))), style: Red}
	case "failed":
		return line{what: strings.TrimSuffix("failed: "+c.Cause+": "+c.Error, ": "), style: Red}
	case "succeeded":
		return line{what: "succeeded", style: Green}
	default:
		return line{what: state, style: Bold}
	}
}

func (c contents) decomposed() []line {
	out := []line{{what: "taken apart into " + Count(int64(len(c.Parts)), "part", "parts")}}
	for _, p := range c.Parts {
		text := p.Title
		if text == "" {
			text = p.Goal
		}
		out = append(out, line{where: p.ID, what: Gist(text), style: Bold})
	}
	return out
}

func (c contents) names() string {
	var out []string
	for _, p := range c.Personas {
		out = append(out, p.Name)
	}
	return strings.Join(out, ", ")
}

func (c contents) round() string {
	text := fmt.Sprintf("round %d of at most %d", c.Round, c.Of)
	if c.Focus != "" {
		text += ": " + Gist(c.Focus)
	}
	return text
}

func (c contents) agreement() string {
	text := fmt.Sprintf("agreement %d %%, new arguments %d %%", c.Agreement, c.Novelty)
	if c.Stops != "" {
		text += "; no further round: " + c.Stops
	}
	return text
}

func (c contents) choices() string {
	var out []string
	for _, o := range c.Options {
		out = append(out, o.ID+" "+Gist(o.Title))
	}
	return strings.Join(out, " · ")
}

// mark is what a simulated text begins with.
const mark = "[simulated]"

func simulated(text string) bool { return strings.Contains(text, mark) }

// Gist is a text on one line without the mark of a simulated one: whoever shows
// it says once, for all, that the texts are simulated.
func Gist(text string) string {
	return strings.TrimSpace(strings.TrimPrefix(Clean(text), mark))
}

// words are a protocol's word for a person.
func words(s string) string { return strings.ReplaceAll(s, "_", " ") }
