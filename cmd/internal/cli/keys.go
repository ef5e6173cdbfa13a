package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/cmd/internal/show"
	"github.com/rtfm-si/gavel/internal/access"
)

type keysCommand struct {
	Create createKeyCommand `cmd:"" help:"Make a key that the fleet keeps: the secret is shown once."`
	List   listKeysCommand  `cmd:"" help:"List the keys that the fleet keeps, with when they were last used."`
	Revoke revokeKeyCommand `cmd:"" help:"End a key, everywhere within seconds."`
	New    newKeyCommand    `cmd:"" help:"Make a key for the dispatcher's keys file, without a fleet: the first one, and break-glass keys."`
}

type newKeyCommand struct {
	Subject    string        `name:"subject" required:"" help:"The person or service it stands for."`
	Owner      string        `name:"owner" help:"The owner whose jobs are theirs; needed for the role owner."`
	Roles      []access.Role `name:"role" default:"owner" help:"Roles, separated by commas: owner, service, operator, admin."`
	Expires    string        `name:"expires" placeholder:"WHEN" help:"When it stops being good: a day (2027-01-31), or a time from now (90d, 12h). Default is never."`
	BreakGlass bool          `name:"break-glass" help:"An admin's emergency key: every use is logged loudly, and it starts no work."`
	File       string        `name:"file" short:"f" type:"path" help:"Keys file to append to; made with mode 0600 if it is not there."`
}

// Run makes a key.
func (c *newKeyCommand) Run(d *desk) error {
	expires, err := readExpiry(c.Expires, time.Now())
	if err != nil {
		return err
	}
	key, secret, err := access.NewKey(access.Key{
		Subject: c.Subject, Owner: c.Owner, Roles: c.Roles, Expires: expires, BreakGlass: c.BreakGlass,
	})
	if err != nil {
		return usage("%v", err)
	}
	line, err := json.Marshal(key)
	if err != nil {
		return fmt.Errorf("write the key: %w", err)
	}
	if c.File != "" {
		if err := appendKey(c.File, line); err != nil {
			return err
		}
	}
	if d.JSON {
		return d.document(struct {
			Secret string     `json:"secret"`
			Key    access.Key `json:"key"`
			File   string     `json:"file,omitempty"`
		}{secret, key, c.File})
	}
	d.screen.Line("%s", secret)
	s := d.screen
	s.Line("%s", s.Paint(show.Dim, "This is the secret of "+key.ID+". It is kept nowhere: copy it now, and give it as GAVEL_KEY or a bearer token."))
	if c.File != "" {
		s.Line("%s", s.Paint(show.Dim, "Its hash is in "+c.File+"; a running dispatcher reads it within seconds."))
		return nil
	}
	s.Line("%s", s.Paint(show.Dim, "Add this line to the dispatcher's keys file (mode 0600):"))
	s.Line("%s", line)
	return nil
}

// appendKey adds a line to a keys file, which must then still be a good one.
func appendKey(path string, line []byte) error {
	if _, err := os.Stat(path); err == nil {
		if _, err := access.OpenKeyFile(path); err != nil {
			return &Failure{Code: codeUsage, Text: err.Error(), Hint: "Correct the file first; nothing was added."}
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return usage("keys file: %v", err)
	}
	before, err := lastByte(f)
	if err == nil && before == ']' {
		err = usage("keys file %s holds one JSON array; add the key there by hand, or write one key per line", path)
	}
	if err == nil {
		if before != 0 && before != '\n' {
			line = append([]byte("\n"), line...)
		}
		_, err = f.Write(append(line, '\n'))
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("keys file: %w", err)
	}
	return nil
}

// lastByte is the last byte that is no space, or the newline that ends the file.
func lastByte(f *os.File) (byte, error) {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return 0, err
	}
	tail := make([]byte, min(info.Size(), 64))
	if _, err := f.ReadAt(tail, info.Size()-int64(len(tail))); err != nil {
		return 0, err
	}
	text := strings.TrimRight(string(tail), " \t\r\n")
	if strings.HasSuffix(text, "]") && !strings.HasSuffix(text, "]}") {
		return ']', nil
	}
	return tail[len(tail)-1], nil
}

// readExpiry reads a day, a moment, or a time from now.
func readExpiry(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := moment(text, now)
	if err != nil {
		return at, usage("--expires: %q is neither a day such as 2027-01-31 nor a time from now such as 90d or 12h", text)
	}
	if !at.After(now) {
		return at, usage("--expires: %s has passed already", at.Format(time.RFC3339))
	}
	return at.UTC().Truncate(time.Second), nil
}

func moment(text string, now time.Time) (time.Time, error) {
	for _, form := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(form, text); err == nil {
			return at, nil
		}
	}
	if n, ok := strings.CutSuffix(text, "d"); ok {
		days, err := time.ParseDuration(n + "h")
		return now.Add(24 * days), err
	}
	d, err := time.ParseDuration(text)
	return now.Add(d), err
}
