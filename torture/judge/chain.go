package judge

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"unicode/utf8"
)

// sealed is a line of an export, as docs/audit.md has it.
type sealed struct {
	Type      string            `json:"type"`
	Fleet     string            `json:"fleet"`
	Partition int               `json:"partition"`
	N         uint64            `json:"n"`
	ID        string            `json:"id"`
	Fields    map[string]string `json:"fields"`
	Prev      string            `json:"prev"`
	Hash      string            `json:"hash"`
	At        string            `json:"at"`
	Key       string            `json:"key"`
	Signature string            `json:"signature"`
}

type digest struct{ bytes.Buffer }

func (d *digest) number(n uint64) { _ = binary.Write(&d.Buffer, binary.BigEndian, n) } // a buffer takes everything

func (d *digest) text(s string) {
	d.number(uint64(len(s)))
	d.WriteString(s)
}

func (d *digest) sum() string {
	s := sha256.Sum256(d.Bytes())
	return string(s[:])
}

func genesis(fleet string, partition int) string {
	var d digest
	d.text("gavel audit genesis 1")
	d.text(fleet)
	d.number(uint64(partition))
	return d.sum()
}

func linked(prev string, l sealed) string {
	var d digest
	d.text("gavel audit entry 1")
	d.text(prev)
	d.number(uint64(l.Partition))
	d.number(l.N)
	d.text(l.ID)
	names := make([]string, 0, len(l.Fields))
	for name := range l.Fields {
		names = append(names, name)
	}
	slices.Sort(names)
	d.number(uint64(len(names)))
	for _, name := range names {
		d.text(name)
		d.text(l.Fields[name])
	}
	return d.sum()
}

// stated is what a head's signature is over.
func stated(l sealed) string {
	var d digest
	d.text("gavel audit head 1")
	d.text(l.Fleet)
	d.number(uint64(l.Partition))
	d.number(l.N)
	for _, s := range []string{l.ID, l.Hash, l.At, l.Key} {
		d.text(s)
	}
	return d.sum()
}

// signed checks a head's signature.
func signed(l sealed) bool {
	key, err := base64.StdEncoding.DecodeString(l.Key)
	sig, serr := base64.StdEncoding.DecodeString(l.Signature)
	return err == nil && serr == nil && len(key) == ed25519.PublicKeySize && ed25519.Verify(key, []byte(stated(l)), sig)
}

// readable is how an export writes bytes that are no text.
func readable(s string) string {
	if utf8.ValidString(s) && !bytes.HasPrefix([]byte(s), []byte("base64:")) {
		return s
	}
	return "base64:" + base64.StdEncoding.EncodeToString([]byte(s))
}

// chain computes each partition's chain over what Redis holds and holds every
// exported line to it.
func (c *Case) chain() {
	hashes := map[int][]string{}
	for p := range c.Partitions {
		prev := genesis(c.Fleet, p)
		hashes[p] = []string{prev}
		for i, e := range c.dump[c.key(p, "audit")].Stream {
			l := sealed{Partition: p, N: uint64(i + 1), ID: e.ID, Fields: map[string]string{}}
			for k, v := range e.Fields {
				l.Fields[readable(k)] = readable(v)
			}
			prev = linked(prev, l)
			hashes[p] = append(hashes[p], prev)
		}
	}
	found := map[int]uint64{}
	for _, file := range c.exports {
		c.export(file, hashes, found)
	}
	for p, all := range hashes {
		if int(found[p]) != len(all)-1 {
			c.breach("partition %d has %d entries, and the last signed head is over %d", p, len(all)-1, found[p])
		}
	}
}

func (c *Case) export(file string, hashes map[int][]string, found map[int]uint64) {
	f, err := os.Open(file)
	if err != nil {
		return // a dispatcher that was never the sealer has none
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 4<<20)
	for n := 1; lines.Scan(); n++ {
		var l sealed
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			if len(bytes.TrimSpace(lines.Bytes())) > 0 {
				c.breach("%s: line %d is no line: %v", file, n, err)
			}
			continue
		}
		all := hashes[l.Partition]
		if l.N == 0 || int(l.N) >= len(all) || hex.EncodeToString([]byte(all[l.N])) != l.Hash {
			if len(c.losses) > 0 { // exported, and then lost: that is what an export is for
				c.Figures.Lost["entries that the export has"]++
				continue
			}
			c.breach("%s: line %d: %s %d of partition %d is not in the chain", file, n, l.Type, l.N, l.Partition)
			continue
		}
		if l.Type == "head" {
			if !signed(l) {
				c.breach("%s: line %d: the head %d is not signed", file, n, l.N)
			}
			found[l.Partition] = max(found[l.Partition], l.N)
		}
	}
}
