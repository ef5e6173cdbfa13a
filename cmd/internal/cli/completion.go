package cli

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// The scripts ask the command itself, so that they stay true when it grows. What
// it does not know, such as a path, the shell completes in its own way.
const (
	bashScript = `# gavel completion bash
_gavel() {
    local IFS=$'\n'
    COMPREPLY=($("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
    COMPREPLY=("${COMPREPLY[@]%%$'\t'*}")
    if [[ ${COMP_WORDS[COMP_CWORD]} == = || ${COMP_WORDS[COMP_CWORD - 1]} == = ]]; then
        COMPREPLY=("${COMPREPLY[@]#*=}") # bash takes what is behind = for a word
    fi
    [[ -n ${COMPREPLY[0]-} ]] || COMPREPLY=()
}
complete -o default -F _gavel gavel
`
	zshScript = `#compdef gavel
_gavel() {
    local word help
    local -a replies
    "${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null | while IFS=$'\t' read -r word help; do
        replies+=("${word//:/\\:}:$help")
    done
    if (( $#replies )); then _describe gavel replies; else _files; fi
}
if [[ ${funcstack[1]} == _gavel ]]; then _gavel "$@"; else compdef _gavel gavel; fi
`
	fishScript = `# gavel completion fish
function __gavel_complete
    set -l words (commandline -opc)
    set -l now (commandline -ct)
    command $words[1] __complete $words[2..-1] "$now" 2>/dev/null
end
complete -c gavel -a '(__gavel_complete)'
`
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"Which shell: ${enum}."`
}

// Help says how it is switched on.
func (completionCommand) Help() string {
	return `bash: source <(gavel completion bash), in ~/.bashrc.
zsh: source <(gavel completion zsh), in ~/.zshrc, after compinit.
fish: gavel completion fish | source, in ~/.config/fish/config.fish.`
}

// Run prints the script.
func (c completionCommand) Run(d *desk) error {
	script := map[string]string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}[c.Shell]
	if _, err := fmt.Fprint(d.Out, script); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// completeCommand is what the scripts ask.
type completeCommand struct {
	Words []string `arg:"" optional:""`
}

// Run prints what could stand where the last word is, a line each, and behind a
// tab what it is.
func (c completeCommand) Run(k *kong.Context, d *desk) error {
	for _, o := range offers(k.Model.Node, c.Words) {
		if _, err := fmt.Fprintf(d.Out, "%s\t%s\n", o.word, o.help); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	return nil
}

type offer struct{ word, help string }

// typed is a command line as far as it is read.
type typed struct {
	at      *kong.Node
	args    int        // of that command, already there
	pending *kong.Flag // wants its value
	bare    bool       // behind --
}

// offers are what could stand where the last word is.
func offers(root *kong.Node, words []string) []offer {
	words = rejoined(words)
	if len(words) == 0 {
		words = []string{""}
	}
	t, last := typed{at: root}, words[len(words)-1]
	for _, w := range words[:len(words)-1] {
		t.read(w)
	}
	var all []offer
	switch name, _, joined := strings.Cut(last, "="); {
	case t.pending != nil:
		all = values("", t.pending.Value)
	case t.bare || !strings.HasPrefix(last, "-"):
		all = t.next()
	case joined:
		if f := t.flag(name); f != nil {
			all = values(name+"=", f.Value)
		}
	default:
		for _, f := range t.flags() {
			all = append(all, offer{"--" + f.Name, plain(f.Help, f.Value)})
		}
	}
	var fit []offer
	for _, o := range all {
		if strings.HasPrefix(o.word, last) {
			fit = append(fit, o)
		}
	}
	return fit
}

// rejoined undoes that bash takes = for a word.
func rejoined(words []string) []string {
	var whole []string
	glue := false
	for _, w := range words {
		if n := len(whole); n > 0 && (glue || w == "=") {
			whole[n-1] += w
		} else {
			whole = append(whole, w)
		}
		glue = w == "="
	}
	return whole
}

func (t *typed) read(word string) {
	name, _, joined := strings.Cut(word, "=")
	switch {
	case t.pending != nil:
		t.pending = nil
	case word == "--":
		t.bare = true
	case !t.bare && strings.HasPrefix(word, "-"):
		if f := t.flag(name); f != nil && !joined && !f.IsBool() && !f.IsCounter() {
			t.pending = f
		}
	default:
		if c := t.child(word); c != nil {
			t.at, t.args = c, 0
			return
		}
		t.args++
	}
}

func (t *typed) child(name string) *kong.Node {
	for _, c := range t.at.Children {
		if t.args == 0 && c.Name == name {
			return c
		}
	}
	return nil
}

// flags are those that may stand here.
func (t *typed) flags() []*kong.Flag {
	at := t.at
	if at.DefaultCmd != nil {
		at = at.DefaultCmd
	}
	var all []*kong.Flag
	for _, group := range at.AllFlags(true) {
		all = append(all, group...)
	}
	return all
}

func (t *typed) flag(name string) *kong.Flag {
	for _, f := range t.flags() {
		if "--"+f.Name == name || f.Short != 0 && "-"+string(f.Short) == name {
			return f
		}
	}
	return nil
}

// next are the commands that may follow, or the values of the next argument.
func (t *typed) next() []offer {
	var all []offer
	for _, c := range t.at.Children {
		if t.args == 0 && !c.Hidden {
			all = append(all, offer{c.Name, c.Help})
		}
	}
	at := t.at
	if at.DefaultCmd != nil {
		at = at.DefaultCmd
	}
	if t.args < len(at.Positional) {
		all = append(all, values("", at.Positional[t.args])...)
	}
	return all
}

func values(prefix string, v *kong.Value) []offer {
	if v.Enum == "" {
		return nil
	}
	var all []offer
	for _, word := range v.EnumSlice() {
		all = append(all, offer{prefix + word, ""})
	}
	return all
}

// plain is a help text with its values filled in.
func plain(help string, v *kong.Value) string {
	return strings.ReplaceAll(help, "${enum}", v.Enum)
}
