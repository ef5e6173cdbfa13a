package budget

import (
	"strconv"
	"strings"

	"github.com/rtfm-si/gavel/internal/job"
)

// fleetCaps is the field of caps that is the fleet's own; no owner is called so.
const fleetCaps = "*"

// limitsFrom reads what was set, "cap=100 running=3", over the defaults.
func limitsFrom(own, capped, running string) job.Limits {
	var l job.Limits
	for _, text := range []string{"cap=" + capped, "running=" + running, own} {
		for _, word := range strings.Fields(text) {
			name, value, _ := strings.Cut(word, "=")
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				continue
			}
			if name == "cap" {
				l.Cap = new(job.MicroUSD(n))
			} else {
				l.Running = new(int(n))
			}
		}
	}
	return l
}
