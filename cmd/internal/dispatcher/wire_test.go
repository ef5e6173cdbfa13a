package dispatcher

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAnOrderIsKeptNoShorterThanItsJobs(t *testing.T) {
	p := &process{cfg: Config{OrderKept: time.Hour, Retention: 2 * time.Hour}}
	_, err := p.newClerk(nil)
	require.ErrorContains(t, err, "--order-retention 1h0m0s is less than --retention 2h0m0s")
}

func TestTheModelsThatADeliberationNamesAreNoted(t *testing.T) {
	named := models()["deliberation"]
	require.Equal(t, []string{"gpt-5", "small"}, named([]byte(`{"problem":"should we do it?","model":"gpt-5","models":{"persona":"small"}}`)))
	require.Empty(t, named([]byte(`{}`)))
}
