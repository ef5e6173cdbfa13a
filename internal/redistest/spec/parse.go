package spec

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/tools/txtar"
)

// file is a script's specification.
type file struct {
	name  string // as errors show it
	args  map[string]string
	given []command
	cases []*scene
}

// scene is one case: commands and calls in the order they are written.
type scene struct {
	title string
	steps []step
}

// step is a command or a call, with the line it stands on.
type step struct {
	line int
	cmd  *command
	call *call
}

// command is a Redis command, and what it must answer.
type command struct {
	line  int
	words []word
	let   string // the variable that keeps its answer
	want  pattern
}

// call runs a script.
type call struct {
	again  bool
	script string
	args   map[string]word
	place  map[string]word
	fails  string // the text of the error it must give
	wants  bool   // a want line was there
	want   []pattern
}

// parser reads the lines of one section.
type parser struct {
	lines []string
	next  int // index of the line to read
	base  int // the file's line before the section
	scene scene
	block string // given, when or want
}

func parse(name string, text []byte) (*file, error) {
	f := &file{name: name, args: map[string]string{}}
	a := txtar.Parse(text)
	line := strings.Count(string(a.Comment), "\n")
	for _, section := range a.Files {
		line++ // its title
		p := &parser{lines: strings.Split(string(section.Data), "\n"), base: line, scene: scene{title: section.Name}}
		if err := f.section(p); err != nil {
			return nil, err
		}
		line += strings.Count(string(section.Data), "\n")
	}
	if len(f.cases) == 0 {
		return nil, fmt.Errorf("%s: no case; a case begins with a line like: -- what it shows --", name)
	}
	return f, nil
}

func (f *file) section(p *parser) error {
	switch p.scene.title {
	case "args":
		for _, l := range p.lines {
			if err := f.defaults(l); err != nil {
				return fmt.Errorf("%s: args: %w", f.name, err)
			}
		}
		return nil
	case "given":
		p.block = "given"
	}
	for p.next < len(p.lines) {
		p.next++
		if err := p.line(p.lines[p.next-1]); err != nil {
			return fmt.Errorf("%s:%d: %w", f.name, p.base+p.next, err)
		}
	}
	if p.scene.title != "given" {
		f.cases = append(f.cases, &p.scene)
		return p.scene.check(f.name, p.base)
	}
	for _, s := range p.scene.steps {
		if s.cmd == nil {
			return fmt.Errorf("%s:%d: the section given holds commands only", f.name, s.line)
		}
		f.given = append(f.given, *s.cmd)
	}
	return nil
}

// check refuses a case that shows nothing.
func (s *scene) check(name string, line int) error {
	calls := 0
	for _, st := range s.steps {
		if st.call == nil {
			continue
		}
		calls++
		if !st.call.wants {
			return fmt.Errorf("%s:%d: when without want", name, st.line)
		}
	}
	if calls == 0 {
		return fmt.Errorf("%s:%d: %q has no when", name, line, s.title)
	}
	return nil
}

func (f *file) defaults(line string) error {
	ws, err := words(line, false)
	if err != nil {
		return err
	}
	for _, w := range ws {
		name, value, ok := strings.Cut(w.text, "=")
		if !ok {
			return fmt.Errorf("%q is not name=value", w.text)
		}
		f.args[name] = value
	}
	return nil
}

// line reads one line, and the lines after it while a bracket is open.
func (p *parser) line(text string) error {
	text = strings.TrimSpace(text)
	head, rest, _ := strings.Cut(text, " ")
	switch {
	case text == "" || text[0] == '#':
		return nil
	case head == "given":
		p.block = head
		if rest != "" {
			return errors.New("given stands alone on its line")
		}
		return nil
	case head == "when":
		p.block = head
		return p.when(rest)
	case head == "want":
		return p.want(rest)
	case p.block == "given" || p.block == "want":
		return p.command(text, p.block == "want")
	default:
		return fmt.Errorf("%q stands under neither given nor want", text)
	}
}

func (p *parser) here() int { return p.base + p.next }

func (p *parser) when(rest string) error {
	ws, err := words(rest, false)
	if err != nil {
		return err
	}
	if len(ws) == 0 {
		return errors.New("when what? name a script, or again")
	}
	c := &call{script: ws[0].text, args: map[string]word{}, place: map[string]word{}}
	p.scene.steps = append(p.scene.steps, step{line: p.here(), call: c})
	if c.script == "again" && len(ws) == 1 {
		c.again = true
		return nil
	}
	for _, w := range ws[1:] {
		name, value, ok := strings.Cut(w.text, "=")
		if !ok {
			return fmt.Errorf("%q is not name=value", w.text)
		}
		to := c.args
		if strings.HasPrefix(name, "@") {
			name, to = name[1:], c.place
		}
		if _, twice := to[name]; twice {
			return fmt.Errorf("%s is given twice", name)
		}
		to[name] = word{text: value, quoted: w.quoted}
	}
	return nil
}

func (p *parser) want(rest string) error {
	if p.block != "when" {
		return errors.New("want without when")
	}
	p.block = "want"
	c := p.scene.steps[len(p.scene.steps)-1].call
	c.wants = true
	if text, ok := strings.CutPrefix(rest, "(error)"); ok {
		c.fails = strings.TrimSpace(text)
		if c.fails == "" {
			return errors.New("want (error) needs a part of its text")
		}
		return nil
	}
	ws, err := words(rest, true)
	for err == nil && p.next < len(p.lines) && (open(ws) > 0 || bracket(p.lines[p.next])) {
		var more []word
		more, err = words(p.lines[p.next], true)
		ws = append(ws, more...)
		p.next++
	}
	if err != nil {
		return err
	}
	if len(ws) == 0 {
		return errors.New("want what? write the reply")
	}
	c.want, err = patterns(ws)
	return err
}

// bracket says whether a line goes on with a reply: no command begins so.
func bracket(line string) bool {
	line = strings.TrimSpace(line)
	return line != "" && (line[0] == '[' || line[0] == '{')
}

// open is how many brackets are not closed yet.
func open(ws []word) (n int) {
	for _, w := range ws {
		switch {
		case w.quoted:
		case w.text == "[" || w.text == "{":
			n++
		case w.text == "]" || w.text == "}":
			n--
		}
	}
	return n
}

// command reads a Redis command; under want it must say what it answers.
func (p *parser) command(text string, mustSay bool) error {
	c := &command{line: p.here()}
	p.scene.steps = append(p.scene.steps, step{line: c.line, cmd: c})
	if after, ok := strings.CutPrefix(text, "let "); ok {
		name, cmd, ok := strings.Cut(after, " = ")
		if !ok {
			return errors.New("want: let name = command")
		}
		c.let, text, mustSay = strings.TrimSpace(name), cmd, false
	}
	cmd, want, err := c.split(text)
	if err != nil {
		return err
	}
	if want == nil && mustSay {
		return errors.New("a command under want says what it answers: => value, or ~ regular expression")
	}
	c.want = want
	c.words, err = words(cmd, false)
	return err
}

// split takes what a command must answer from its line.
func (c *command) split(text string) (cmd string, want pattern, err error) {
	if cmd, value, ok := cutLast(text, " => "); ok {
		ws, err := words(value, true)
		if err != nil {
			return "", nil, err
		}
		ps, err := patterns(ws)
		if err == nil && (len(ps) != 1 || ps[0] == nil) {
			err = errors.New("want one value after =>; write an array as [a b]")
		}
		if err != nil {
			return "", nil, err
		}
		return cmd, ps[0], nil
	}
	if cmd, expr, ok := cutLast(text, " ~ "); ok {
		want, err := matching(strings.TrimSpace(expr))
		return cmd, want, err
	}
	return text, nil, nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
