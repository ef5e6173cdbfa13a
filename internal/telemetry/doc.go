// Package telemetry makes the loggers of Gavel's processes: zap, as JSON for
// machines or as lines for people, with a level that can be changed at run time.
//
// One line is written for each event in a job's life, with job, worker, epoch
// and cause. Prompts, results and secrets are never logged.
//
// # Files
//
//	log.go     the logger
//	recent.go  what happened in the last minutes
package telemetry
