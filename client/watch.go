package client

import (
	"context"
	"encoding/json"
	"iter"
	"time"
)

// FleetNews is the fleet at a moment, or why the dispatcher cannot tell.
type FleetNews struct {
	// At is when it was looked at, on the dispatcher's clock.
	At    time.Time `json:"at,omitzero"`
	Fleet Fleet     `json:"fleet"`
	// Trouble is set instead of the rest while the dispatcher that answers cannot
	// look at the fleet. The news go on: better ones may follow.
	Trouble *Problem `json:"-"`
}

// WatchFleet gives the fleet as it is, about once a second, until the context ends
// or the caller wants no more. A stream that breaks off, or that its dispatcher
// ends, is taken up again, with another dispatcher if the address leads to one;
// only when that keeps failing does the sequence end with an error. It is for
// operators and admins.
func (c *Client) WatchFleet(ctx context.Context) iter.Seq2[FleetNews, error] {
	return func(yield func(FleetNews, error) bool) {
		f := &follower{client: c, path: "/v1/fleet/events"}
		f.give = func(_, data string) (bool, error) {
			var n FleetNews
			into := any(&n)
			if f.kind == "trouble" {
				n.Trouble = &Problem{}
				into = n.Trouble
			}
			if err := json.Unmarshal([]byte(data), into); err != nil {
				return false, &garbledError{err}
			}
			return !yield(n, nil), nil
		}
		if err := f.follow(ctx); err != nil {
			yield(FleetNews{}, err)
		}
	}
}
