// Package show is how the commands look to a person: headings, tables, the
// course of a deliberation, receipts.
//
// It asks nobody and decides nothing. Whatever came from a model, a person or a
// server is cleaned of control characters before it reaches a terminal; colour
// and cutting to the width happen only where there is a terminal.
//
// # When things fail
//
// A write that fails is remembered by [Screen.Err]; what follows is dropped.
//
// # Files
//
//	screen.go          where it is written, in which width and colours
//	terminal_unix.go   how wide a terminal is
//	terminal_other.go  the same where that cannot be asked
//	table.go           rows and columns
//	words.go           money, durations, times, labels
//	story.go           the events of a job as they happen
//	contents.go        what each kind of event says
//	preview.go         what an order would do, and what it is about
//	receipt.go         what an order did
//	progress.go        an order as it fills up
//	audit.go           who did what
//	markdown.go        a report
package show
