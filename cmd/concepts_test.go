package cmd_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

// rowsUnder are the rows of the first table of docs/concepts.md whose header
// begins with that column, as cells.
func rowsUnder(t *testing.T, column string) [][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash("../docs/concepts.md"))
	require.NoError(t, err)
	_, text2, found := strings.Cut(string(text), "\n| "+strings.TrimLeft(column+" |", " "))
	require.True(t, found, "docs/concepts.md has no table of %s", column)
	var rows [][]string
	for _, line := range strings.Split(text2, "\n")[2:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows
}

// quotedIn are the words between backquotes.
func quotedIn(cell string) []string {
	var words []string
	for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
		words = append(words, m[1])
	}
	return words
}

func firstCells(rows [][]string) []string {
	var words []string
	for _, r := range rows {
		words = append(words, quotedIn(r[0])...)
	}
	return words
}

func TestTheConceptsNameEveryStateVerdictAndStage(t *testing.T) {
	states := []string{string(job.Killing)}
	for _, s := range job.States() {
		states = append(states, string(s))
	}
	require.ElementsMatch(t, states, firstCells(rowsUnder(t, "state")))
	require.ElementsMatch(t, constantsOf(t, "order.go", "Verdict"), firstCells(rowsUnder(t, "verdict")))
	require.ElementsMatch(t, constantsOf(t, "receipt.go", "Stage"), firstCells(rowsUnder(t, "stage")))
}

// constantsOf are the values of the constants of a type of room job.
func constantsOf(t *testing.T, file, typ string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.FromSlash("../internal/job/"+file), nil, 0)
	require.NoError(t, err)
	var values []string
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 {
			return true
		}
		if id, ok := v.Type.(*ast.Ident); ok && id.Name == typ {
			if lit, ok := v.Values[0].(*ast.BasicLit); ok {
				s, err := strconv.Unquote(lit.Value)
				require.NoError(t, err)
				values = append(values, s)
			}
		}
		return true
	})
	require.NotEmpty(t, values, typ)
	return values
}

// The table of rights, cell by cell: each word against what the rule says on a
// job of one's own, one that was submitted for another, and a stranger's.
func TestTheConceptsTellTheRights(t *testing.T) {
	roles := []access.Role{access.Owner, access.Service, access.Operator, access.Admin}
	for _, row := range rowsUnder(t, "") {
		for i, role := range roles {
			require.Equal(t, rightOf(role, access.Act(row[0])), row[i+1], "%s by %s", row[0], role)
		}
	}
}

func rightOf(role access.Role, act access.Act) string {
	a := access.Actor{Subject: "s", Owner: "acme", Roles: []access.Role{role}, Credential: access.Credential{Kind: access.APIKey, ID: "k"}}
	on := func(owner, submitter string) access.Target {
		switch act {
		case access.Submit, access.KillOwner:
			return access.JobsOf(owner)
		case access.Read, access.Kill, access.Resume:
			return access.Record(job.Job{ID: "0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0e00", Owner: owner, Submitter: submitter})
		case access.KillSelector:
			return access.Selected(job.Selector{Kind: "deliberation"})
		default:
			return access.WholeFleet()
		}
	}
	may := func(t access.Target) bool { _, err := access.Authorize(a, act, t); return err == nil }
	foreign, submitted, own := may(on("other", "x")), may(on("other", "s")), may(on("acme", "x"))
	switch {
	case foreign && act == access.Submit:
		return "any owner"
	case foreign:
		return "any"
	case submitted:
		return "submitted"
	case own:
		return "own"
	}
	return "-"
}

// The list of problems, with their status, against those that the door writes.
func TestTheConceptsNameEveryProblem(t *testing.T) {
	written := map[string][]int{}
	for _, row := range rowsUnder(t, "type") {
		for _, word := range quotedIn(row[0]) {
			for s := range strings.SplitSeq(row[1], ", ") {
				status, err := strconv.Atoi(s)
				require.NoError(t, err)
				written[word] = append(written[word], status)
			}
		}
	}
	answered := answeredProblems(t)
	require.ElementsMatch(t, slices.Collect(maps.Keys(answered)), slices.Collect(maps.Keys(written)))
	for word, statuses := range answered {
		for _, s := range statuses {
			require.Contains(t, written[word], s, "%s is answered %d", word, s)
		}
	}
}

// answeredProblems are the types of the door, and each status that one is
// written with.
func answeredProblems(t *testing.T) map[string][]int {
	t.Helper()
	statuses := map[string]int{}
	for code := 400; code < 600; code++ {
		if text := http.StatusText(code); text != "" {
			statuses[strings.NewReplacer(" ", "", "-", "").Replace(strings.ToLower(text))] = code
		}
	}
	declared := regexp.MustCompile(`\n\t(type[A-Z]\w+)\s*= "([a-z-]+)"`)
	used := regexp.MustCompile(`http\.Status(\w+), (type[A-Z]\w+)`)
	files, err := filepath.Glob(filepath.FromSlash("../internal/api/*.go"))
	require.NoError(t, err)
	words, found := map[string]string{}, map[string][]int{}
	var all strings.Builder
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && !strings.HasSuffix(file, "_test.go") {
			all.Write(text)
		}
	}
	for _, m := range declared.FindAllStringSubmatch(all.String(), -1) {
		words[m[1]], found[m[2]] = m[2], nil
	}
	for _, m := range used.FindAllStringSubmatch(all.String(), -1) {
		code := statuses[strings.ToLower(m[1])]
		require.NotZero(t, code, m[1])
		found[words[m[2]]] = append(found[words[m[2]]], code)
	}
	require.NotEmpty(t, found)
	return found
}
