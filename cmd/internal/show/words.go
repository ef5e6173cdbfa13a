package show

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/client"
)

// Money is an amount in dollars.
func Money(m client.MicroUSD) string {
	sign := ""
	if m < 0 {
		sign, m = "-", -m
	}
	return fmt.Sprintf("%s$%d.%04d", sign, m/client.USD, m%client.USD/100)
}

// Age is how long ago something was, or nothing if it never was.
func Age(at, now time.Time) string {
	if at.IsZero() {
		return ""
	}
	return Span(now.Sub(at))
}

// Span is a duration as people say it: two digits or so.
func Span(d time.Duration) string {
	const day = 24 * time.Hour
	d = max(d, 0)
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1fms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 2*day:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%dd", d/day)
	}
}

// Clock is a time of day, with the date when it was not today.
func Clock(at, now time.Time) string {
	if at.IsZero() {
		return ""
	}
	at, now = at.Local(), now.Local()
	if at.YearDay() == now.YearDay() && at.Year() == now.Year() {
		return at.Format("15:04:05")
	}
	return at.Format("2006-01-02 15:04")
}

// Labels are a job's labels on one line.
func Labels(labels map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		out = append(out, k+"="+labels[k])
	}
	return strings.Join(out, " ")
}

// StateStyle is the colour of a state.
func StateStyle(s client.State) Style {
	switch s {
	case client.Running:
		return Cyan
	case client.Succeeded:
		return Green
	case client.Failed, client.Killed, client.Killing:
		return Red
	case client.Parked, client.Delayed, client.Held:
		return Yellow
	default:
		return Plain
	}
}

// Count is a number with its noun.
func Count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
