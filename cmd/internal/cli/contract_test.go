package cli

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/comparison"
	"github.com/rtfm-si/gavel/cmd/internal/dev"
	"github.com/rtfm-si/gavel/cmd/internal/drill"
	"github.com/rtfm-si/gavel/internal/access"
)

var update = flag.Bool("update", false, "write docs/cli.md anew")

// written is what a command writes with --json.
type written struct {
	what  any  // a value of what it writes; nil for nothing
	lines bool // one for each, on a line of its own
	also  []any
	note  string
}

// What commands write that has no type of its own.
type (
	answered  struct{ ID, State string }
	versioned struct{ Version string }
	loggedIn  struct{ Fleet, URL, Config string }
	revoked   struct {
		ID      string
		Revoked bool
	}
	auditKey struct {
		File      string
		PublicKey string `json:"public_key"`
	}
	budgets struct {
		Fleet  client.Budget
		Owners []client.Budget
	}
	madeKey struct {
		Secret string
		Key    client.Key
	}
	newKey struct {
		Secret string
		Key    access.Key
		File   string `json:"file,omitempty"`
	}
	verified struct {
		Partitions []struct {
			Partition int
			Entries   uint64
			Signed    uint64
			SignedAt  string `json:"signed_at,omitempty"`
			Repeats   uint64
			Keys      []string `json:"keys,omitempty"`
		}
		SkippedLines int `json:"skipped_lines"`
	}
)

// contract is what every command writes for scripts. What is here stays: fields may
// come, and none may go or change.
func contract() map[string]written {
	receipt, gate := written{what: client.Receipt{}}, written{what: client.Gate{}}
	events := written{what: eventLine{}, lines: true}
	block, key := written{what: client.Block{}}, written{what: madeKey{}}
	interactive := written{note: "for a person"}
	return map[string]written{
		"dev": interactive, "demo": interactive, "modelsim": interactive, "completion": {note: "a shell's script"},
		"compare": {what: []comparison.Pair{}},
		"run":     {what: client.Accepted{}, lines: true, also: []any{eventLine{}, client.Result{}}, note: "first what was accepted, then each event, last the result"},
		"submit":  {what: client.Accepted{}}, "ps": {what: []client.Job{}}, "get": {what: client.Job{}}, "watch": events, "logs": events,
		"report": {what: client.Result{}}, "answer": {what: answered{}}, "resume": {what: client.Resumed{}},
		"transcript":  {what: client.Exchange{}, lines: true},
		"checkpoints": {what: []client.Checkpoint{}, note: "with a number: that one, with its state"},
		"kill":        receipt, "kill-all": receipt, "receipt": receipt, "emergency kill-all": receipt, "orders": {what: []client.Receipt{}},
		"preview": {what: client.Preview{}}, "block": block, "lift": block, "blocks": {what: []client.Block{}},
		"freeze": gate, "thaw": gate, "fleet adopt": gate, "fleet show": {what: client.Fleet{}}, "top": {what: view{}, note: "one look"},
		"spend": {what: client.Spend{}}, "budget set": {what: client.Budget{}}, "budget unset": {what: client.Budget{}}, "budget list": {what: budgets{}},
		"audit list": {what: []client.AuditEntry{}}, "audit follow": {what: client.AuditEntry{}, lines: true}, "audit verify": {what: verified{}},
		"audit export": {note: "the lines of docs/audit.md, with and without it"}, "audit key": {what: auditKey{}},
		"keys create": key, "keys list": {what: []client.Key{}}, "keys revoke": {what: revoked{}}, "keys new": {what: newKey{}},
		"drill": {what: drill.Result{}}, "login": {what: loggedIn{}}, "version": {what: versioned{}},
	}
}

// leaves are the commands that do something, by their path.
func leaves(t *testing.T) map[string]*kong.Node {
	t.Helper()
	parser, err := kong.New(&commands{})
	require.NoError(t, err)
	out := map[string]*kong.Node{}
	for _, n := range parser.Model.Leaves(true) {
		words := []string{}
		for at := n; at != nil && at.Type == kong.CommandNode; at = at.Parent {
			words = append([]string{at.Name}, words...)
		}
		out[strings.Join(words, " ")] = n
	}
	return out
}

func TestEveryCommandSaysWhatItWritesForScripts(t *testing.T) {
	t.Parallel()
	all := contract()
	for path, node := range leaves(t) {
		require.Contains(t, all, path, "say in contract() what %q writes with --json", path)
		require.NotEmpty(t, node.Help, path)
	}
	for path := range all {
		require.Contains(t, leaves(t), path, "there is no such command")
	}
	for _, verb := range strings.Fields("run submit ps get watch logs kill kill-all freeze thaw orders receipt resume answer report spend audit drill top modelsim dev login completion") {
		require.True(t, slices.ContainsFunc(slices.Collect(mapKeys(leaves(t))), func(p string) bool { return p == verb || strings.HasPrefix(p, verb+" ") }), verb)
	}
}

func mapKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func TestTheContractWithScriptsIsDocumented(t *testing.T) {
	t.Parallel()
	const path = "../../../docs/cli.md"
	want := contractPage(t)
	if *update {
		require.NoError(t, os.WriteFile(path, want, 0o600))
	}
	have, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(have), "what scripts read has changed. When no field went or changed its type: go test ./cmd/internal/cli -run Documented -update")
}

// What commands really write is what the contract says, and not a field more.
func TestCommandsKeepTheContract(t *testing.T) {
	t.Parallel()
	w := newTown(t, quick())
	id := w.submit(dev.Alice, "return-to-office")
	w.gavel(dev.Alice, "watch", id).ok()
	killed := w.submit(dev.Alice, "market-entry")
	order := w.killed(killed)
	for _, c := range []struct {
		who  string
		path string
		args []string
	}{
		{dev.Alice, "submit", []string{"../../../examples/build-or-buy.json"}},
		{dev.Alice, "ps", nil},
		{dev.Alice, "get", []string{id}},
		{dev.Alice, "get", []string{killed}},
		{dev.Alice, "watch", []string{id}},
		{dev.Alice, "logs", []string{id}},
		{dev.Alice, "report", []string{id}},
		{dev.Alice, "transcript", []string{id}},
		{dev.Alice, "checkpoints", []string{id}},
		{dev.Alice, "kill", []string{id, "--reason", "late"}},
		{dev.Admin, "receipt", []string{order}},
		{dev.Admin, "orders", nil},
		{dev.Admin, "preview", []string{"--owner", "alice"}},
		{dev.Admin, "block", []string{"--kind", "nothing", "--reason", "r"}},
		{dev.Admin, "blocks", nil},
		{dev.Admin, "freeze", []string{"--reason", "r"}},
		{dev.Admin, "thaw", []string{"--reason", "r"}},
		{dev.Admin, "fleet show", nil},
		{dev.Admin, "top", nil},
		{dev.Admin, "spend", nil},
		{dev.Admin, "budget set", []string{"alice", "--cap", "90", "--reason", "r"}},
		{dev.Admin, "budget list", nil},
		{dev.Admin, "budget unset", []string{"alice", "--reason", "r"}},
		{dev.Admin, "audit list", nil},
		{dev.Admin, "keys create", []string{"--subject", "kim", "--owner", "acme"}},
		{dev.Admin, "keys list", nil},
		{dev.Alice, "version", nil},
		{dev.Admin, "kill-all", []string{"--owner", "alice", "--reason", "r", "--break-glass"}},
	} {
		said := w.gavel(c.who, append(append(strings.Fields(c.path), "--json"), c.args...)...).ok()
		strictly(t, contract()[c.path], said)
	}
	w.gavel(dev.Bob, "get", "--json", id).fails(codeRefused, `"exit":3`, `"type":"urn:gavel:problem:not-found"`)
}

// killed kills a job and returns the order.
func (w town) killed(id string) string {
	w.t.Helper()
	var r client.Receipt
	w.gavel(dev.Alice, "kill", "--json", id, "--reason", "enough").into(&r)
	return r.Order
}

// strictly reads what was written as what the contract says.
func strictly(t *testing.T, c written, said string) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(said))
	dec.DisallowUnknownFields()
	n := 0
	for ; dec.More(); n++ {
		into := reflect.New(reflect.TypeOf(c.what))
		require.NoError(t, dec.Decode(into.Interface()), said)
	}
	require.True(t, n == 1 || c.lines, said)
	if c.lines && n > 0 {
		require.Equal(t, n, strings.Count(strings.TrimSpace(said), "\n")+1, "one on each line")
	}
}

// contractPage is docs/cli.md.
func contractPage(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	p := pageOf{seen: map[string]reflect.Type{}}
	out.WriteString(`# The command, for scripts

Made by ` + "`go test ./cmd/internal/cli -run Documented -update`" + ` from the command itself; a test holds it to what is really written.

With ` + "`--json`" + ` a command writes one document to standard output, or, where the table says *lines*, one for each thing on a line of its own. What went wrong is one
object on standard error: ` + "`error`, `exit`, `hint`, `type` (the API's problem type), `request_id`" + `. Fields may be added; none goes or changes its type within a major version.

| exit | meaning |
|---|---|
| 0 | done as asked |
| 1 | failed: the job did not succeed, or something broke |
| 2 | usage: an argument, a file or a variable is wrong; nothing was asked |
| 3 | refused, or not found (somebody else's looks the same) |
| 4 | not over yet: an order in force and not confirmed, a job that still runs |
| 5 | unavailable: no dispatcher, no Redis, or the fleet is frozen; try later |

| command | does | with --json |
|---|---|---|
`)
	all := contract()
	for _, path := range slices.Sorted(mapKeys(all)) {
		fmt.Fprintf(&out, "| `gavel %s` | %s | %s |\n", path, leaves(t)[path].Help, p.of(all[path]))
	}
	for done := 0; done < len(p.open); done++ { //nolint:intrange // to describe one may open others
		p.describe(&out, p.open[done])
	}
	return out.Bytes()
}

// pageOf writes types, each once.
type pageOf struct {
	seen map[string]reflect.Type
	open []reflect.Type
}

func (p *pageOf) of(c written) string {
	if c.what == nil {
		return "– (" + c.note + ")"
	}
	text := p.name(reflect.TypeOf(c.what))
	for _, also := range c.also {
		text += ", " + p.name(reflect.TypeOf(also))
	}
	if c.lines {
		text = "lines: " + text
	}
	if c.note != "" {
		text += "; " + c.note
	}
	return text
}

// name is what a type is called, in JSON's words.
func (p *pageOf) name(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "time (RFC 3339)"
	case t == reflect.TypeFor[time.Duration]():
		return "nanoseconds"
	case t == reflect.TypeFor[json.RawMessage]():
		return "any"
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return "string"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return p.name(t.Elem()) + " or null"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "base64"
		}
		return "list of " + p.name(t.Elem())
	case reflect.Map:
		return "object of " + p.name(t.Elem())
	case reflect.Struct:
		return p.object(t)
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Float64:
		return "number"
	case reflect.Interface:
		return "any"
	default:
		return "integer"
	}
}

func (p *pageOf) object(t reflect.Type) string {
	name := t.Name()
	if name == "" {
		var fields []string
		for _, f := range p.fields(t) {
			fields = append(fields, f[0]+": "+f[1])
		}
		return "{" + strings.Join(fields, ", ") + "}"
	}
	if other, ok := p.seen[name]; ok && other != t {
		name = t.PkgPath()[strings.LastIndex(t.PkgPath(), "/")+1:] + "." + name
	}
	if _, ok := p.seen[name]; !ok {
		p.seen[name] = t
		p.open = append(p.open, t)
	}
	return "[" + name + "](#" + strings.ToLower(strings.ReplaceAll(name, ".", "")) + ")"
}

func (p *pageOf) describe(out *bytes.Buffer, t reflect.Type) {
	name := ""
	for n, other := range p.seen {
		if other == t {
			name = n
		}
	}
	fmt.Fprintf(out, "\n## %s\n\n| field | type |\n|---|---|\n", name)
	for _, f := range p.fields(t) {
		fmt.Fprintf(out, "| `%s` | %s |\n", f[0], f[1])
	}
}

// fields are those of an object with their types; one that may be left out has a
// question mark.
func (p *pageOf) fields(t reflect.Type) (out [][2]string) {
	for f := range t.Fields() {
		tag, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case tag == "-" || !f.IsExported():
			continue
		case f.Anonymous && tag == "":
			out = append(out, p.fields(f.Type)...)
			continue
		}
		name := cmp.Or(tag, strings.ToLower(f.Name))
		if strings.Contains(rest, "omit") {
			name += "?"
		}
		out = append(out, [2]string{name, p.name(f.Type)})
	}
	return out
}
