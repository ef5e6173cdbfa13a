package problem

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
)

//go:embed personas.json
var embedded []byte

// How many personas take part in one sub-problem.
const (
	MinPersonas = 3
	MaxPersonas = 5
)

// Persona is a point of view with a voice of its own.
type Persona struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Lens is what the persona looks at, as a phrase.
	Lens string `json:"lens"`
	// Voice tells the model in the second person who is speaking.
	Voice string `json:"voice"`
	// Asks are questions the persona always comes back to.
	Asks []string `json:"asks"`
}

// Library is an ordered set of personas.
type Library struct {
	all  []Persona
	byID map[string]int
}

// Personas is the embedded library.
func Personas() (Library, error) {
	var all []Persona
	if err := json.Unmarshal(embedded, &all); err != nil {
		return Library{}, fmt.Errorf("read the embedded personas: %w", err)
	}
	return newLibrary(all)
}

func newLibrary(all []Persona) (Library, error) {
	l := Library{all: all, byID: make(map[string]int, len(all))}
	for i, p := range all {
		if _, twice := l.byID[p.ID]; twice {
			return Library{}, fmt.Errorf("persona %q is in the library twice", p.ID)
		}
		l.byID[p.ID] = i
	}
	return l, nil
}

// All lists the personas in the library's order.
func (l Library) All() []Persona { return append([]Persona(nil), l.all...) }

// Of finds a persona by id.
func (l Library) Of(id string) (Persona, bool) {
	i, ok := l.byID[id]
	if !ok {
		return Persona{}, false
	}
	return l.all[i], true
}

func (l Library) ids() string {
	ids := make([]string, len(l.all))
	for i, p := range l.all {
		ids[i] = p.ID
	}
	return strings.Join(ids, ", ")
}

// readPersona takes either the id of a persona in the library or a whole one.
func (l Library) readPersona(what string, dst *Persona) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var id *string
		if json.Unmarshal(raw, &id) == nil && id != nil {
			p, ok := l.Of(*id)
			if !ok {
				return refuse("%s is %q, which is not in the library; give an object of your own or one of: %s",
					what, clip(*id), l.ids())
			}
			*dst = p
			return nil
		}
		var p Persona
		err := fields{
			"id":    text(what+".id", 1, 40, &p.ID),
			"name":  text(what+".name", 1, 80, &p.Name),
			"lens":  text(what+".lens", 1, 200, &p.Lens),
			"voice": text(what+".voice", 1, 4000, &p.Voice),
			"asks": list(what+".asks", 6, func(i int) func(json.RawMessage) error {
				p.Asks = append(p.Asks, "")
				return text(fmt.Sprintf("%s.asks[%d]", what, i), 1, 300, &p.Asks[i])
			}),
		}.read(what, raw)
		if err != nil {
			return err
		}
		*dst = p
		return p.check(what)
	}
}

func (p Persona) check(what string) error {
	switch {
	case p.ID == "" || p.Name == "" || p.Voice == "":
		return refuse("%s needs at least id, name and voice", what)
	case strings.Trim(p.ID, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		return refuse("%s.id is %q; use lower-case letters, digits and dashes", what, p.ID)
	}
	return nil
}
