// Package internal_test holds the laws of the house that a compiler does not
// know: who may import whom, what a room must have, how large a file may grow,
// which words are used. Each failure says the reason and what to do instead.
package internal_test

import (
	"bytes"
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func readFile(name string) ([]byte, error) { return os.ReadFile(name) }

// mayImport is the direction of the house, cmd -> {api | execution} -> job <-
// {stream lease control budget audit} -> rediskit: for each room the rooms it
// may import, and nothing else of this module.
func mayImport() map[string]string {
	return map[string]string{
		// Pure: nouns and rules, no I/O.
		"job":     "",
		"clock":   "",
		"problem": "",

		// What several rooms stand on.
		"access": "job",
		// Apart, so that a worker, which never sees a token, has none of its code.
		"access/token": "job access",
		"rediskit":     "job",
		"telemetry":    "job clock",
		"beat":         "job rediskit clock",

		// The form of stored states, for those who write them and those who show them.
		"checkpoint": "job clock",
		// Where they are kept when it is not in Redis; joined by settings.
		"checkpoint/directory": "checkpoint",
		"checkpoint/bucket":    "checkpoint",

		// Beside Redis: siblings.
		"stream":  "job rediskit clock checkpoint",
		"lease":   "job rediskit clock beat",
		"control": "job rediskit clock beat access",
		"budget":  "job rediskit clock access",
		"audit":   "job rediskit clock access",
		"keyring": "job rediskit access",

		// The doors and the hands.
		"api":                    "job access problem clock telemetry",
		"console":                "job access",
		"execution":              "job rediskit clock telemetry checkpoint",
		"execution/deliberation": "job problem execution/model execution/price",
		"execution/process":      "job clock",
		"execution/canary":       "job",
		"execution/model":        "job",
		"execution/price":        "job",

		// For development and tests.
		"modelsim":       "problem",
		"redistest":      "",
		"redistest/spec": "job rediskit redistest",

		// Torture shares nothing with the product that it judges.
		"torture":         "torture/history torture/judge torture/load torture/mutant torture/nemesis torture/rig",
		"torture/history": "",
		"torture/judge":   "torture/history",
		"torture/mutant":  "",
		"torture/rig":     "torture/history",
		"torture/load":    "torture/history torture/rig",
		"torture/nemesis": "torture/history torture/rig torture/load",

		// For everybody else's programs.
		"client":   "",
		"examples": "",
	}
}

func TestRoomsImportOnlyDownwards(t *testing.T) {
	tr, may := walk(t), mayImport()
	for _, room := range tr.roomNames() {
		if room == "cmd" || strings.HasPrefix(room, "cmd/") || room == "internal" {
			continue
		}
		allowed, known := may[room]
		if !assert.True(t, known, "%s is a new room. A room is a design event: say in mayImport here what it may import, and in ARCHITECTURE.md why it is one.", room) {
			continue
		}
		for imported, file := range tr.direct(room) {
			if tr.ours(imported) {
				assert.Contains(t, strings.Fields(allowed), imported,
					"%s: %s imports %s. Rooms know only what is below them, so that each can be read alone: declare the interface you need beside its use, in your own words, and let cmd/*/wire.go join the two.", file, room, imported)
			}
		}
	}
}

// never are imports that would undo a promise, even through other rooms.
func never() []struct{ room, banned, reason string } {
	const blind = "what executes a job knows no Redis, no lease and no kill, only ctx and its cause; or it could outlive its claim"
	return []struct{ room, banned, reason string }{
		{"cmd/dispatcher", "lease execution execution/deliberation execution/process", "the door cannot run a job: a dispatcher that is broken into must not be a worker"},
		{"cmd/worker", "api console", "the hands have no door for clients: who reaches a worker must not be able to order anything"},
		{"execution/deliberation", "rediskit lease control github.com/redis/go-redis/v9", blind},
		{"execution/process", "rediskit lease control github.com/redis/go-redis/v9", blind},
		{"execution/canary", "rediskit lease control github.com/redis/go-redis/v9", blind},
		{"execution/model", "rediskit lease control github.com/redis/go-redis/v9", blind},
		{"client", "job access api rediskit", "other programs import client; what is internal must stay free to change"},
	}
}

func TestPromisesHoldThroughEveryImport(t *testing.T) {
	tr := walk(t)
	for _, law := range never() {
		reach := tr.reach(law.room)
		for _, banned := range strings.Fields(law.banned) {
			assert.Empty(t, reach[banned], "%s may not reach %s: %s", law.room, banned, law.reason)
		}
	}
}

func TestJobKnowsTheStandardLibraryOnly(t *testing.T) {
	for imported, file := range walk(t).direct("job") {
		assert.NotContains(t, strings.Split(imported, "/")[0], ".",
			"%s imports %s. Everybody imports job; whatever it imports, all of the house depends on.", file, imported)
	}
}

func TestRedisIsSpokenInFewFiles(t *testing.T) {
	anywhere := []string{"rediskit", "beat"}
	for _, f := range walk(t).product() {
		for _, imported := range f.imports() {
			switch {
			case strings.HasPrefix(imported, "github.com/redis/go-redis/"):
				assert.True(t, slices.Contains(anywhere, f.room) || strings.HasPrefix(f.room, "cmd/") || path.Base(f.path) == "redis.go",
					"%s imports go-redis. A room's Redis side is its redis.go; the rest speaks the room's words and is tested without a server.", f.path)
			case strings.HasPrefix(imported, "github.com/alicebob/miniredis/"):
				assert.True(t, f.room == "cmd/gavel" || f.path == "internal/rediskit/embedded.go",
					"%s imports miniredis. It is the embedded Redis of gavel dev and nothing else: it has no ACL, no CONFIG, and forgets.", f.path)
			}
		}
	}
}

func TestOnlyTelemetryKnowsOpenTelemetry(t *testing.T) {
	for _, f := range walk(t).product() {
		for _, imported := range f.imports() {
			assert.False(t, strings.HasPrefix(imported, "go.opentelemetry.io/") && f.room != "telemetry",
				"%s imports %s. A room tells telemetry of the span in its context, or an interface of its own; what spans are made of, and where they go, is one room's to know.", f.path, imported)
		}
	}
}

func TestProductCodeImportsNoTestTools(t *testing.T) {
	for _, f := range walk(t).product() {
		for _, imported := range f.imports() {
			tool := imported == "testing" || imported == "redistest" || imported == "redistest/spec" ||
				strings.HasPrefix(imported, "github.com/stretchr/testify")
			assert.False(t, tool, "%s imports %s, which is for tests", f.path, imported)
		}
	}
}

func TestEveryRoomHasItsDocument(t *testing.T) {
	tr := walk(t)
	for _, room := range tr.roomNames() {
		files := tr.rooms[room]
		if room == "internal" || room == "cmd" && !slices.ContainsFunc(files, func(f source) bool { return !f.test }) {
			continue // tests of the tree, without a package of its own
		}
		i := slices.IndexFunc(files, documents)
		if !assert.GreaterOrEqual(t, i, 0, "%s has no doc.go. It says what the room is and is not, its states and invariants, what happens when things fail, and its files.", room) {
			continue
		}
		want := "Package " + files[i].Name.Name + " "
		if files[i].Name.Name == "main" {
			want = path.Base(room) + " "
		}
		doc := files[i].Doc.Text()
		assert.True(t, strings.HasPrefix(strings.ToLower(doc), strings.ToLower(want)) || strings.HasPrefix(doc, "Command "),
			"%s must begin with %q", files[i].path, want)
		documentsFiles(t, files, doc)
	}
}

// documents says whether a file holds its room's document: doc.go, or main.go
// of a command that only starts something.
func documents(f source) bool {
	base := path.Base(f.path)
	return base == "doc.go" || base == "main.go" && f.Name.Name == "main" && f.Doc.Text() != ""
}

var goFile = regexp.MustCompile(`\b[a-z][a-z0-9_]*\.go\b`)

// documentsFiles holds a list of files in a room's document to the folder.
func documentsFiles(t *testing.T, files []source, doc string) {
	t.Helper()
	_, list, ok := strings.Cut(doc, "# Files")
	if !ok {
		assert.LessOrEqual(t, len(files), 6, "%s/doc.go has no list of files; with more than a handful a reader needs one: # Files", files[0].room)
		return
	}
	named := goFile.FindAllString(list, -1)
	there := []string{}
	for _, f := range files {
		there = append(there, path.Base(f.path))
		if !f.test && path.Base(f.path) != "doc.go" {
			assert.Contains(t, named, path.Base(f.path), "%s is missing in its room's list of files (doc.go)", f.path)
		}
	}
	for _, name := range named {
		assert.Contains(t, there, name, "%s/doc.go lists a file that is not there", files[0].room)
	}
}

func TestFilesStaySmallEnoughToReadAtOnce(t *testing.T) {
	for _, f := range walk(t).files {
		limit := 400
		if f.test {
			limit = 800
		}
		assert.LessOrEqual(t, bytes.Count(f.text, []byte("\n")), limit, "%s has more than %d lines: it holds more than one idea, split it along them", f.path, limit)
	}
}

func TestMainsOnlyStartAndReport(t *testing.T) {
	for _, f := range walk(t).product() {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || f.Name.Name != "main" || fn.Name.Name != "main" {
				continue
			}
			lines := f.fset.Position(fn.End()).Line - f.fset.Position(fn.Pos()).Line
			assert.LessOrEqual(t, lines, 25, "%s: main is signal context, run, exit code; what is more belongs into run, where a test can reach it", f.at(fn))
		}
	}
}

func TestRoomsAreNamedForWhatTheyHold(t *testing.T) {
	drawers := []string{"util", "utils", "common", "types", "models", "helpers", "helper", "misc", "shared", "base", "lib", "core"}
	tr := walk(t)
	for _, room := range tr.roomNames() {
		name := strings.TrimSuffix(tr.rooms[room][0].Name.Name, "_test")
		assert.NotContains(t, drawers, name, "%s is a drawer, not a room: name it for the noun of the domain that it is about", room)
	}
}

// words that have a word of their own here. One idea with two names is two
// ideas to the reader.
func words() map[string]string {
	return map[string]string{
		"task": "job", "tenant": "owner", "heartbeat": "beat", "unfreeze": "thaw", "suspend": "park",
		"terminate": "kill", "abort": "kill", "enqueue": "submit", "dequeue": "grant", "requeue": "release",
		"queue": "road", "lock": "lease", "tombstone": "order", "refund": "settle",
	}
}

func TestOneWordPerIdea(t *testing.T) {
	demanded := []string{"GetStatus", "GetHeaders"} // by interfaces of huma
	for _, f := range walk(t).product() {
		if f.room == "modelsim" {
			continue // it stands for somebody else's house
		}
		for _, id := range exported(f) {
			parts := camel(id.Name)
			for _, part := range parts {
				assert.Empty(t, words()[part], "%s: %s: %q has another word here", f.at(id), id.Name, part)
			}
			assert.False(t, len(parts) > 1 && parts[0] == "get" && !slices.Contains(demanded, id.Name),
				"%s: %s: no Get, name it for what it gives", f.at(id), id.Name)
		}
	}
}

// exported are the identifiers that a file offers to other rooms: functions,
// types, constants, variables and the methods of interfaces.
func exported(f source) (out []*ast.Ident) {
	ast.Inspect(f.File, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			out = append(out, n.Name)
			return false // what is declared inside is nobody else's
		case *ast.TypeSpec:
			out = append(out, n.Name)
		case *ast.ValueSpec:
			out = append(out, n.Names...)
		case *ast.Field:
			out = append(out, n.Names...)
		}
		return true
	})
	return slices.DeleteFunc(out, func(id *ast.Ident) bool { return !id.IsExported() })
}

func TestProductCodeDoesNotPanic(t *testing.T) {
	for _, f := range walk(t).product() {
		ast.Inspect(f.File, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name, _ := call.Fun.(*ast.Ident)
			assert.False(t, name != nil && name.Name == "panic" && !aborts(call), "%s panics. A worker holds other people's jobs: return an error.", f.at(call))
			return true
		})
	}
}

// aborts says whether a call is panic(http.ErrAbortHandler), net/http's own
// word for cutting an answer off.
func aborts(call *ast.CallExpr) bool {
	if len(call.Args) != 1 {
		return false
	}
	sel, ok := call.Args[0].(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "ErrAbortHandler"
}

func TestTestsDoNotSleep(t *testing.T) {
	tr := walk(t)
	for _, f := range tr.files {
		bubbles := bubbles(tr.rooms[f.room])
		for _, d := range f.Decls {
			if !f.test || inBubble(d, bubbles) {
				continue
			}
			ast.Inspect(d, func(n ast.Node) bool {
				if isCall(n, "time", "Sleep") {
					assert.Fail(t, "a test sleeps", "%s: wait for what must happen (require.Eventually, a channel), or put the time into a synctest bubble, where to sleep is to turn the clock; a helper of bubbles says so in its comment", f.at(n))
				}
				return true
			})
		}
	}
}

// bubbles are a room's test helpers that open a synctest bubble, or say in
// their comment that they run in one.
func bubbles(files []source) map[string]bool {
	found := map[string]bool{}
	for _, f := range files {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.test {
				found[fn.Name.Name] = strings.Contains(fn.Doc.Text(), "bubble") || inBubble(fn, nil)
			}
		}
	}
	return found
}

// inBubble says whether a declaration is one of the helpers, uses one, or opens
// a bubble itself.
func inBubble(d ast.Decl, helpers map[string]bool) (in bool) {
	ast.Inspect(d, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		in = in || isCall(n, "synctest", "Test") || ok && helpers[id.Name]
		return !in
	})
	return in
}

// isCall says whether a node is a call of pkg.name.
func isCall(n ast.Node, pkg, name string) bool {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == pkg && sel.Sel.Name == name
}

func TestEveryTestedRoomLooksForLeaks(t *testing.T) {
	tr := walk(t)
	for _, room := range tr.roomNames() {
		tested, looks := false, false
		for _, f := range tr.rooms[room] {
			tested = tested || f.test
			ast.Inspect(f.File, func(n ast.Node) bool {
				looks = looks || f.test && (isCall(n, "goleak", "VerifyTestMain") || isCall(n, "redistest", "Main") || isCall(n, "redistest", "With"))
				return true
			})
		}
		assert.True(t, !tested || looks || room == "internal", "%s has tests and no TestMain that calls goleak.VerifyTestMain or redistest.Main: a goroutine without an owner would go unseen", room)
	}
}

func TestEveryScriptIsSpecified(t *testing.T) {
	scripts, err := filepath.Glob(filepath.Join("*", "lua", "*.lua"))
	require.NoError(t, err)
	tr := walk(t)
	for _, script := range scripts {
		room := filepath.Base(filepath.Dir(filepath.Dir(script)))
		if room == "rediskit" {
			continue // fragments; they are specified by the scripts they are part of
		}
		spec := filepath.Join(room, "testdata", strings.TrimSuffix(filepath.Base(script), ".lua")+".txtar")
		_, err := os.Stat(spec)
		assert.NoError(t, err, "%s has no specification: write %s (see internal/redistest/spec)", script, spec)
		runs := slices.ContainsFunc(tr.rooms[room], func(f source) bool { return f.test && bytes.Contains(f.text, []byte("spec.Run(t)")) })
		assert.True(t, runs, "%s has scripts and no test that calls spec.Run(t)", room)
	}
}
