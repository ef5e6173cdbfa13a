package api

import (
	"net/http"
	"time"
)

// NewServer returns a server for a door with the limits that a small JSON API
// needs; h is the door itself, or a mux that has it. Shutdown ends the door's
// event streams first.
func NewServer(addr string, d *Door, h http.Handler) *http.Server {
	srv := &http.Server{
		Addr:              addr,
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		// It ends with the body: neither a stream nor a kill that waits is cut.
		ReadTimeout: 15 * time.Second,
		// The door sets a write deadline for each answer, and each event.
		IdleTimeout:    60 * time.Second,
		MaxHeaderBytes: 8 << 10,
		HTTP2:          &http.HTTP2Config{MaxConcurrentStreams: 100},
	}
	srv.RegisterOnShutdown(d.CloseStreams)
	return srv
}
