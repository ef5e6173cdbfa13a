// Command dispatcher is Gavel's door. See dispatcher --help.
package main

import (
	"context"
	"os"

	"github.com/rtfm-si/gavel/cmd/internal/dispatcher"
	"github.com/rtfm-si/gavel/cmd/internal/settings"
)

// version is stamped by the build.
var version = "dev"

func main() {
	os.Exit(settings.Process(os.Stderr, func(ctx context.Context, _ <-chan struct{}) error {
		cfg, err := dispatcher.Parse(os.Args[1:], os.Environ(), os.Stdout)
		if err != nil {
			return err
		}
		cfg.Version = version
		return dispatcher.Main(ctx, cfg, os.Stderr)
	}))
}
