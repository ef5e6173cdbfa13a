package audit

import (
	"errors"
	"regexp"
	"strings"
)

// ErrBadCursor is returned by [Redis.List] for a cursor it did not give.
var ErrBadCursor = errors.New("not a cursor of this log")

// position is the last entry seen in each partition; "" is before the newest.
type position []string

func (p position) String() string { return strings.Join(p, ",") }

var streamID = regexp.MustCompile(`^(\d{1,20}-\d{1,20})?$`)

func parseCursor(s string, partitions int) (position, error) {
	if s == "" {
		return make(position, partitions), nil
	}
	at := position(strings.Split(s, ","))
	if len(at) != partitions {
		return nil, ErrBadCursor
	}
	for _, id := range at {
		if !streamID.MatchString(id) {
			return nil, ErrBadCursor
		}
	}
	return at, nil
}
