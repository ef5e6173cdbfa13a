// Command collector takes spans as an OpenTelemetry collector does, over HTTP in
// the official protocol, and tells what it was sent. Its address is its one line
// on standard output.
//
//	POST /v1/traces   ExportTraceServiceRequest, protobuf, also compressed
//	GET  /spans       all spans so far, as JSON
package main

import (
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"
)

// Span is one, as far as a test looks at it.
type Span struct {
	Service string            `json:"service"`
	Name    string            `json:"name"`
	Kind    string            `json:"kind"`
	Trace   string            `json:"trace"`
	ID      string            `json:"id"`
	Parent  string            `json:"parent"`
	Start   uint64            `json:"start"`
	End     uint64            `json:"end"`
	Status  string            `json:"status"`
	Message string            `json:"message"`
	Attrs   map[string]string `json:"attrs"`
	About   map[string]string `json:"about"` // of its process
	Events  []Event           `json:"events"`
	Links   []Link            `json:"links"`
}

// Event is one of a span's.
type Event struct {
	Name  string            `json:"name"`
	Attrs map[string]string `json:"attrs"`
}

// Link points to another span.
type Link struct {
	Trace string            `json:"trace"`
	ID    string            `json:"id"`
	Attrs map[string]string `json:"attrs"`
}

func main() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ln.Addr())
	var taken taken
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", taken.take)
	mux.HandleFunc("GET /spans", taken.tell)
	log.Fatal(http.Serve(ln, mux))
}

type taken struct {
	mu    sync.Mutex
	spans []Span
}

func (t *taken) take(w http.ResponseWriter, r *http.Request) {
	body, err := read(r)
	var sent collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &sent)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, of := range sent.GetResourceSpans() {
		about := texts(of.GetResource().GetAttributes())
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				one := Span{
					Service: about["service.name"], Name: s.GetName(), Kind: s.GetKind().String(), Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()),
					Parent: hex.EncodeToString(s.GetParentSpanId()), Start: s.GetStartTimeUnixNano(), End: s.GetEndTimeUnixNano(),
					Status: s.GetStatus().GetCode().String(), Message: s.GetStatus().GetMessage(), Attrs: texts(s.GetAttributes()), About: about,
				}
				for _, e := range s.GetEvents() {
					one.Events = append(one.Events, Event{e.GetName(), texts(e.GetAttributes())})
				}
				for _, l := range s.GetLinks() {
					one.Links = append(one.Links, Link{hex.EncodeToString(l.GetTraceId()), hex.EncodeToString(l.GetSpanId()), texts(l.GetAttributes())})
				}
				t.spans = append(t.spans, one)
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	answer, _ := proto.Marshal(&collector.ExportTraceServiceResponse{})
	_, _ = w.Write(answer)
}

func read(r *http.Request) ([]byte, error) {
	if r.Header.Get("Content-Encoding") != "gzip" {
		return io.ReadAll(r.Body)
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

func texts(of []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, kv := range of {
		switch v := kv.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			out[kv.GetKey()] = v.StringValue
		case *common.AnyValue_IntValue:
			out[kv.GetKey()] = fmt.Sprint(v.IntValue)
		case *common.AnyValue_BoolValue:
			out[kv.GetKey()] = fmt.Sprint(v.BoolValue)
		default:
			out[kv.GetKey()] = kv.GetValue().String()
		}
	}
	return out
}

func (t *taken) tell(w http.ResponseWriter, _ *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = json.NewEncoder(w).Encode(t.spans)
}
