package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/dev"
)

// local is where gavel dev listens.
const local = "http://" + dev.Address

// config is the file that names fleets.
type config struct {
	Current string                `yaml:"current,omitempty"`
	Fleets  map[string]fleetEntry `yaml:"fleets"`

	path string
}

// fleetEntry is one fleet of the file.
type fleetEntry struct {
	URL     string `yaml:"url"`
	KeyFile string `yaml:"key_file,omitempty"`
	Key     string `yaml:"key,omitempty"`
}

// configPath is where the file is, and whether somebody named it.
func (d *desk) configPath() (path string, named bool) {
	if d.Config != "" {
		return d.Config, true
	}
	env := map[string]string{}
	for _, kv := range d.Env {
		name, value, _ := strings.Cut(kv, "=")
		env[name] = value
	}
	switch {
	case filepath.IsAbs(env["XDG_CONFIG_HOME"]):
		return filepath.Join(env["XDG_CONFIG_HOME"], "gavel", "config.yaml"), false
	case env["HOME"] != "":
		return filepath.Join(env["HOME"], ".config", "gavel", "config.yaml"), false
	default:
		return "", false
	}
}

// address settles which dispatcher is asked with which credential. What a flag
// or a variable says goes before the file, and a key of the file goes only to
// the fleet that it is written beside.
func (d *desk) address() (url, key string, err error) {
	if d.Target != "" && d.URL != "" {
		return "", "", usage("--target %s and %s both say which fleet; leave --target out, or --url and GAVEL_URL", d.Target, d.URL)
	}
	if d.URL != "" && d.Key != "" {
		return d.URL, d.Key, nil
	}
	path, named := d.configPath()
	c, err := readConfig(path, named || d.Target != "")
	if err != nil {
		return "", "", err
	}
	e, err := c.choose(d.Target, d.URL)
	if err != nil {
		return "", "", err
	}
	key = d.Key
	if key == "" {
		if key, err = c.secret(e); err != nil {
			return "", "", err
		}
	}
	if key == "" && e.URL == local {
		key = dev.Alice
	}
	return e.URL, key, nil
}

// choose is the entry of that name, or for that URL, or the current one.
func (c config) choose(name, url string) (fleetEntry, error) {
	if url != "" {
		for _, known := range slices.Sorted(maps.Keys(c.Fleets)) {
			if e := c.Fleets[known]; strings.TrimSuffix(e.URL, "/") == strings.TrimSuffix(url, "/") {
				return e, nil
			}
		}
		return fleetEntry{URL: url}, nil
	}
	if name == "" {
		name = c.Current
	}
	if name == "" && len(c.Fleets) == 0 {
		return fleetEntry{URL: local}, nil
	}
	known := strings.Join(slices.Sorted(maps.Keys(c.Fleets)), ", ")
	e, ok := c.Fleets[name]
	switch {
	case name == "":
		return e, usage("%s says not which of its fleets is the current one: write current: with one of %s, or give --target", c.path, known)
	case !ok:
		return e, usage("%s has no fleet %q; it has %s. Add it with: gavel login %s --url …", c.path, name, orNone(known), name)
	default:
		return e, nil
	}
}

func orNone(names string) string {
	if names == "" {
		return "none"
	}
	return names
}

// readConfig reads the file whole and checks it. One that is not there is an
// empty one, unless it must be there.
func readConfig(path string, must bool) (config, error) {
	c := config{path: path}
	if path == "" {
		return c, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && !must {
		return c, nil
	}
	if err != nil {
		return c, usage("configuration: %v; gavel login writes it", err)
	}
	defer func() { _ = f.Close() }()
	dec := yaml.NewDecoder(f)
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return c, usage("configuration %s: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	info, err := f.Stat()
	if err != nil {
		return c, usage("configuration: %v", err)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Fleets)) {
		if err := c.Fleets[name].check(info.Mode()); err != nil {
			return c, usage("configuration %s: fleets: %s: %v", path, name, err)
		}
	}
	return c, nil
}

func (e fleetEntry) check(mode fs.FileMode) error {
	if e.Key != "" && e.KeyFile != "" {
		return errors.New("it has a key and a key_file; want one of them")
	}
	if e.Key != "" && mode.Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		return fmt.Errorf("the file holds a key and others may read it (mode %04o); chmod 600 it", mode.Perm())
	}
	if _, err := client.New(e.URL); err != nil {
		return fmt.Errorf("url: %s", strings.TrimPrefix(err.Error(), "gavel: "))
	}
	return nil
}

// secret is the entry's key; a key file is beside the configuration, or
// anywhere by its whole path.
func (c config) secret(e fleetEntry) (string, error) {
	if e.KeyFile == "" {
		return e.Key, nil
	}
	path := e.KeyFile
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(c.path), path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", usage("configuration %s: key_file: %v", c.path, err)
	}
	key := strings.TrimSpace(string(text))
	if key == "" || strings.ContainsAny(key, " \r\n\t") {
		return "", usage("configuration %s: key_file: %s does not hold one key", c.path, path)
	}
	return key, nil
}

// save writes the file, whole or not at all, for nobody else to read.
func (c config) save() error {
	path := c.path
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	var text bytes.Buffer
	enc := yaml.NewEncoder(&text)
	enc.SetIndent(2)
	if err := enc.Encode(c); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".config-*") // mode 0600
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	_, err = f.Write(text.Bytes())
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("configuration: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
