package job

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Selector says which jobs a selector order is about. What is set must all
// hold; what is zero does not count.
type Selector struct {
	Owner string
	// Submitter is who asked for the job: a service that runs wild does so for many
	// owners.
	Submitter string
	Kind      string
	// Labels must all be on the job, with these values.
	Labels map[string]string
	// Model is one that the job's input names, or that a paid call of it asked for.
	Model string
	// MinAge is since the job was accepted. It becomes a moment when the order
	// is issued, by the dispatcher's clock, and is the same moment everywhere.
	MinAge time.Duration
	// MinSpend is what the job must have spent when the scan meets it.
	MinSpend MicroUSD
}

// Limits of a selector.
const (
	MaxAge        = 10 * 365 * 24 * time.Hour
	MaxSelectedBy = 1_000_000 * USD
	MaxModelName  = 512 // bytes
)

// Check refuses a selector that selects by nothing, for that is the whole
// fleet, and one that names what no job can have.
func (s Selector) Check() error {
	if s.Owner == "" && s.Submitter == "" && s.Kind == "" && s.Model == "" && len(s.Labels) == 0 && s.MinAge == 0 && s.MinSpend == 0 {
		return fmt.Errorf("%w: the selector is empty; say what it selects by, or the scope fleet if every job is meant", ErrBadScope)
	}
	for what, name := range map[string]string{"owner": s.Owner, "submitter": s.Submitter, "kind": s.Kind} {
		if name == "" {
			continue
		}
		if err := CheckName(what, name, MaxName); err != nil {
			return err
		}
	}
	if err := CheckLabels(s.Labels); err != nil {
		return err
	}
	if s.Model != "" {
		if err := CheckText("model", s.Model, MaxModelName); err != nil {
			return err
		}
	}
	if s.MinAge < 0 || s.MinAge > MaxAge {
		return fmt.Errorf("%w: the minimum age is %s; want 0 to %s", ErrBadScope, s.MinAge, MaxAge)
	}
	if s.MinSpend < 0 || s.MinSpend > MaxSelectedBy {
		return fmt.Errorf("%w: the minimum spend is %s; want $0 to %s", ErrBadScope, s.MinSpend, MaxSelectedBy)
	}
	return nil
}

// String is the same text for the same selector, and another for any other.
func (s Selector) String() string {
	parts := []string{"owner=" + strconv.Quote(s.Owner), "kind=" + strconv.Quote(s.Kind)}
	if s.Submitter != "" {
		parts = append(parts, "submitter="+strconv.Quote(s.Submitter))
	}
	if s.Model != "" {
		parts = append(parts, "model="+strconv.Quote(s.Model))
	}
	for _, k := range slices.Sorted(maps.Keys(s.Labels)) {
		parts = append(parts, "label."+strconv.Quote(k)+"="+strconv.Quote(s.Labels[k]))
	}
	parts = append(parts, "min_age="+s.MinAge.String(), "min_spend="+strconv.FormatInt(int64(s.MinSpend), 10))
	return strings.Join(parts, " ")
}
