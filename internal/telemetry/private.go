package telemetry

import (
	"net/http"
	"net/http/pprof"

	"go.uber.org/zap"
)

// Private is a mux with what an operator asks a process for and nobody else may
// reach: /metrics, /debug/pprof and /log-level (GET it, or PUT {"level":"debug"}).
func Private(metrics http.Handler, level *zap.AtomicLevel) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	if level != nil {
		mux.Handle("/log-level", level)
	}
	return mux
}
