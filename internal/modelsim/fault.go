package modelsim

import (
	"hash/fnv"
	"strconv"
)

// Fault is a way of failing on purpose.
type Fault string

// The faults. The empty one is none.
const (
	// FaultThrottle answers 429 with a Retry-After.
	FaultThrottle Fault = "throttle"
	// FaultError answers 503.
	FaultError Fault = "error"
	// FaultDeny answers 401, as for a wrong key.
	FaultDeny Fault = "deny"
	// FaultPage answers 200 with a web page.
	FaultPage Fault = "page"
	// FaultHang takes the request and never answers.
	FaultHang Fault = "hang"
	// FaultStall answers half and then says nothing more.
	FaultStall Fault = "stall"
	// FaultCut answers half and closes the connection.
	FaultCut Fault = "cut"
	// FaultShort answers half and ends the stream properly but for its ending.
	FaultShort Fault = "short"
	// FaultEndless answers and does not stop.
	FaultEndless Fault = "endless"
	// FaultEmpty answers with nothing.
	FaultEmpty Fault = "empty"
	// FaultRefuse declines to answer.
	FaultRefuse Fault = "refuse"
	// FaultGarbage answers with broken JSON.
	FaultGarbage Fault = "garbage"
	// FaultNoUsage answers well but never states the usage.
	FaultNoUsage Fault = "no-usage"
)

// Asked is a request that may be struck by a fault.
type Asked struct {
	Job, Call, Step, Model string
	// Before is how often the same call was asked before.
	Before int
}

// strike decides the fault of a request: by the configured function, or by the
// configured rates.
func (c Config) strike(a Asked) Fault {
	if c.Fault != nil {
		return c.Fault(a)
	}
	total := c.ThrottlePerMille + c.ErrorPerMille + c.HangPerMille + c.CutPerMille
	if total == 0 {
		return ""
	}
	h := fnv.New64a()
	for _, s := range []string{strconv.FormatUint(c.Seed, 10), a.Job, a.Call, strconv.Itoa(a.Before)} {
		_, _ = h.Write([]byte(s + "\x00")) // a hash does not fail
	}
	// FNV's low bits follow its input too closely; the high half is mixed better.
	die := int(h.Sum64() >> 33 % 1000)
	for _, f := range []struct {
		rate  int
		fault Fault
	}{
		{c.ThrottlePerMille, FaultThrottle},
		{c.ErrorPerMille, FaultError},
		{c.HangPerMille, FaultHang},
		{c.CutPerMille, FaultCut},
	} {
		if die < f.rate {
			return f.fault
		}
		die -= f.rate
	}
	return ""
}
