// Package problem holds what a deliberation is asked and what it answers: the
// input that an upstream service submits, the library of personas, the answer,
// and the report a person reads.
//
// It is not the deliberation and runs nothing. The door uses it to refuse a bad
// input when it is submitted, the deliberation to read it and to write its
// answer, the CLI to render the report. It imports the standard library only.
//
// # Invariants
//
//   - [Parse] accepts an input or names the field and what to do about it. Keys
//     are exact, unknown or repeated keys are refused, nothing may follow the
//     object, and text is valid UTF-8.
//   - An [Input] that was parsed has a problem, no empty constraint, no persona
//     twice and no number outside its range.
//   - The library has at least 20 personas with ids of their own; it never
//     changes while a process runs.
//   - [Answer] is written with a version; [ReadAnswer] refuses one it does not know.
//
// # When things fail
//
// Every refusal of an input wraps [ErrBadInput] and is fit for the person who
// wrote it. A library or an answer that cannot be read is a fault of the build
// or of the record, and is said as such.
//
// # Files
//
//	input.go       the input and its limits
//	strict.go      one JSON object, read strictly
//	persona.go     personas and their library
//	personas.json  the library
//	answer.go      what a deliberation found
//	report.go      the same for a person, in Markdown
package problem
