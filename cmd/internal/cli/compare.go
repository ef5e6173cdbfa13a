package cli

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/cmd/internal/comparison"
	"github.com/rtfm-si/gavel/cmd/internal/settings"
	"github.com/rtfm-si/gavel/internal/execution/model"
	"github.com/rtfm-si/gavel/internal/execution/price"
	"github.com/rtfm-si/gavel/internal/modelsim"
)

type compareCommand struct {
	Files        []string `arg:"" name:"file" help:"Problem files."`
	ModelURL     string   `name:"model-url" placeholder:"URL" help:"A real model server (OpenAI chat protocol); the simulated one if left out."`
	ModelKeyFile string   `name:"model-key-file" type:"path" placeholder:"FILE" help:"File with its API key."`
	Model        string   `name:"model" default:"simulated" help:"Model to ask; it must have a price."`
	Thinking     int      `name:"model-thinking" default:"0" placeholder:"TOKENS" help:"Tokens that every answer may take beyond what is asked for, for models that think before they write."`
	Prices       string   `name:"prices" type:"path" placeholder:"FILE" help:"JSON file of prices that replace or add to the built-in table, as a worker's."`
}

// Run writes the comparison, in Markdown.
func (c *compareCommand) Run(ctx context.Context, d *desk) error {
	if c.ModelURL == "" && (c.ModelKeyFile != "" || c.Model != modelsim.Model) {
		return usage("--model-key-file and --model are for a real model server; give its --model-url")
	}
	prices, err := price.Embedded()
	if c.Prices != "" {
		prices, err = price.Load(c.Prices)
	}
	if err != nil {
		return usage("--prices: %v", err)
	}
	key, err := settings.ReadSecret(c.ModelKeyFile)
	if err != nil {
		return usage("--model-key-file: %v", err)
	}
	url := c.ModelURL
	if url == "" {
		var stop func()
		if url, stop, err = simulated(ctx); err != nil {
			return err
		}
		defer stop()
	}
	chat, err := model.New(model.Config{BaseURL: url, Key: key})
	if err != nil {
		return usage("--model-url: %v", err)
	}
	defer chat.Close()
	asker := comparison.Asker{Chat: chat, Model: c.Model, Thinking: c.Thinking, Prices: prices}
	var pairs []comparison.Pair
	for _, file := range c.Files {
		input, err := os.ReadFile(file)
		if err != nil {
			return usage("%v", err)
		}
		p, err := asker.Compare(ctx, strings.TrimSuffix(filepath.Base(file), ".json"), input)
		if err != nil {
			return err
		}
		pairs = append(pairs, p)
	}
	if d.JSON {
		return d.document(pairs)
	}
	d.screen.Markdown(comparison.Document(pairs, c.Model, c.ModelURL == ""))
	return nil
}

// simulated is a model server of this process, as quick as it can be.
func simulated(ctx context.Context) (url string, stop func(), err error) {
	sim, err := modelsim.New(modelsim.Config{Seed: demoSeed})
	if err != nil {
		return "", nil, err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	srv := &http.Server{Handler: sim.Handler(), ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln) // it returns when it is closed
	}()
	return "http://" + ln.Addr().String() + "/v1", func() { _ = srv.Close(); <-done }, nil
}
