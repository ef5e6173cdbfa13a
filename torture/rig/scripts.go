package rig

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// The kinds of process.
const (
	dispatcher = "dispatcher"
	worker     = "worker"
	everybody  = ""
)

// Script is a call to Redis that changes something, told from others by the keys
// that it declares: what it is sent as, by its text or by the text's sum, differs
// from build to build.
type Script struct {
	Name string
	// Keys are what it declares, without whose they are, in this order.
	Keys string
	// Args is how many arguments follow; 0 is any number.
	Args int
	// By is the binary that calls it, "" for both.
	By string
}

// Scripts are all that the product has; a test holds this list to it.
func Scripts() []Script {
	return []Script{
		{"reserve", "reserved holding", 7, worker},
		{"settle", "reserved calls holding", 6, worker},
		{"checkpoint", "checkpoints", 10, worker},
		{"event", "events", 8, worker},
		{"transcribe", "transcript", 7, worker},
		{"finish", "live leases road later alive over holding", 11, worker},
		{"grant", "road wake live leases later alive over aside attempt holding pace capped", 6, worker},
		{"leave", "workers worker attempt reapers", 0, worker},
		{"park", "live leases road later alive over holding short", 6, worker},
		{"reclaim", "live leases road wake later alive over reapers holding", 7, worker},
		{"release", "live leases road wake later alive over holding", 5, worker},
		{"renew", "beat leases workers worker", 0, worker},
		{"retry", "live leases road later alive over holding", 6, worker},
		{"promote", "later road wake live leases alive over holding", 3, worker},
		{"sample", "beat reapers leases", 4, everybody},
		{"deny", "audit audit_n", 8, dispatcher},
		{"elect", "seal", 3, dispatcher},
		{"seal", "seal", 8, dispatcher},
		{"breaker", "money audit audit_n", 9, dispatcher},
		{"parking", "money", 2, dispatcher},
		{"readmit", "short later road wake live leases alive over holding", 4, dispatcher},
		{"set_budget", "caps audit audit_n", 5, dispatcher},
		{"tick", "money caps", 10, dispatcher},
		{"unhold", "capped road wake live leases later alive over holding", 3, dispatcher},
		{"adopt", "gate audit audit_n meta", 6, dispatcher},
		{"begin", "gate open_orders meta", 2, dispatcher},
		{"block", "order open_orders gate audit audit_n meta", 12, dispatcher},
		{"bury", "workers worker attempt reapers", 3, dispatcher},
		{"drill", "idem audit audit_n", 13, dispatcher},
		{"fence", "live leases road later alive over reapers holding", 7, dispatcher},
		{"gate", "gate road wake audit audit_n pace meta", 11, dispatcher},
		{"horizon", "order orders open_orders control audit audit_n gate seq alive meta", 17, dispatcher},
		{"lift", "order open_orders gate audit audit_n meta", 8, dispatcher},
		{"order", "order orders open_orders audit audit_n road live leases later alive over idem holding", 13, dispatcher},
		{"preview", "live", 4, dispatcher},
		{"retire", "order tally orders open_orders", 4, dispatcher},
		{"scan", "order road live leases later alive over holding", 3, dispatcher},
		{"select", "order orders open_orders audit audit_n seq", 14, dispatcher},
		{"sweep", "order open_orders live leases road later alive over gate holding", 4, dispatcher},
		{"unbench", "order open_orders road wake live leases later alive over holding", 3, dispatcher},
		{"create_key", "keys audit audit_n", 8, dispatcher},
		{"revoke_key", "keys keys_used audit audit_n", 5, dispatcher},
		{"answer", "later road wake live leases alive over audit audit_n holding", 5, dispatcher},
		{"forget", "over index", 3, dispatcher},
		{"resume", "later road wake live leases alive over holding audit audit_n", 5, dispatcher},
		{"submit", "seq road wake live index alive owned idem audit audit_n", 20, dispatcher},
	}
}

// Of says whether a kind of process calls it.
func (s Script) Of(binary string) bool { return s.By == everybody || s.By == binary }

// command reads one whole command from a process: as it came, and its words. What
// is no command is given as it came, without words.
func command(r *bufio.Reader) (raw []byte, words [][]byte, err error) {
	first, err := r.Peek(1)
	if err != nil {
		return nil, nil, err
	}
	if first[0] != '*' {
		raw = make([]byte, r.Buffered())
		n, err := r.Read(raw)
		return raw[:n], nil, err
	}
	n, raw, err := length(r, nil)
	for range n {
		var size int
		if size, raw, err = length(r, raw); err != nil {
			break
		}
		at := len(raw)
		raw = slices.Grow(raw, size+2)[:at+size+2]
		got, failed := io.ReadFull(r, raw[at:])
		if err = failed; err != nil {
			raw = raw[:at+got]
			break
		}
		words = append(words, raw[at:at+size])
	}
	return raw, words, err
}

// length reads a line such as "$12" behind what was read already.
func length(r *bufio.Reader, raw []byte) (int, []byte, error) {
	line, err := r.ReadBytes('\n')
	raw = append(raw, line...)
	if err != nil {
		return 0, raw, err
	}
	n, err := strconv.Atoi(string(bytes.TrimSpace(line[1:])))
	if err != nil || n < 0 {
		return 0, raw, fmt.Errorf("%q is no length", line)
	}
	return n, raw, nil
}

// named is the script that a process of a kind calls by some words, "" for none.
func named(binary string, words [][]byte) string {
	if len(words) < 3 || !bytes.EqualFold(words[0], []byte("EVALSHA")) && !bytes.EqualFold(words[0], []byte("EVAL")) {
		return ""
	}
	n, err := strconv.Atoi(string(words[2]))
	if err != nil || n < 0 || len(words) < 3+n {
		return ""
	}
	kinds := make([]string, n)
	for i, key := range words[3 : 3+n] {
		_, rest, _ := strings.Cut(string(key), "}:")
		kinds[i], _, _ = strings.Cut(rest, ":")
	}
	keys, args := strings.Join(kinds, " "), len(words)-3-n
	all := Scripts()
	i := slices.IndexFunc(all, func(s Script) bool { return s.Of(binary) && s.Keys == keys && (s.Args == 0 || s.Args == args) })
	if i < 0 {
		return ""
	}
	return all[i].Name
}
