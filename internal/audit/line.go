package audit

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/rtfm-si/gavel/internal/job"
)

// Record is one thing that an audit log says: an entry, or a signed head.
type Record struct {
	Fleet     string
	Partition int
	N         uint64
	// Entry is what was noted; nil in a head.
	Entry *job.AuditRecord
	// Prev and Hash are the chain as the log claims it; both are empty where it
	// claims nothing.
	Prev, Hash string
	// Head is the statement; nil in an entry.
	Head *job.AuditHead
	// Where names the place, for people.
	Where string
}

// line is a record as it is exported. The order of its fields is the order on
// the line, and belongs to the format.
type line struct {
	Version   int               `json:"v"`
	Type      string            `json:"type"`
	Fleet     string            `json:"fleet"`
	Partition int               `json:"partition"`
	N         uint64            `json:"n"`
	ID        string            `json:"id"`
	Fields    map[string]string `json:"fields,omitempty"`
	Prev      string            `json:"prev,omitempty"`
	Hash      string            `json:"hash"`
	At        string            `json:"at,omitempty"`
	Key       string            `json:"key,omitempty"`
	Signature string            `json:"signature,omitempty"`
}

const (
	lineVersion = 1
	typeEntry   = "entry"
	typeHead    = "head"

	// maxLine bounds what a reader holds of a file that somebody else wrote.
	maxLine = 1 << 20
	// maxPartitions is the most a fleet can have.
	maxPartitions = 256
)

// AppendLine writes a record behind dst as one line of JSON.
func AppendLine(dst []byte, r Record) ([]byte, error) {
	l := line{Version: lineVersion, Fleet: r.Fleet, Partition: r.Partition, N: r.N}
	switch {
	case r.Entry != nil:
		l.Type, l.ID, l.Fields, l.Prev, l.Hash = typeEntry, r.Entry.ID, r.Entry.Fields, r.Prev, r.Hash
	case r.Head != nil:
		l.Type, l.ID, l.Hash, l.At, l.Key, l.Signature = typeHead, r.Head.ID, r.Head.Hash, r.Head.At, r.Head.Key, r.Head.Signature
	default:
		return dst, errors.New("write an audit line: neither entry nor head")
	}
	return l.appendTo(dst)
}

func (l line) appendTo(dst []byte) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(l); err != nil {
		return dst, fmt.Errorf("write an audit line: %w", err)
	}
	return buf.Bytes(), nil
}

// parseLine reads what [AppendLine] wrote, byte for byte: what could also be
// read in another way (a key twice, another case, another number) is no line.
func parseLine(raw []byte) (Record, error) {
	var l line
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		return Record{}, fmt.Errorf("is no line of an audit: %w", err)
	}
	if again, err := l.appendTo(nil); err != nil || !bytes.Equal(bytes.TrimSuffix(again, []byte("\n")), raw) {
		return Record{}, errors.New("is not as Gavel writes it; was it written again by another program?")
	}
	if l.Version != lineVersion {
		return Record{}, fmt.Errorf("has version %d; this build reads %d", l.Version, lineVersion)
	}
	if l.Partition < 0 || l.Partition >= maxPartitions {
		return Record{}, fmt.Errorf("names partition %d; want 0–%d", l.Partition, maxPartitions-1)
	}
	return l.record()
}

func (l line) record() (Record, error) {
	r := Record{Fleet: l.Fleet, Partition: l.Partition, N: l.N}
	switch {
	case l.Type == typeEntry && l.At+l.Key+l.Signature == "" && l.Prev != "" && l.Hash != "":
		r.Entry = &job.AuditRecord{ID: l.ID, Fields: l.Fields}
		r.Prev, r.Hash = l.Prev, l.Hash
	case l.Type == typeHead && len(l.Fields) == 0 && l.Prev == "":
		r.Head = &job.AuditHead{
			Fleet: l.Fleet, Partition: l.Partition, N: l.N, ID: l.ID, Hash: l.Hash, At: l.At, Key: l.Key, Signature: l.Signature,
		}
	default:
		return r, fmt.Errorf("is no whole entry and no head: its type is %q", l.Type)
	}
	return r, nil
}

// lines reads the lines of a file, holding one of them at a time.
type lines struct {
	in     *bufio.Reader
	number int
}

func newLines(in io.Reader) *lines { return &lines{in: bufio.NewReaderSize(in, 64<<10)} }

// errLine is why a line was not read; reading can go on behind it.
type errLine struct {
	number int
	why    error
}

func (e *errLine) Error() string { return fmt.Sprintf("line %d %v", e.number, e.why) }

func (e *errLine) Unwrap() error { return e.why }

// next returns the next record, a [*errLine] for a line that is none, or io.EOF.
func (l *lines) next() (Record, error) {
	for {
		raw, err := l.line()
		if err != nil {
			return Record{}, err
		}
		if len(raw) == 0 {
			continue
		}
		r, err := parseLine(raw)
		if err != nil {
			return r, &errLine{l.number, err}
		}
		return r, nil
	}
}

// line returns the next line, empty ones too, without its end.
func (l *lines) line() ([]byte, error) {
	var whole []byte
	long := false
	for {
		part, err := l.in.ReadSlice('\n')
		if len(part) == 0 && err != nil && len(whole) == 0 && !long {
			return nil, err //nolint:wrapcheck // io.EOF is a word of the reader
		}
		long = long || len(whole)+len(part) > maxLine
		if !long {
			whole = append(whole, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read the audit: %w", err)
		}
		break
	}
	l.number++
	if long {
		return nil, &errLine{l.number, fmt.Errorf("is longer than %d bytes", maxLine)}
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(whole, []byte("\n")), []byte("\r")), nil
}

const binary64 = "base64:"

// readable maps any bytes to text that JSON carries unchanged, no two to the
// same one. Entries are chained in this form.
func readable(s string) string {
	if utf8.ValidString(s) && !strings.HasPrefix(s, binary64) {
		return s
	}
	return binary64 + base64.StdEncoding.EncodeToString([]byte(s))
}
