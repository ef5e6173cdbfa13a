// Command worker runs Gavel's jobs. See worker --help.
package main

import (
	"context"
	"os"

	"github.com/rtfm-si/gavel/cmd/internal/settings"
	"github.com/rtfm-si/gavel/cmd/internal/worker"
)

// version is stamped by the build.
var version = "dev"

func main() {
	os.Exit(settings.Process(os.Stderr, func(ctx context.Context, hurry <-chan struct{}) error {
		cfg, err := worker.Parse(os.Args[1:], os.Environ(), os.Stdout)
		if err != nil {
			return err
		}
		cfg.Version = version
		return worker.Main(ctx, cfg, hurry, os.Stderr)
	}))
}
