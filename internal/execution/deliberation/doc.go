// Package deliberation is the executor for jobs of kind "deliberation": a
// problem is taken apart, personas argue about each part in rounds until they
// converge, they vote, and their arguments become one answer.
//
// It is not a worker: it knows no Redis, no lease, no order and no drain, only
// its context with the cause of its end, and a [job.Runtime]. It keeps no prices
// and speaks no protocol; for those it has the rooms price and model.
//
// # The graph
//
//	clarify → decompose → deliberate ⟲ (one batch of independent sub-problems) → conclude
//
//	select → open → facilitate → discuss → check ⟲ facilitate → options → vote → synthesize
//
// The second is walked for each sub-problem; those that do not depend on each
// other are walked at the same time, and so are the personas of a round.
//
// # The journal
//
// Everything between two model replies is a pure function of the input, the
// owner's answers and the replies so far. So the checkpoint is the journal of
// paid replies, by call id, and resuming is walking the graph again from its
// start with the journal in hand: a question that is in it is not asked again,
// not paid again and not reported again. A checkpoint is taken after every
// single reply.
//
// # A paid call
//
//	reserve → connect → permit.Check → request → stream → settle → event → checkpoint
//
// Settle happens for every reservation, however the call ended and although the
// context is cancelled: nothing for a request that was not sent or was refused,
// what the provider stated for one that came to its end, a flagged estimate for
// the rest. Each try of a call is a paid call of its own: "s1/r2/risk" is
// followed by "s1/r2/risk~2", and the question put again after an unusable
// reply is "s1/r2/risk/again".
//
// # What ends the loop
//
//   - a limit of steps per walk over both graphs;
//   - a check of both graphs in [New]: every cycle passes an edge that is
//     counted, and where a counted edge leaves another leaves too, towards the end;
//   - a cap of rounds from the complexity of the sub-problem, lowered by the input;
//   - the deadline and the silence watchdog of the runner, fed by Progress;
//   - the budget, asked before every paid call.
//
// # Invariants
//
//   - No request is sent without a reservation whose permit was checked last.
//   - Every reservation is settled.
//   - The same input, seed and model server give the same answer, cost aside,
//     wherever the work was interrupted and resumed.
//   - After the first failure no new call begins; calls under way are paid for and
//     therefore finished and kept, unless the context is cancelled.
//
// # When things fail
//
// A model server that is busy, broken or out of reach is asked again, with
// jitter and not before its Retry-After, a bounded number of times and visibly
// ("model.retry"); then the error wraps [job.ErrRetryable], and so does a failure
// of the runtime. A structured reply that cannot be used is asked for once more
// ("model.again"), then the job fails and says why. A persona that declines, is
// silent or does not end is asked once more and then sits out the round; a round
// in which nobody speaks fails the job. A checkpoint that is damaged, newer or
// of another input is [ErrCheckpoint]. An unknown model fails before any call.
//
// # Files
//
//	executor.go  configuration and one attempt
//	routes.go    which model answers a role, and where it is
//	graph.go     graphs, their validation, the walk
//	flow.go      the steps of the whole problem
//	sub.go       the steps of one sub-problem
//	rules.go     round caps, stop rules, the count of votes
//	prompt.go    what the model is asked
//	replies.go   what it must answer, and how that is checked
//	ask.go       one question: journal, tries, the second asking
//	pay.go       reserve, check, call, settle
//	journal.go   the checkpoint
//	events.go    what a person watches
package deliberation
