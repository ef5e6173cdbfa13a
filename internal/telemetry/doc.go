// Package telemetry makes the loggers, the metrics and the traces of Gavel's
// processes: zap, as JSON for machines or as lines for people, with a level that
// can be changed at run time; Prometheus, with no id of a job, an owner or a person
// in a label; OpenTelemetry, off unless OTEL_* asks for it. The rooms know none of
// them: they tell an interface or a function of their own.
//
// One line is written for each event in a job's life, with job, worker, epoch
// and cause. Prompts, results and secrets are never logged, and never in a span.
//
// # Traces
//
//	POST /v1/jobs          the request, in its caller's trace if that had one
//	├ submit.lua           one call of a script
//	├ road                 from the submit to the grant, by Redis's clock
//	├ grant                the call that gave the job to a worker
//	└ run                  one claim, until its end was written; its events are what
//	  │                    the work reported, checkpoints, the arrival of a kill
//	  ├ call MODEL         a paid call, from its reservation to its booking
//	  └ finish.lua         how it ended (or release, park, retry)
//
// A job that comes back to the road has a road, a grant and a run more; each run
// points at the one before. A kill is a trace of its own: the request, order, and
// a script for each partition; a run that it ended points at it. A process that
// was killed sends nothing of what had not ended: the run after it shows the gap.
//
// A process never waits for a collector, but at its end: for a second at most.
//
// # Files
//
//	log.go      the logger
//	redact.go   what looks like a secret, taken out of lines
//	tracing.go  whether spans are made, and where they go
//	span.go     spans of requests and of calls of scripts
//	runs.go     spans of runs
//	metrics.go  what the processes count
//	fleet.go    what a dispatcher sees of the fleet, at each scrape
//	private.go  the routes for operators
//	recent.go   what happened in the last minutes
package telemetry
