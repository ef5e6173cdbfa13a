// Command probe asks a process whether it is well: it GETs one URL, and exits 0
// when the answer is a success. Container images without a shell have it for
// their health checks.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/rtfm-si/gavel/cmd/internal/settings"
)

const patience = 3 * time.Second

func main() {
	os.Exit(settings.Process(os.Stderr, func(ctx context.Context, _ <-chan struct{}) error { return run(ctx, os.Args[1:]) }))
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: probe URL")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, args[0], http.NoBody) //nolint:gosec // to be told the URL is its purpose
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	resp, err := http.DefaultClient.Do(req) //nolint:gosec // as above
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("probe: %s answers %s", args[0], resp.Status)
	}
	return nil
}
