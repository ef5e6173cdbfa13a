package cmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rtfm-si/gavel/client"
)

// so compares a value, written as JSON, with conditions path=value, path!=value,
// path>=number and path~regexp. The path's parts are joined by dots; a number is
// an index.
func so(v any, conditions []string) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return settledError{err}
	}
	var doc any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		return settledError{err}
	}
	for _, c := range conditions {
		if err := one(doc, c); err != nil {
			if errors.As(err, &settledError{}) {
				return err
			}
			return fmt.Errorf("%w; it is %s", err, raw)
		}
	}
	return nil
}

var condition = regexp.MustCompile(`^([a-zA-Z0-9_.]+)(=|!=|>=|~)(.*)$`)

func one(doc any, c string) error {
	m := condition.FindStringSubmatch(c)
	if m == nil {
		return settledError{fmt.Errorf("%q is no condition", c)}
	}
	is := at(doc, m[1])
	ok := false
	switch m[2] {
	case "=":
		ok = is == m[3]
	case "!=":
		ok = is != m[3]
	case "~":
		match, err := regexp.Compile(m[3])
		if err != nil {
			return settledError{err}
		}
		ok = match.MatchString(is)
	case ">=":
		n, _ := strconv.ParseFloat(is, 64)
		least, _ := strconv.ParseFloat(m[3], 64)
		ok = n >= least
	}
	if !ok {
		return fmt.Errorf("%s is %q, want %s%s", m[1], is, m[2], m[3])
	}
	return nil
}

// at is the value at a path; what is not there is empty, and a list or object
// is its length.
func at(doc any, path string) string {
	for part := range strings.SplitSeq(path, ".") {
		switch d := doc.(type) {
		case map[string]any:
			doc = d[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(d) {
				return ""
			}
			doc = d[i]
		default:
			return ""
		}
	}
	switch d := doc.(type) {
	case nil:
		return ""
	case map[string]any:
		return strconv.Itoa(len(d))
	case []any:
		return strconv.Itoa(len(d))
	default:
		return fmt.Sprint(d)
	}
}

func (s scene) submission(input string, opts map[string]string) (client.Submission, error) {
	sub := client.Submission{Kind: "canary", IdempotencyKey: opts["key"]}
	if k := opts["kind"]; k != "" {
		sub.Kind = k
	}
	if n := opts["attempts"]; n != "" {
		sub.MaxAttempts, _ = strconv.Atoi(n)
	}
	in := map[string]any{}
	if err := json.Unmarshal([]byte(input), &in); err != nil {
		return sub, fmt.Errorf("the input: %w", err)
	}
	if in["calls_per_step"] != nil {
		in["call_url"] = s.witness.url + "/call"
	}
	sub.Input = in
	return sub, nil
}

func (s scene) submitWord(args []string) error {
	opts, rest := options(args, "key", "kind", "attempts")
	if err := need(rest, 3, "submit job who input"); err != nil {
		return err
	}
	sub, err := s.submission(rest[2], opts)
	if err != nil {
		return err
	}
	done, err := s.as(rest[1]).Submit(context.Background(), sub)
	if s.nodes != nil && !slices.Contains(rest, unavailable) && refusedWith(err, []string{unavailable}) == nil {
		err = eventually(func(ctx context.Context) error { // a new master is being looked for
			done, err = s.as(rest[1]).Submit(ctx, sub)
			if err != nil && refusedWith(err, []string{unavailable}) != nil {
				return settledError{err}
			}
			return err
		})
	}
	if s.not {
		return refusedWith(err, rest[3:])
	}
	if err != nil {
		return err
	}
	s.script.Setenv(rest[0], done.ID)
	return so(done, rest[3:])
}

// unavailable is what is answered while Redis is away.
const unavailable = "redis-unavailable"

func (s scene) resumeWord(args []string) error {
	opts, rest := options(args, "from", "seq", "budget", "key")
	if err := need(rest, 2, "resume job who from=job"); err != nil {
		return err
	}
	r := client.Resumption{IdempotencyKey: opts["key"]}
	r.From, _ = strconv.ParseUint(opts["seq"], 10, 64)
	budget, _ := strconv.ParseInt(opts["budget"], 10, 64)
	r.Budget = client.MicroUSD(budget)
	done, err := s.as(rest[1]).GoOn(context.Background(), s.id(opts["from"]), r)
	if s.not {
		return refusedWith(err, rest[2:])
	}
	if err != nil {
		return err
	}
	s.script.Setenv(rest[0], done.ID)
	return so(done, rest[2:])
}

func (s scene) manyWord(args []string) error {
	if err := need(args, 4, "many n prefix who input"); err != nil {
		return err
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	sub, err := s.submission(args[3], nil)
	if err != nil {
		return err
	}
	ids, errs := make([]string, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			done, err := s.as(args[2]).Submit(context.Background(), sub)
			ids[i], errs[i] = done.ID, err
		})
	}
	wg.Wait()
	for i, id := range ids {
		s.script.Setenv(args[1]+strconv.Itoa(i+1), id)
	}
	return errors.Join(errs...)
}

func (s scene) untilWord(args []string) error {
	if err := need(args, 2, "until job path=value…"); err != nil {
		return err
	}
	return eventually(func(ctx context.Context) error {
		j, err := s.as("adam").Job(ctx, s.id(args[0]))
		if err != nil {
			return err
		}
		err = so(j, args[1:])
		if err != nil && j.State.Over() {
			return settledError{err}
		}
		return err
	})
}

func (s scene) resultWord(args []string) error {
	if err := need(args, 2, "result job path=value…"); err != nil {
		return err
	}
	r, err := s.as("adam").Result(context.Background(), s.id(args[0]))
	if err != nil {
		return err
	}
	return so(r, args[1:])
}

func (s scene) happenedWord(args []string) error {
	if err := need(args, 2, "happened job type [path=value…]"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var all []string
	for e, err := range s.as("adam").Events(ctx, s.id(args[0]), "") {
		if err != nil {
			return fmt.Errorf("%w, after %v", err, all)
		}
		var data any
		_ = json.Unmarshal(e.Data, &data)
		if e.Type == args[1] && so(data, args[2:]) == nil {
			if s.not {
				return fmt.Errorf("it happened: %s", e.Data)
			}
			return nil
		}
		all = append(all, e.Type+string(e.Data))
	}
	if s.not {
		return nil
	}
	return fmt.Errorf("it has not happened, but: %v", all)
}

// refusedWith holds an error to a problem: its type, without the prefix, and
// conditions on it.
func refusedWith(err error, want []string) error {
	var p *client.Problem
	if err == nil {
		return fmt.Errorf("it was not refused; want the problem %v", want)
	}
	if !errors.As(err, &p) {
		return fmt.Errorf("want the problem %v: %w", want, err)
	}
	if len(want) > 0 && string(p.Type) != "urn:gavel:problem:"+want[0] {
		return fmt.Errorf("want the problem %s, got: %w", want[0], err)
	}
	return nil
}

func (s scene) killWord(args []string) error {
	opts, rest := options(args, "wait", "reason")
	if err := need(rest, 2, "killjob job who"); err != nil {
		return err
	}
	k := client.Kill{Reason: opts["reason"], Incident: "INC-7"}
	if k.Reason == "" {
		k.Reason = "told by the story"
	}
	k.Wait, _ = time.ParseDuration(opts["wait"])
	r, err := s.insisting(rest[1]).Kill(context.Background(), s.id(rest[0]), k)
	if s.not {
		return refusedWith(err, rest[2:])
	}
	if err != nil {
		return err
	}
	s.orders[rest[0]] = r.Order
	return so(r, rest[2:])
}

func (s scene) killallWord(args []string) error {
	opts, rest := options(args, "wait", "owner", "confirm", "freeze", "key", "answer")
	if err := need(rest, 1, "killall who"); err != nil {
		return err
	}
	k := client.KillAll{Reason: "told by the story", Incident: "INC-8", Owner: opts["owner"], Confirm: s.name, IdempotencyKey: opts["key"]}
	if c, ok := opts["confirm"]; ok {
		k.Confirm = c
	}
	if v, ok := opts["freeze"]; ok {
		freeze := v == "true"
		k.Freeze = &freeze
	}
	k.Wait, _ = time.ParseDuration(opts["wait"])
	if opts["answer"] == "lost" {
		go func() { _, _ = s.as(rest[0]).KillAll(context.Background(), k) }()
		return nil
	}
	r, err := s.insisting(rest[0]).KillAll(context.Background(), k)
	if s.not {
		return refusedWith(err, rest[1:])
	}
	if err != nil {
		return err
	}
	s.orders["all"] = r.Order
	return so(r, rest[1:])
}

func (s scene) receiptWord(args []string) error {
	if err := need(args, 2, "receipt job|all path=value…"); err != nil {
		return err
	}
	return eventually(func(ctx context.Context) error {
		r, err := s.as("adam").Receipt(ctx, s.orders[args[0]])
		if refusedWith(err, []string{unavailable}) == nil {
			return err // a new master is being elected
		}
		if err != nil {
			return settledError{err}
		}
		return so(r, args[1:])
	})
}

func (s scene) fleetWord(args []string) error {
	return eventually(func(ctx context.Context) error {
		f, err := s.as("adam").Fleet(ctx)
		if err != nil {
			return err
		}
		return so(f, args)
	})
}

func (s scene) thawWord(args []string) error {
	if err := need(args, 1, "thaw who"); err != nil {
		return err
	}
	f, err := s.as("adam").Fleet(context.Background())
	if err != nil {
		return err
	}
	_, err = s.as(args[0]).Thaw(context.Background(), f.Gate.Head, "told by the story")
	if s.not {
		return refusedWith(err, args[1:])
	}
	return err
}

func (s scene) adoptWord(args []string) error {
	if err := need(args, 1, "adopt who"); err != nil {
		return err
	}
	_, err := s.as(args[0]).Adopt(context.Background(), "told by the story")
	if s.not {
		return refusedWith(err, args[1:])
	}
	return err
}

// auditWord counts the entries about a job, or about none, and holds each to
// the conditions. An order that reaches several partitions has an entry in each
// of them, and counts once.
func (s scene) auditWord(args []string) error {
	want, rest := options(args, "allowed", "denied")
	if err := need(rest, 2, "audit job|- act allowed=n denied=n"); err != nil {
		return err
	}
	got, seen := map[string]int{}, map[string]bool{}
	for e, err := range s.as("adam").Audit(context.Background(), client.AuditQuery{Act: rest[1]}) {
		if err != nil {
			return err
		}
		if id := s.id(rest[0]); rest[0] != "-" && e.Fields["job"] != id && e.Fields["subject"] != id {
			continue
		}
		if order := e.Fields["order"]; order == "" || !seen[order] {
			got[e.Decision]++
			seen[order] = true
		}
		if err := so(e, rest[2:]); err != nil {
			return err
		}
	}
	for decision, n := range want {
		if strconv.Itoa(got[decision]) != n {
			return fmt.Errorf("%d entries say %s, want %s", got[decision], decision, n)
		}
	}
	return nil
}

// httpWord sends one request as it is, and keeps the body of the answer.
func (s scene) httpWord(args []string) error {
	opts, rest := options(args, "status", "under")
	if err := need(rest, 4, "http file who METHOD path [body]"); err != nil {
		return err
	}
	var headers []string
	for len(rest) > 4 && strings.Contains(rest[len(rest)-1], "~") {
		headers, rest = append(headers, rest[len(rest)-1]), rest[:len(rest)-1]
	}
	body := ""
	if len(rest) > 4 {
		body = rest[4]
	}
	req, err := http.NewRequest(rest[2], s.base+rest[3], strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+secretOf(rest[1]))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", "http-"+strconv.FormatInt(time.Now().UnixNano(), 36))
	sent := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	took := time.Since(sent)
	if limit, err := time.ParseDuration(opts["under"]); err == nil && took > limit {
		return fmt.Errorf("the answer took %s, want less than %s", took.Round(time.Millisecond), limit)
	}
	if want, ok := opts["status"]; ok && want != strconv.Itoa(resp.StatusCode) {
		return fmt.Errorf("status %d, want %s: %s", resp.StatusCode, want, raw)
	}
	for _, h := range headers {
		name, match, _ := strings.Cut(h, "~")
		ok, err := regexp.MatchString(match, resp.Header.Get(name))
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("%s is %q, want it to match %s", name, resp.Header.Get(name), match)
		}
	}
	return os.WriteFile(s.script.MkAbs(rest[0]), raw, 0o600)
}
