// Package price knows what a model call costs: a dated table of list prices in
// whole micro-USD per million tokens, embedded, and overridable by a file.
//
// It is not a meter and keeps no account: whoever reserves and settles asks it
// for an amount. It is not a tokenizer: the worst case of a call counts one
// token for every three bytes of input, begun ones included, which is more than
// the tokenizers of the listed models make of prose or of JSON.
//
// # Invariants
//
//   - Whole numbers only. A cost is rounded up to the next micro-USD.
//   - A model without a price is refused with [ErrUnknownModel], never free.
//   - A table does not change once it is made, so it may be shared.
//
// # When things fail
//
// A table that cannot be read, names a field it does not know, lacks a price or
// has one outside 0 to $10,000 per million tokens is refused whole, at start.
// Prices of long contexts, of cached input and of batches are not known here:
// every token is billed at the list price of a fresh one.
//
// # Files
//
//	price.go     rates and what they make of a call
//	table.go     the table, its file and its override
//	prices.json  the embedded table, with its date
package price
