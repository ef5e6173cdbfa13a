// Package telemetry makes the loggers and the metrics of Gavel's processes: zap,
// as JSON for machines or as lines for people, with a level that can be changed
// at run time; Prometheus, with no id of a job, an owner or a person in a label.
// The rooms know neither: they tell an interface or a function of their own.
//
// One line is written for each event in a job's life, with job, worker, epoch
// and cause. Prompts, results and secrets are never logged.
//
// # Files
//
//	log.go      the logger
//	metrics.go  what the processes count
//	fleet.go    what a dispatcher sees of the fleet, at each scrape
//	private.go  the routes for operators
//	recent.go   what happened in the last minutes
package telemetry
