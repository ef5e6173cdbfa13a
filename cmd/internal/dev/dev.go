package dev

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/modelsim"
)

// Address is where gavel dev listens, and where the client commands ask, unless
// they are told otherwise.
const Address = "127.0.0.1:7070"

// The development credentials, used literally as bearer tokens.
const (
	Alice = "dev-alice"
	Bob   = "dev-bob"
	Admin = "dev-admin"
)

// Credential is one of them, for the announcement.
type Credential struct{ Token, Is string }

// Credentials are all of them.
func Credentials() []Credential {
	return []Credential{{Alice, "owner alice"}, {Bob, "owner bob"}, {Admin, "admin; owner ops"}}
}

func authenticator() (access.Authenticator, error) {
	keys, err := access.NewKeys([]access.Key{
		{ID: "dev-key-alice", Subject: "alice", Owner: "alice", Roles: []access.Role{access.Owner}, Hash: access.Hash(Alice)},
		{ID: "dev-key-bob", Subject: "bob", Owner: "bob", Roles: []access.Role{access.Owner}, Hash: access.Hash(Bob)},
		{ID: "dev-key-admin", Subject: "admin", Owner: "ops", Roles: []access.Role{access.Owner, access.Admin}, Hash: access.Hash(Admin)},
	})
	if err != nil {
		return nil, fmt.Errorf("development credentials: %w", err)
	}
	return keys, nil
}

// Config says what fleet to start. The zero value is one worker of one slot on
// an embedded Redis, with a simulated model server that answers at once.
type Config struct {
	// Redis is the URL of a real one; empty is an embedded one.
	Redis string
	// Fleet is its name; default "dev".
	Fleet string
	// Listen is the API's address, on loopback; default a free port.
	Listen string
	// Workers and Slots are how many workers there are, and how many jobs each
	// runs at once; default 1.
	Workers, Slots int
	// Simulation is the simulated model server's.
	Simulation modelsim.Config
	// ModelURL is a real model server instead; ModelKeyFile has its key and Model
	// is the model for jobs that name none.
	ModelURL, ModelKeyFile, Model string
	Version                       string
}

// ErrConfig is wrapped by what is wrong with a [Config]; nothing was started.
var ErrConfig = errors.New("no such fleet can be started")

const (
	mostWorkers = 64
	// startWithin is how long the parts may take to find each other.
	startWithin = 20 * time.Second
)

func (c Config) withDefaults() (Config, error) {
	if c.Fleet == "" {
		c.Fleet = "dev"
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	c.Workers, c.Slots = max(c.Workers, 1), max(c.Slots, 1)
	if c.Workers > mostWorkers {
		return c, fmt.Errorf("%w: %d workers in one process; at most %d are started", ErrConfig, c.Workers, mostWorkers)
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return c, fmt.Errorf("%w: listen on %q: want host:port, such as %s", ErrConfig, c.Listen, Address)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return c, fmt.Errorf("%w: listen on %q: a development fleet's credentials are known to everybody, so it listens on loopback only; run the dispatcher for more", ErrConfig, c.Listen)
	}
	if c.ModelURL != "" && c.Model == "" {
		return c, fmt.Errorf("%w: a real model server needs the model's name as well", ErrConfig)
	}
	return c, nil
}
