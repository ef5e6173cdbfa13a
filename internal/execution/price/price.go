package price

import "github.com/rtfm-si/gavel/internal/job"

const (
	perMillion = 1_000_000
	// Both bounds together keep the product of a rate and a token count inside an
	// int64.
	maxRate   = 10_000 * job.USD
	maxTokens = int64(100_000_000)
	// bytesPerToken is deliberately low: a worst case must not be beaten by a
	// language or a notation that a tokenizer handles badly.
	bytesPerToken = 3
)

// Rate is what a model costs, in micro-USD per million tokens.
type Rate struct {
	Input, Output job.MicroUSD
}

// Cost is the price of a call that took and gave that many tokens, rounded up.
// Counts below zero are taken as zero: no provider pays its customers.
func (r Rate) Cost(input, output int) job.MicroUSD {
	return amount(r.Input, int64(input)) + amount(r.Output, int64(output))
}

// Worst is the most a call can cost: every [InputTokens] of its input and every
// token it may answer with.
func (r Rate) Worst(inputBytes, maxOutput int) job.MicroUSD {
	return r.Cost(InputTokens(inputBytes), maxOutput)
}

// InputTokens is an upper bound of the tokens in that many bytes of text.
func InputTokens(inputBytes int) int {
	if inputBytes <= 0 {
		return 0
	}
	return (inputBytes-1)/bytesPerToken + 1
}

func amount(rate job.MicroUSD, tokens int64) job.MicroUSD {
	tokens = min(max(tokens, 0), maxTokens)
	product := int64(rate) * tokens
	whole := product / perMillion
	if product%perMillion != 0 {
		whole++
	}
	return job.MicroUSD(whole)
}
