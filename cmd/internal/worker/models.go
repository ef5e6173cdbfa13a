package worker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/rtfm-si/gavel/internal/execution/deliberation"
	"github.com/rtfm-si/gavel/internal/execution/model"
)

// chat is a client of a model server, closed with the worker.
func (p *wired) chat(url, keyFile string, bills bool) (*model.Client, error) {
	key, err := secret(keyFile)
	if err != nil {
		return nil, err
	}
	c, err := model.New(model.Config{BaseURL: url, Key: key, Silence: p.cfg.ModelSilence, Bills: bills})
	if err != nil {
		return nil, err
	}
	p.models = append(p.models, c)
	return c, nil
}

// role is one entry of the file of models.
type role struct {
	URL     string `json:"url"`
	KeyFile string `json:"key_file"`
	Model   string `json:"model"`
	Bills   bool   `json:"bills"`
	// Thinking is as --model-thinking, for this role.
	Thinking int `json:"thinking"`
}

// routes reads the file of models by role; no file is none.
func (p *wired) routes(path string) (deliberation.Routes, error) {
	var out deliberation.Routes
	if path == "" {
		return out, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return out, fmt.Errorf("read the models: %w", err)
	}
	var file struct {
		Lead      role `json:"lead"`
		Persona   role `json:"persona"`
		Synthesis role `json:"synthesis"`
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		return out, fmt.Errorf("read the models: %s: %w; want {\"lead\": {\"url\": …, \"key_file\": …, \"model\": …}, \"persona\": …, \"synthesis\": …}", path, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return out, fmt.Errorf("read the models: %s: something follows the object", path)
	}
	for name, r := range map[string]struct {
		role
		to *deliberation.Route
	}{"lead": {file.Lead, &out.Lead}, "persona": {file.Persona, &out.Persona}, "synthesis": {file.Synthesis, &out.Synthesis}} {
		if err := p.route(r.role, r.to); err != nil {
			return out, fmt.Errorf("read the models: %s: %s: %w", path, name, err)
		}
	}
	return out, nil
}

// route fills a role's. A server of its own never gets the key of the other: it
// is asked without one unless the role names one.
func (p *wired) route(r role, to *deliberation.Route) error {
	to.Model, to.Thinking = r.Model, r.Thinking
	if r.URL == "" && r.KeyFile == "" {
		return nil
	}
	url, bills := r.URL, r.Bills
	if url == "" {
		url, bills = p.cfg.ModelURL, r.Bills || p.cfg.ModelBills
	}
	c, err := p.chat(url, r.KeyFile, bills)
	if err != nil {
		return err
	}
	to.Chat = c
	return nil
}
