package demo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

// account shows the audit, and settles what the killed jobs did after their end.
func (p *play) account(ctx context.Context) error {
	var entries []client.AuditEntry
	for e, err := range p.admin.Audit(ctx, client.AuditQuery{}) {
		if err != nil {
			return fmt.Errorf("read the audit: %w", err)
		}
		entries = append(entries, e)
	}
	slices.Reverse(entries)
	show.AuditTable(entries, time.Now()).Write(p.screen)
	p.screen.Line("")
	var acts []string
	for _, e := range entries {
		acts = append(acts, e.Act+" "+e.Decision)
	}
	want := []string{
		"kill denied", "kill denied", "kill allowed", "kill allowed", "kill-fleet allowed", "thaw denied", "thaw allowed",
	}
	if err := p.promise(slices.Equal(acts, want), "every control act has one entry, the refused ones too", "the entries are %v", acts); err != nil {
		return err
	}
	if _, err := p.alice.Receipt(ctx, p.all.Order); err == nil {
		return p.promise(false, "a receipt of the fleet is not everybody's", "alice may read it")
	}
	late, open := p.late()
	return p.promise(late == 0 && open == 0, "the killed job asked the model nothing after its kill was confirmed", "%d calls came later, %d are open", late, open)
}

// late counts the calls of the killed job after its confirmation.
func (p *play) late() (late, open int) {
	for _, c := range p.fleet.Witness().Records(p.second) {
		if c.Arrived.After(p.receipt.Timeline.Returned) {
			late++
		}
		if c.Open() {
			open++
		}
	}
	return late, open
}
