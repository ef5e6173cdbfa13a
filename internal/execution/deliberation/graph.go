package deliberation

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
)

// node names a step of a graph.
type node string

// end is where a walk is over. It is a node of every graph.
const end node = "end"

// edge leads to a node. A counted edge closes a cycle and may be taken only so
// often as the walk allows.
type edge struct {
	to      node
	counted bool
}

// graph is what may follow what.
type graph struct {
	name  string
	start node
	edges map[node][]edge
}

// validate refuses a graph in which a walk could go on for ever: a cycle
// without a counted edge, a counted edge with no other way out beside it, a
// node that cannot reach the end, or one that nothing leads to.
func (g graph) validate() error {
	for from, out := range g.edges {
		for _, e := range out {
			if _, known := g.edges[e.to]; e.to != end && !known {
				return fmt.Errorf("graph %s: %s leads to %s, which does not exist", g.name, from, e.to)
			}
		}
		if slices.ContainsFunc(out, counted) && !slices.ContainsFunc(out, uncounted) {
			return fmt.Errorf("graph %s: the cycle at %s has no exit", g.name, from)
		}
	}
	reached := g.reach(g.start, func(edge) bool { return true })
	for n := range g.edges {
		switch {
		case !reached[n]:
			return fmt.Errorf("graph %s: nothing leads to %s", g.name, n)
		case !g.reach(n, uncounted)[end]:
			return fmt.Errorf("graph %s: there is no way from %s to the end", g.name, n)
		case g.returns(n):
			return fmt.Errorf("graph %s: a cycle through %s is not counted", g.name, n)
		}
	}
	return nil
}

// sound validates graphs.
func sound(graphs ...graph) error {
	for _, g := range graphs {
		if err := g.validate(); err != nil {
			return err
		}
	}
	return nil
}

func counted(e edge) bool   { return e.counted }
func uncounted(e edge) bool { return !e.counted }

// reach lists what can be reached from a node over the edges that pass.
func (g graph) reach(from node, pass func(edge) bool) map[node]bool {
	seen := map[node]bool{from: true}
	for queue := []node{from}; len(queue) > 0; queue = queue[1:] {
		for _, e := range g.edges[queue[0]] {
			if pass(e) && !seen[e.to] {
				seen[e.to] = true
				queue = append(queue, e.to)
			}
		}
	}
	return seen
}

// returns reports whether uncounted edges lead from a node back to it.
func (g graph) returns(n node) bool {
	return slices.ContainsFunc(g.edges[n], func(e edge) bool {
		return uncounted(e) && g.reach(e.to, uncounted)[n]
	})
}

// step does the work of a node and says which comes next.
type step func(ctx context.Context) (node, error)

// walk is one way through a graph.
type walk struct {
	graph graph
	steps map[node]step
	// laps is how often counted edges may be taken in all.
	laps int
	// budget is shared by all walks of an attempt.
	budget *stepBudget
}

// stepBudget is the limit of steps of one attempt.
type stepBudget struct {
	limit int64
	taken atomic.Int64
}

func (b *stepBudget) take() error {
	if b.taken.Add(1) > b.limit {
		return fmt.Errorf("the step limit of %d is reached: the deliberation does not end by itself", b.limit)
	}
	return nil
}

// run goes from the start to the end.
func (w *walk) run(ctx context.Context) error {
	for at := w.graph.start; at != end; {
		if err := w.budget.take(); err != nil {
			return err
		}
		do, ok := w.steps[at]
		if !ok {
			return fmt.Errorf("graph %s: nothing to do at %s", w.graph.name, at)
		}
		next, err := do(ctx)
		if err != nil {
			return err
		}
		if at, err = w.follow(at, next); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) follow(from, to node) (node, error) {
	i := slices.IndexFunc(w.graph.edges[from], func(e edge) bool { return e.to == to })
	if i < 0 {
		return "", fmt.Errorf("graph %s: there is no way from %s to %s", w.graph.name, from, to)
	}
	if !w.graph.edges[from][i].counted {
		return to, nil
	}
	if w.laps--; w.laps < 0 {
		return "", fmt.Errorf("graph %s: the way from %s back to %s was taken too often", w.graph.name, from, to)
	}
	return to, nil
}
