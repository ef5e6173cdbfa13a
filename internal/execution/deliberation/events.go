package deliberation

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rtfm-si/gavel/internal/job"
)

// The runtime takes events of 64 KiB. A text is cut long before that; lists are
// left out of an event that is still too large, and it says so.
const (
	maxEventText = 16 << 10
	maxEvent     = 60 << 10
)

// emit appends an event for the owner, with what the job has cost so far.
func (r *run) emit(ctx context.Context, kind string, data map[string]any) error {
	out := map[string]any{"cost_micro_usd": r.cost()}
	for k, v := range data {
		if s, ok := v.(string); ok {
			v = shorten(s, maxEventText)
		}
		out[k] = v
	}
	raw, err := json.Marshal(out)
	if err == nil && len(raw) > maxEvent {
		raw, err = json.Marshal(withoutLists(out))
	}
	if err != nil {
		return fmt.Errorf("encode event %s: %w", kind, err)
	}
	if err := r.rt.Event(ctx, job.Event{Type: kind, Data: raw}); err != nil {
		return r.broken(ctx, "report "+kind, err)
	}
	return nil
}

func withoutLists(data map[string]any) map[string]any {
	out := map[string]any{"shortened": true}
	for k, v := range data {
		switch v.(type) {
		case string, int, bool, job.MicroUSD:
			out[k] = v
		}
	}
	return out
}

// cost is what the job has spent: before this attempt, and in it.
func (r *run) cost() job.MicroUSD { return r.work.Spent + job.MicroUSD(r.spent.Load()) }

// shorten cuts a text to at most that many bytes without breaking a character.
func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
