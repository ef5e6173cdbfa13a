package rig

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/torture/history"
)

// What the product calls is in our list, by the keys it declares, and nothing else
// is: a script that nobody knows here is one at which nobody is ever killed.
func TestTheListOfScriptsIsTheProducts(t *testing.T) {
	ours := map[string]Script{}
	for _, s := range Scripts() {
		assert.NotContains(t, ours, s.Name)
		ours[s.Name] = s
	}
	files, err := filepath.Glob("../../internal/*/lua/*.lua")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		if strings.Contains(f, "rediskit") {
			continue // parts of scripts
		}
		name := strings.TrimSuffix(filepath.Base(f), ".lua")
		s, known := ours[name]
		delete(ours, name)
		if !assert.True(t, known, "%s is new: say in Scripts what keys it declares and who calls it, and in load.Provoke how it comes to be called", f) {
			continue
		}
		raw, err := os.ReadFile(f)
		require.NoError(t, err)
		keys, args := header(string(raw), "-- KEYS:"), header(string(raw), "-- ARGV:")
		n := len(args) + 1 // the slot is before them
		if n > 1 && strings.HasSuffix(args[n-2], "*") {
			n = 0
		}
		assert.Equal(t, strings.Join(keys, " "), s.Keys, "%s declares other keys than Scripts says", name)
		assert.Equal(t, n, s.Args, "%s takes other arguments than Scripts says", name)
	}
	assert.Empty(t, ours, "these the product does not have any more")
}

func header(text, word string) (names []string) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "--") {
			break
		}
		if rest, is := strings.CutPrefix(line, word); is {
			names = append(names, strings.Fields(rest)...)
		}
	}
	return names
}

// call is a script as a process sends it.
func call(s Script) []byte {
	words := []string{"EVALSHA", "some-sum", fmt.Sprint(len(strings.Fields(s.Keys)))}
	for _, k := range strings.Fields(s.Keys) {
		words = append(words, "{torture:1}:"+k+":whose:1")
	}
	for range max(s.Args, 2) {
		words = append(words, "any\r\n*1\r\n$4\r\nPING")
	}
	out := fmt.Appendf(nil, "*%d\r\n", len(words))
	for _, w := range words {
		out = fmt.Appendf(out, "$%d\r\n%s\r\n", len(w), w)
	}
	return out
}

// Each script is told from every other that the same kind of process calls, in
// whatever pieces it comes.
func TestScriptsAreToldApart(t *testing.T) {
	for _, s := range Scripts() {
		for _, binary := range []string{dispatcher, worker} {
			if !s.Of(binary) {
				continue
			}
			whole := append([]byte("*1\r\n$4\r\nPING\r\n"), call(s)...)
			in := bufio.NewReaderSize(bytewise(slices.Clone(whole)), 16)
			ping, words, err := command(in)
			require.NoError(t, err)
			assert.Len(t, words, 1)
			assert.Empty(t, named(binary, words))
			raw, words, err := command(in)
			require.NoError(t, err)
			assert.Equal(t, s.Name, named(binary, words))
			assert.Equal(t, whole, append(ping, raw...))
		}
	}
}

// bytewise is read a byte at a time.
func bytewise(b []byte) reader { return reader{&b} }

type reader struct{ left *[]byte }

func (r reader) Read(b []byte) (int, error) {
	if len(*r.left) == 0 {
		return 0, fmt.Errorf("nothing is left")
	}
	n := copy(b[:1], *r.left)
	*r.left = (*r.left)[n:]
	return n, nil
}

// Who is to die before a script dies, and Redis never hears of it; who is to die
// behind it dies when Redis has done it, and not when Redis has refused it.
func TestWhoComesToThePointDiesThere(t *testing.T) {
	grant := Scripts()[slices.IndexFunc(Scripts(), func(s Script) bool { return s.Name == "grant" })]
	for _, after := range []bool{false, true} {
		m, asked := place(t)
		a := NewAmbush([]Point{{"grant", after}})
		m.Lay(a)
		c, err := net.Dial("tcp", m.Link.listener.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		in := bufio.NewReader(c)
		say := func(b []byte) string {
			_, err := c.Write(b)
			require.NoError(t, err)
			line, _ := in.ReadString('\n') // an end is an empty one
			return line
		}
		assert.Equal(t, "-NOSCRIPT\r\n", say([]byte("*1\r\n$4\r\nPING\r\n")), "another command passes")
		require.Equal(t, 1, <-asked)
		if after {
			assert.Equal(t, "-NOSCRIPT\r\n", say(call(grant)), "what Redis has refused it has not done")
			require.Equal(t, 2, <-asked)
		}
		assert.Nil(t, a.End())
		a = NewAmbush([]Point{{"grant", after}})
		m.Lay(a)
		assert.Empty(t, say(call(grant)))
		<-a.Sprung()
		p, _ := m.process()
		assert.False(t, p.alive())
		assert.Equal(t, Point{"grant", after}, a.End().At)
		if after {
			assert.Equal(t, 3, <-asked, "Redis has done it")
		} else {
			assert.Empty(t, asked, "Redis has heard of it")
		}
	}
}

// place is a process at its place, and a Redis behind its link that refuses twice
// and then does what it is asked.
func place(t *testing.T) (*Member, <-chan int) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	asked := make(chan int, 8)
	served := make(chan struct{})
	go func() {
		defer close(served)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		in := bufio.NewReader(c)
		for n := 1; ; n++ {
			if _, _, err := command(in); err != nil {
				return
			}
			asked <- n
			reply := "-NOSCRIPT\r\n"
			if n > 2 {
				reply = "+OK\r\n"
			}
			_, _ = c.Write([]byte(reply)) // who asked may be dead
		}
	}()
	dir := t.TempDir()
	log, err := history.Open(dir, "rig", history.NewClock())
	require.NoError(t, err)
	m := &Member{rig: &Rig{note: log}, place: "w1", binary: worker}
	m.Link, err = newLink(ln.Addr().String(), m)
	require.NoError(t, err)
	m.proc, err = launch(dir, "w1-1", "", exec.Command("sleep", "60"))
	require.NoError(t, err)
	m.name = "w1-1"
	t.Cleanup(func() {
		m.proc.kill()
		m.Link.shut()
		assert.NoError(t, ln.Close())
		<-served
		assert.NoError(t, log.Close())
		require.Eventually(t, func() bool { return !m.proc.alive() }, time.Second, time.Millisecond)
	})
	return m, asked
}
