package price

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/internal/job"
)

//go:embed prices.json
var embedded []byte

// ErrUnknownModel is wrapped by [Table.Of] when the table has no price for a
// model. The caller refuses the call: a call of unknown price is not made.
var ErrUnknownModel = errors.New("no price for this model")

// Table maps a model's name to its rate. It never changes once made.
type Table struct {
	date  string
	rates map[string]Rate
}

// Embedded is the table that was built in.
func Embedded() (*Table, error) {
	t, err := parse(embedded)
	if err != nil {
		return nil, fmt.Errorf("read the embedded price table: %w", err)
	}
	return t, nil
}

// Load is the embedded table with the prices of a file laid over it; models that
// the file does not name keep theirs. An empty path means no file.
func Load(path string) (*Table, error) {
	base, err := Embedded()
	if err != nil || path == "" {
		return base, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the price table: %w", err)
	}
	over, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("read the price table %s: %w", path, err)
	}
	merged := &Table{date: over.date, rates: maps.Clone(base.rates)}
	maps.Copy(merged.rates, over.rates)
	return merged, nil
}

// Of is the rate of a model. The name must match in full: a dated release may
// cost more than the name without the date.
func (t *Table) Of(model string) (Rate, error) {
	r, ok := t.rates[model]
	if !ok {
		return Rate{}, fmt.Errorf("%w: %q; add it to the price file, or use one of: %s",
			ErrUnknownModel, model, strings.Join(t.Models(), ", "))
	}
	return r, nil
}

// Models lists the priced models in order.
func (t *Table) Models() []string { return slices.Sorted(maps.Keys(t.rates)) }

// Date is when the prices were read off the providers' lists, as YYYY-MM-DD.
func (t *Table) Date() string { return t.date }

type file struct {
	AsOf   string           `json:"as_of"`
	Models map[string]entry `json:"models"`
}

type entry struct {
	Input  *int64 `json:"input"`
	Output *int64 `json:"output"`
}

func parse(data []byte) (*Table, error) {
	var f file
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return nil, fmt.Errorf("want {\"as_of\", \"models\": {name: {\"input\", \"output\"}}} in micro-USD per million tokens: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the JSON object; remove it")
	}
	if _, err := time.Parse(time.DateOnly, f.AsOf); err != nil {
		return nil, fmt.Errorf("as_of is %q; want the date of the prices as YYYY-MM-DD", f.AsOf)
	}
	t := &Table{date: f.AsOf, rates: make(map[string]Rate, len(f.Models))}
	for name, e := range f.Models {
		r, err := e.rate()
		if err != nil {
			return nil, fmt.Errorf("model %q: %w", name, err)
		}
		t.rates[name] = r
	}
	return t, nil
}

func (e entry) rate() (Rate, error) {
	if e.Input == nil || e.Output == nil {
		return Rate{}, errors.New("give both input and output; 0 means free of charge")
	}
	for _, v := range []int64{*e.Input, *e.Output} {
		if v < 0 || v > int64(maxRate) {
			return Rate{}, fmt.Errorf("%d is outside 0–%d micro-USD per million tokens", v, int64(maxRate))
		}
	}
	return Rate{Input: job.MicroUSD(*e.Input), Output: job.MicroUSD(*e.Output)}, nil
}
