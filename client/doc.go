// Package client speaks to a Gavel dispatcher: it submits deliberations,
// follows them, and stops them.
//
//	c, err := client.New("https://gavel.example", client.WithKey(os.Getenv("GAVEL_KEY")))
//	job, err := c.Submit(ctx, client.Submission{
//		Kind:  "deliberation",
//		Input: map[string]any{"problem": "Should we enter the Danish market?"},
//	})
//	for event, err := range c.Events(ctx, job.ID, "") {
//		…
//	}
//
// It is not the place of any rule: the dispatcher decides, the client only asks
// and says what was answered.
//
// # Retries
//
// Every request is safe to send again: reads by nature, and what changes
// something because it carries an idempotency key, drawn by the client unless
// one is given. So the client sends again, with growing pauses, when the
// network failed or the dispatcher says that it cannot serve now. It does not
// wait for a frozen fleet to thaw: that answer comes back at once, as
// [ErrFleetFrozen].
//
// Give a [Submission] an idempotency key of your own where the process that
// submits may die before it hears the answer; the same key for the same body
// always names the same job.
//
// # When things fail
//
// What the dispatcher refuses is a [*Problem]; test for one with errors.Is and
// the constants of type [ProblemType]. Any other error means that no answer
// came: after the last retry the outcome of a request that changes something is
// unknown, and the same request with the same key is the way to know it.
//
// A [Client] holds no state of a job and may be used by many goroutines.
//
// # Files
//
//	client.go   the client, its options, one request and its retries
//	problem.go  what the dispatcher refuses
//	jobs.go     submit, read, list, wait
//	checkpoints.go  the states a job can be resumed from
//	transcript.go  prompts and replies of a job that asked to have them kept
//	events.go   the event stream of a job, with resume
//	orders.go   kill, kill-all, receipts
//	issue.go    preview an order, issue it, follow it
//	blocks.go   standing orders
//	fleet.go    the fleet, freeze, thaw, the audit
//	watch.go    the fleet as it goes on
//	budgets.go  what may be spent
//	spend.go    what is being spent, and by whom; resume with a raised budget
//	keys.go     API keys: made, listed, revoked
//	log.go      the audit as the fleet holds it, for those who verify it
//	drill.go    what a kill drill came to
package client
