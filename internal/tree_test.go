package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/rtfm-si/gavel"

// source is one Go file of the module.
type source struct {
	path string // from the module's root, with slashes
	room string // its folder, without internal/
	test bool
	text []byte
	fset *token.FileSet
	*ast.File
}

// imports are the paths a file imports; those of this module as rooms.
func (s source) imports() []string {
	out := make([]string, len(s.Imports))
	for i, spec := range s.Imports {
		path, _ := strconv.Unquote(spec.Path.Value) // the parser has seen to it
		out[i] = roomOf(path)
	}
	return out
}

// at says where a node is, for the message.
func (s source) at(n ast.Node) string {
	return s.path + ":" + strconv.Itoa(s.fset.Position(n.Pos()).Line)
}

func roomOf(path string) string {
	if rest, ok := strings.CutPrefix(path, module+"/"); ok {
		return strings.TrimPrefix(rest, "internal/")
	}
	return path
}

// ours says whether an import is of this module, once [roomOf] has read it.
func (tr tree) ours(imported string) bool {
	_, ok := tr.rooms[imported]
	return ok
}

// tree is the module's Go code: this one module, without testdata and without
// modules of their own such as bench.
type tree struct {
	root  string
	files []source
	rooms map[string][]source
}

func walk(t *testing.T) tree {
	t.Helper()
	tr := tree{root: "..", rooms: map[string][]source{}}
	err := filepath.WalkDir(tr.root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != tr.root && (skipped(d.Name()) || hasModule(path)):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		return tr.read(path)
	})
	require.NoError(t, err)
	require.NotEmpty(t, tr.files)
	return tr
}

func skipped(dir string) bool {
	return dir == "testdata" || dir == "bin" || strings.HasPrefix(dir, ".") || strings.HasPrefix(dir, "_")
}

func hasModule(dir string) bool {
	found, _ := filepath.Glob(filepath.Join(dir, "go.mod")) // the pattern is well formed
	return len(found) > 0
}

func (tr *tree) read(path string) error {
	text, err := readFile(path)
	if err != nil {
		return err
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(tr.root, path)
	if err != nil {
		return err
	}
	rel = filepath.ToSlash(rel)
	dir := ""
	if i := strings.LastIndexByte(rel, '/'); i > 0 {
		dir = rel[:i]
	}
	s := source{
		path: rel, room: strings.TrimPrefix(dir, "internal/"), test: strings.HasSuffix(path, "_test.go"),
		text: text, fset: fset, File: f,
	}
	tr.files = append(tr.files, s)
	tr.rooms[s.room] = append(tr.rooms[s.room], s)
	return nil
}

// product are the files that end up in a binary.
func (tr tree) product() (out []source) {
	for _, f := range tr.files {
		if !f.test && !testsOnly(f.room) {
			out = append(out, f)
		}
	}
	return out
}

// testsOnly says whether a room serves tests alone.
func testsOnly(room string) bool {
	for _, bench := range []string{"redistest", "torture"} {
		if room == bench || strings.HasPrefix(room, bench+"/") {
			return true
		}
	}
	return false
}

// reach is all that a room's product code imports, directly or through rooms,
// each with the chain that leads there.
func (tr tree) reach(room string) map[string]string {
	found := map[string]string{}
	var visit func(room, chain string)
	visit = func(room, chain string) {
		for _, f := range tr.rooms[room] {
			if f.test {
				continue
			}
			for _, imported := range f.imports() {
				if _, seen := found[imported]; seen {
					continue
				}
				found[imported] = chain + " -> " + imported
				if tr.ours(imported) {
					visit(imported, found[imported])
				}
			}
		}
	}
	visit(room, room)
	return found
}

// direct is what a room's product code imports, each with a file that does.
func (tr tree) direct(room string) map[string]string {
	found := map[string]string{}
	for _, f := range tr.rooms[room] {
		if f.test {
			continue
		}
		for _, imported := range f.imports() {
			found[imported] = f.path
		}
	}
	return found
}

func (tr tree) roomNames() []string { return slices.Sorted(maps.Keys(tr.rooms)) }

// camel splits an identifier into its words, in lower case.
func camel(name string) (words []string) {
	start := 0
	for i := 1; i <= len(name); i++ {
		if i == len(name) || upper(name[i]) && (!upper(name[i-1]) || i+1 < len(name) && !upper(name[i+1])) {
			words = append(words, strings.ToLower(name[start:i]))
			start = i
		}
	}
	return words
}

func upper(c byte) bool { return c >= 'A' && c <= 'Z' }
