package show

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/rtfm-si/gavel/client"
)

// AuditTable lists control acts.
func AuditTable(entries []client.AuditEntry, now time.Time) *Table {
	t := NewTable("n!", "at!", "act!", "decision!", "who", "on", "reason")
	for _, e := range entries {
		decision := e.Decision
		if e.Rule != "" {
			decision += " (" + e.Rule + ")"
		}
		t.Row(fmt.Sprintf("%d.%d", e.Partition, e.N), Clock(e.At, now), e.Act, decision, subject(e), target(e), e.Fields["reason"])
		if e.Decision == "denied" {
			t.Style(3, Red)
		}
	}
	return t
}

// AuditLine is one control act on a line of its own.
func AuditLine(e client.AuditEntry, now time.Time) string {
	text := fmt.Sprintf("%s  %d.%d  %s %s", Clock(e.At, now), e.Partition, e.N, e.Act, e.Decision)
	if e.Rule != "" {
		text += " (" + e.Rule + ")"
	}
	return Clean(fmt.Sprintf("%s by %s on %s: %s", text, subject(e), target(e), e.Fields["reason"]))
}

func subject(e client.AuditEntry) string {
	var who struct {
		Subject string `json:"subject"`
	}
	if json.Unmarshal(e.Who, &who) != nil {
		return ""
	}
	return who.Subject
}

// target is what an act was about.
func target(e client.AuditEntry) string {
	for _, name := range []string{"job", "owner", "subject"} {
		if s := e.Fields[name]; s != "" {
			return e.Fields["scope"] + " " + s
		}
	}
	return e.Fields["scope"]
}
