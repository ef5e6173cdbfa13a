package main

import (
	"context"
	"os"

	"github.com/rtfm-si/gavel/cmd/internal/cli"
	"github.com/rtfm-si/gavel/cmd/internal/settings"
)

// version is stamped by the build.
var version = "dev"

func main() {
	os.Exit(settings.Process(os.Stderr, func(ctx context.Context, hurry <-chan struct{}) error {
		return cli.Run(ctx, cli.Process{
			Args: os.Args[1:], Env: os.Environ(), In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Hurry: hurry, Version: version,
		})
	}))
}
