package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"path"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/telemetry"
)

const (
	maxBody       = job.MaxInput + 64<<10 // the input and its envelope
	answerTimeout = 75 * time.Second      // longer than the longest wait
	maxCredential = 8 << 10
)

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// asked is what the guard learned about a request before its route runs.
type asked struct {
	id    string
	actor access.Actor
	class class
	body  []byte
	// key is the Idempotency-Key, empty if none was sent.
	key string
}

type askedKey struct{}

func from(ctx context.Context) *asked {
	a, _ := ctx.Value(askedKey{}).(*asked)
	if a == nil {
		return &asked{}
	}
	return a
}

func requestID(ctx context.Context) string { return from(ctx).id }

// ServeHTTP guards the routes: what is wrong with a request as such is found
// here, before any of them runs.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := &asked{id: idOf(r)}
	r = r.WithContext(context.WithValue(r.Context(), askedKey{}, a))
	head := w.Header()
	head.Set("X-Request-Id", a.id)
	head.Set("Cache-Control", "no-store")
	head.Set("X-Content-Type-Options", "nosniff")
	t := &tracked{ResponseWriter: w}
	began := time.Now()
	defer d.counted(t, r, began)
	defer d.recovered(t, r)

	if err := d.admit(w, r, a); err != nil {
		d.refuse(t, r, err)
		return
	}
	leave, err := d.room(r, a)
	if err != nil {
		d.refuse(t, r, err)
		return
	}
	defer leave()
	d.routed(t, r, began)
}

// routed lets the route of a request answer it, and whoever follows requests see.
func (d *Door) routed(t *tracked, r *http.Request, began time.Time) {
	if d.cfg.Trace == nil {
		d.routes.ServeHTTP(t, r)
		return
	}
	r, over := d.cfg.Trace(r, requestID(r.Context()), began)
	defer func() { over(d.routeOf(r), cmp.Or(t.status, http.StatusOK)) }()
	d.routes.ServeHTTP(t, r)
}

// tell is the log of what happens for a request.
func (d *Door) tell(ctx context.Context) *zap.Logger {
	return d.log.With(append(telemetry.Fields(ctx), zap.String("request", requestID(ctx)))...)
}

// tracked remembers whether an answer has begun.
type tracked struct {
	http.ResponseWriter
	begun  bool
	status int
}

// Unwrap lets a response controller find the connection.
func (t *tracked) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func (t *tracked) WriteHeader(status int) {
	t.begun, t.status = true, status
	t.ResponseWriter.WriteHeader(status)
}

func (t *tracked) Write(p []byte) (int, error) {
	t.begun = true
	return t.ResponseWriter.Write(p) //nolint:wrapcheck // it stands for the writer it wraps
}

// counted tells of an answer. A HEAD or a path that no route has is none.
func (d *Door) counted(t *tracked, r *http.Request, began time.Time) {
	if d.cfg.Answered == nil {
		return
	}
	d.cfg.Answered(d.routeOf(r), r.Method, cmp.Or(t.status, http.StatusOK), time.Since(began))
}

// routeOf is the pattern of the route that a request is for; empty for none.
func (d *Door) routeOf(r *http.Request) string {
	_, pattern := d.routes.Handler(&http.Request{Method: r.Method, URL: r.URL, Host: r.Host})
	_, route, _ := strings.Cut(pattern, " ")
	return route
}

// recovered answers a route that failed where it must not; an answer that had
// begun is cut off, so that nobody takes it for a whole one.
func (d *Door) recovered(w *tracked, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if w.begun {
		d.tell(r.Context()).Error("a route panicked in its answer", zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))
		panic(http.ErrAbortHandler)
	}
	d.tell(r.Context()).Error("a route panicked", zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))
	d.refuse(w, r, fmt.Errorf("panic: %v", v))
}

// admit says what is wrong with a request, and fills in what its route needs.
func (d *Door) admit(w http.ResponseWriter, r *http.Request, a *asked) error {
	steps := [...]func() error{
		func() error { return wire(r) },
		func() error { return d.host(r) },
		func() error { return d.known(r) },
		func() error { return d.authenticate(r, a) },
		func() error { return d.share(r, a) },
		func() error { return oneKey(r, a) },
		func() error { return readBody(w, r, a) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	// A stream sets its own for each event.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout))
	return nil
}

// wire refuses what two readers of one connection could read differently.
func wire(r *http.Request) error {
	switch {
	case len(r.TransferEncoding) > 0:
		return problem(http.StatusLengthRequired, typeLength, "Content-Length is required",
			"Send the body with a Content-Length and without Transfer-Encoding.").with("Connection", "close")
	case !strings.HasPrefix(r.RequestURI, "/") && r.RequestURI != "":
		return malformed("The request target must be a path.").with("Connection", "close")
	case len(r.URL.Path) > 1024:
		return problem(http.StatusRequestURITooLong, typeMalformed, "The path is too long", "No path here has more than 1024 bytes.")
	case !bodied(r) && r.ContentLength != 0:
		return malformed("Only a POST or a PUT has a body here.").with("Connection", "close")
	case r.Header.Get("Content-Encoding") != "":
		return problem(http.StatusUnsupportedMediaType, typeMedia, "Unsupported encoding", "Send the body as it is, without Content-Encoding.")
	default:
		return nil
	}
}

// bodied says whether a request of its method has a body.
func bodied(r *http.Request) bool { return r.Method == http.MethodPost || r.Method == http.MethodPut }

func (d *Door) host(r *http.Request) error {
	if len(d.cfg.Hosts) == 0 {
		return nil
	}
	name := r.Host
	if h, _, err := net.SplitHostPort(r.Host); err == nil {
		name = h
	}
	if slices.Contains(d.cfg.Hosts, strings.ToLower(name)) {
		return nil
	}
	return problem(http.StatusMisdirectedRequest, typeMisdirected, "Misdirected request", "This server does not answer for the Host you named.")
}

// known refuses a path or method that no route has. The mux would answer
// itself, in plain text, and redirect what it can clean.
func (d *Door) known(r *http.Request) error {
	none := problem(http.StatusNotFound, typeNoRoute, "No such route", "See "+pathOpenAPI+" for those there are.")
	if path.Clean(r.URL.Path) != r.URL.Path {
		return none
	}
	var allow []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		probe := &http.Request{Method: method, URL: r.URL, Host: r.Host}
		if _, pattern := d.routes.Handler(probe); pattern != "" {
			allow = append(allow, method)
		}
	}
	switch {
	case len(allow) == 0:
		return none
	case !slices.Contains(allow, r.Method):
		return problem(http.StatusMethodNotAllowed, typeMethod, "Method not allowed",
			"This route has "+strings.Join(allow, " and ")+" only.").with("Allow", strings.Join(allow, ", "))
	default:
		return nil
	}
}

func (d *Door) authenticate(r *http.Request, a *asked) error {
	if public(r.URL.Path) {
		return nil
	}
	presented, err := credential(r.Header.Values("Authorization"))
	if err != nil {
		return err
	}
	from := r.RemoteAddr
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		from = host
	}
	actor, err := d.cfg.Auth.Authenticate(r.Context(), presented, d.cfg.Now())
	if err != nil {
		answer, known := d.refusal(from, err)
		if !known {
			d.log.Info("not authenticated", zap.String("request", a.id), zap.String("from", r.RemoteAddr), zap.Error(err))
		}
		return fmt.Errorf("authenticate: %w", answer)
	}
	actor.RequestID, actor.From = a.id, from
	if actor.ByBreakGlass() {
		d.log.Warn("a break-glass credential is in use", zap.String("request", a.id), zap.String("subject", actor.Subject),
			zap.String("credential", actor.Credential.ID), zap.String("from", actor.From), zap.String("path", r.URL.Path))
	}
	a.actor = actor
	return nil
}

// credential reads the one Authorization header there may be.
func credential(headers []string) (string, error) {
	if len(headers) == 0 {
		return "", access.ErrNone
	}
	if len(headers) > 1 {
		return "", malformed("There is more than one Authorization header.")
	}
	scheme, token, ok := strings.Cut(headers[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxCredential {
		return "", fmt.Errorf("%w: it is no bearer token", access.ErrRefused)
	}
	return token, nil
}

func oneKey(r *http.Request, a *asked) error {
	keys := r.Header.Values("Idempotency-Key")
	switch {
	case len(keys) == 0:
		return nil
	case len(keys) > 1:
		return malformed("There is more than one Idempotency-Key header.")
	}
	if err := job.CheckText("the Idempotency-Key", keys[0], job.MaxKey); err != nil {
		return err
	}
	a.key = keys[0]
	return nil
}

// readBody takes the whole body of a POST or PUT and checks it as JSON.
func readBody(w http.ResponseWriter, r *http.Request, a *asked) error {
	if !bodied(r) {
		return nil
	}
	if kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" || !utf8Charset(params) {
		return problem(http.StatusUnsupportedMediaType, typeMedia, "Unsupported media type", "Send the body as Content-Type: application/json, in UTF-8.")
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	var slow net.Error
	switch {
	case errors.As(err, &tooLarge):
		return problem(http.StatusRequestEntityTooLarge, typeTooLarge, "The body is too large",
			fmt.Sprintf("At most %d bytes are read, of which the input may be %d.", maxBody, job.MaxInput)).with("Connection", "close")
	case errors.As(err, &slow) && slow.Timeout():
		return problem(http.StatusRequestTimeout, typeTimeout, "The body came too slowly", "Send it again.").with("Connection", "close")
	case err != nil:
		return malformed("The body did not arrive whole.").with("Connection", "close")
	}
	if err := checkJSON(raw); err != nil {
		return malformed(err.Error() + ".")
	}
	a.body = raw
	return nil
}

func utf8Charset(params map[string]string) bool {
	set, ok := params["charset"]
	return !ok || strings.EqualFold(set, "utf-8")
}

// idOf is the request's id: the caller's if it is fit for a log, else a new one.
func idOf(r *http.Request) string {
	if ids := r.Header.Values("X-Request-Id"); len(ids) == 1 && wellFormed(ids[0]) {
		return ids[0]
	}
	id, err := uuid.NewV7()
	if err != nil { // no entropy: the caller still gets an answer
		return "none"
	}
	return id.String()
}

func wellFormed(id string) bool {
	if len(id) < 8 || len(id) > 64 {
		return false
	}
	return job.CheckName("id", id, 64) == nil && !strings.ContainsAny(id, "@/+")
}
