package model

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// Config says where the model server is and how long to wait for it.
type Config struct {
	// BaseURL is the endpoint up to and without "/chat/completions", such as
	// https://api.openai.com/v1.
	BaseURL string
	// Key is sent as the bearer token; servers without keys ignore it.
	Key string
	// Silence is the longest a server may say nothing, before its answer and in
	// the middle of it; default 60 s.
	Silence time.Duration
	// Timeout bounds the whole call; default 5 min.
	Timeout time.Duration
	// Bills says that the server tells afterwards what it billed for an answer that
	// was cut: GET BaseURL/generation?id=, as OpenRouter has it.
	Bills bool
}

const (
	defaultSilence = 60 * time.Second
	defaultTimeout = 5 * time.Minute
	dialTimeout    = 10 * time.Second
	// bytesPerToken and frameFactor turn the tokens an answer may have into the
	// bytes of text, and those into the bytes of the stream around it.
	bytesPerToken = 16
	frameFactor   = 64
	slack         = 4 << 10
	maxMessage    = 300
)

// Client asks one model server. It is safe for concurrent use.
type Client struct {
	cfg       Config
	transport *http.Transport
	// bills has connections of its own: what it asks is free and passes no gate.
	bills *http.Client
	// modern: the endpoint knows max_completion_tokens and may refuse max_tokens.
	modern bool
}

// New checks the configuration. It does not contact the server.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.BaseURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
		return nil, fmt.Errorf("base URL of the model server is %q; want http(s)://host/path without credentials", redact(u, err))
	}
	if cfg.Silence < 0 || cfg.Timeout < 0 {
		return nil, errors.New("silence and timeout of a model call must not be negative")
	}
	if cfg.Silence == 0 {
		cfg.Silence = defaultSilence
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Silence > cfg.Timeout {
		return nil, fmt.Errorf("silence %v is longer than the timeout %v of a model call; raise the timeout", cfg.Silence, cfg.Timeout)
	}
	if cfg.Key == "" {
		cfg.Key = "none"
	}
	host := u.Hostname()
	return &Client{
		cfg:       cfg,
		transport: newTransport(),
		bills:     &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, IdleConnTimeout: 90 * time.Second}},
		modern:    host == "api.openai.com" || strings.HasSuffix(host, ".openai.azure.com"),
	}, nil
}

func redact(u *url.URL, err error) string {
	if err != nil {
		return "unreadable"
	}
	return u.Redacted()
}

func newTransport() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dial,
		Protocols:           protocols,
		TLSHandshakeTimeout: dialTimeout,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
	}
}

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("connect to the model server: %w", err)
	}
	return &gatedConn{Conn: conn}, nil
}

// Close drops idle connections. Calls under way are not touched.
func (c *Client) Close() {
	c.transport.CloseIdleConnections()
	c.bills.CloseIdleConnections()
}

// Chat asks once and reads the answer to its end. The function before is called
// as the last thing before the request is written; if it returns an error
// nothing is sent and Chat returns that error. The reply is meaningful beside an
// error too: it says whether the request was sent and how much had come back.
func (c *Client) Chat(ctx context.Context, req Request, before func() error) (Reply, error) {
	if req.MaxTokens <= 0 {
		return Reply{}, fmt.Errorf("%w: ask for at least one token, not %d", errRefused, req.MaxTokens)
	}
	cc, within, stop := newCall(ctx, c, req, before)
	defer stop()
	reply, err := cc.run(within)
	sent, refusal := cc.wire.gate.close()
	reply.Sent = sent
	if status, header, _ := cc.wire.seen(); c.cfg.Bills && sent && !reply.Reported && status < http.StatusBadRequest {
		stop() // the server must see that nobody reads any more
		if id := cmp.Or(cc.id, header.Get(HeaderBill)); id != "" {
			c.bill(ctx, id, &reply)
		}
	}
	switch {
	case ctx.Err() != nil && err != nil:
		return reply, fmt.Errorf("ask the model: %w", context.Cause(ctx))
	case refusal != nil:
		return reply, fmt.Errorf("%w: %w", errRefused, refusal)
	case err != nil:
		return reply, fmt.Errorf("ask the model: %w", err)
	}
	return reply, nil
}

// call is one request on its way.
type call struct {
	client  *Client
	req     Request
	wire    *wire
	silence *time.Timer
	limit   int
	text    strings.Builder
	id      string // what the server calls the answer
}

func newCall(parent context.Context, c *Client, req Request, before func() error) (*call, context.Context, func()) {
	timed, cancelTimer := context.WithTimeoutCause(parent, c.cfg.Timeout,
		fmt.Errorf("%w: not done after %v", ErrStalled, c.cfg.Timeout))
	ctx, cancel := context.WithCancelCause(timed)
	limit := req.MaxTokens*bytesPerToken + slack
	cc := &call{
		client: c, req: req, limit: limit,
		wire: &wire{base: c.transport, gate: &gate{before: before, refused: cancel}, limit: int64(limit) * frameFactor, hangUp: cancel},
		silence: time.AfterFunc(c.cfg.Silence, func() {
			cancel(fmt.Errorf("%w: nothing for %v", ErrStalled, c.cfg.Silence))
		}),
	}
	return cc, ctx, func() {
		cc.silence.Stop()
		cancel(nil)
		cancelTimer()
	}
}

func (cc *call) run(ctx context.Context) (Reply, error) {
	service := openai.NewChatCompletionService(
		option.WithBaseURL(cc.client.cfg.BaseURL),
		option.WithAPIKey(cc.client.cfg.Key),
		option.WithMaxRetries(0),
		option.WithHeader(HeaderJob, cc.req.Job),
		option.WithHeader(HeaderCall, cc.req.Call),
		option.WithHTTPClient(&http.Client{Transport: cc.wire}),
	)
	stream := service.NewStreaming(ctx, cc.params())
	var reply Reply
	var err error
	for err == nil && stream.Next() {
		cc.alive()
		err = cc.take(&reply, stream.Current())
	}
	reply.Text = cc.text.String()
	if err != nil {
		return reply, errors.Join(err, stream.Close())
	}
	if err := stream.Err(); err != nil {
		return reply, cc.explain(ctx, err)
	}
	if reply.Finish == "" && !reply.Reported {
		return reply, fmt.Errorf("%w after %d bytes", ErrCut, reply.Received)
	}
	return reply, nil
}

func (cc *call) alive() {
	cc.silence.Reset(cc.client.cfg.Silence)
	if cc.req.Alive != nil {
		cc.req.Alive()
	}
}

func (cc *call) params() openai.ChatCompletionNewParams {
	p := openai.ChatCompletionNewParams{
		Model:         cc.req.Model,
		Seed:          openai.Int(cc.req.Seed),
		StreamOptions: openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)},
	}
	if cc.client.modern {
		p.MaxCompletionTokens = openai.Int(int64(cc.req.MaxTokens))
	} else {
		p.MaxTokens = openai.Int(int64(cc.req.MaxTokens))
	}
	for _, m := range cc.req.Messages {
		switch m.Role {
		case System:
			p.Messages = append(p.Messages, openai.SystemMessage(m.Text))
		case Assistant:
			p.Messages = append(p.Messages, openai.AssistantMessage(m.Text))
		case User:
			p.Messages = append(p.Messages, openai.UserMessage(m.Text))
		}
	}
	return p
}

// take adds one chunk to the reply.
func (cc *call) take(reply *Reply, chunk openai.ChatCompletionChunk) error {
	cc.id = cmp.Or(cc.id, chunk.ID)
	reply.Chunks += min(1, len(chunk.Choices))
	for _, choice := range chunk.Choices {
		cc.text.WriteString(choice.Delta.Content)
		reply.Refusal += choice.Delta.Refusal
		reply.Received += len(choice.Delta.Content) + len(choice.Delta.Refusal)
		if choice.FinishReason != "" {
			reply.Finish = choice.FinishReason
			cc.wire.complete.Store(true)
		}
	}
	if u := chunk.Usage; u.PromptTokens > 0 && u.CompletionTokens >= 0 {
		reply.Reported = true
		reply.InputTokens, reply.OutputTokens = int(u.PromptTokens), int(u.CompletionTokens)
	}
	if reply.Received > cc.limit {
		return fmt.Errorf("%w: cut at %d bytes", ErrTooLong, reply.Received)
	}
	return nil
}

// explain turns what the SDK says into what happened.
func (cc *call) explain(ctx context.Context, err error) error {
	status, header, long := cc.wire.seen()
	switch {
	case status >= http.StatusBadRequest:
		return &StatusError{Status: status, Message: message(err), RetryAfter: retryAfter(header)}
	case long:
		return fmt.Errorf("%w: the stream passed %d bytes", ErrTooLong, cc.wire.limit)
	case errors.Is(err, ErrProtocol):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case status != 0:
		return fmt.Errorf("%w: %w", ErrCut, err)
	default:
		return err
	}
}

func message(err error) string {
	var api *openai.Error
	if !errors.As(err, &api) {
		return ""
	}
	text := strings.ToValidUTF8(api.Message, "?")
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + "…"
	}
	return text
}

func retryAfter(h http.Header) time.Duration {
	if ms, err := strconv.ParseInt(h.Get("Retry-After-Ms"), 10, 64); err == nil && ms > 0 {
		return time.Duration(min(ms, int64(time.Hour/time.Millisecond))) * time.Millisecond
	}
	text := h.Get("Retry-After")
	if s, err := strconv.ParseInt(text, 10, 64); err == nil && s > 0 {
		return time.Duration(min(s, int64(time.Hour/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
