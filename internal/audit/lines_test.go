package audit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

// someday is when tests sign.
var someday = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func lineOf(t testing.TB, h job.AuditHead) string {
	t.Helper()
	raw, err := AppendLine(nil, Record{Fleet: h.Fleet, Partition: h.Partition, N: h.N, Head: &h})
	require.NoError(t, err)
	return string(raw)
}

func headOf(t testing.TB, line string) job.AuditHead {
	t.Helper()
	r, err := parseLine([]byte(strings.TrimSuffix(line, "\n")))
	require.NoError(t, err)
	return *r.Head
}

// rehash signs another hash by our own key.
func rehash(t testing.TB, h job.AuditHead) job.AuditHead {
	t.Helper()
	h.Hash = Hash{1}.String()
	return sign(h, keyOf("ours"), someday)
}

// rechain makes the hashes of all entries anew, as somebody without the key can.
func rechain(t testing.TB, in []string) []string {
	t.Helper()
	out, prev := slices.Clone(in), Hash{}
	for i, text := range in {
		r, err := parseLine([]byte(strings.TrimSuffix(text, "\n")))
		require.NoError(t, err)
		if r.Entry == nil {
			continue
		}
		if r.N == 1 {
			prev = Genesis(r.Fleet, 0)
		}
		h := Link(prev, 0, *r.Entry)
		r.Prev, r.Hash = prev.String(), h.String()
		raw, err := AppendLine(nil, r)
		require.NoError(t, err)
		out[i], prev = string(raw), h
	}
	return out
}

func copyLines(t testing.TB, from, to string, keep func(string) bool) {
	t.Helper()
	raw, err := os.ReadFile(from)
	require.NoError(t, err)
	out := ""
	for l := range strings.Lines(string(raw)) {
		if keep(l) {
			out += l
		}
	}
	require.NoError(t, os.WriteFile(to, []byte(out), 0o600))
}

// sample is an export as a sealer writes it: entries in batches of the sizes
// given, each under its head.
func sample(t testing.TB, partition int, sizes ...int) []byte {
	t.Helper()
	return sampleAt(t, partition, func(n uint64) string { return text(1000+n) + "-0" }, sizes...)
}

// sampleAt is a sample whose entries are in the places given.
func sampleAt(t testing.TB, partition int, place func(n uint64) string, sizes ...int) []byte {
	t.Helper()
	var out []byte
	prev, n := Genesis("f", partition), uint64(0)
	for _, size := range sizes {
		var last job.AuditRecord
		for range size {
			n++
			last = job.AuditRecord{ID: place(n), Fields: map[string]string{"n": text(n), "act": "kill", "reason": "because <&> \u2028"}}
			h := Link(prev, partition, last)
			var err error
			out, err = AppendLine(out, Record{Fleet: "f", Partition: partition, N: n, Entry: &last, Prev: prev.String(), Hash: h.String()})
			require.NoError(t, err)
			prev = h
		}
		out = append(out, lineOf(t, sign(job.AuditHead{Fleet: "f", Partition: partition, N: n, ID: last.ID, Hash: prev.String()}, keyOf("ours"), someday))...)
	}
	return out
}

func text(n uint64) string { return strconv.FormatUint(n, 10) }

// memory is an export that is no file.
type memory []byte

func (memory) Name() string { return "memory" }
func (memory) Live() bool   { return false }
func (m memory) Partitions(ctx context.Context) ([]int, error) {
	return m.open(-1).partitions(ctx)
}
func (m memory) Open(_ context.Context, p int) (Source, error) { return m.open(p), nil }
func (m memory) open(p int) *exported {
	return &exported{name: "memory", partition: p, file: io.NopCloser(nil), lines: newLines(bytes.NewReader(m))}
}

func verifyBytes(t testing.TB, files ...[]byte) (Report, error) {
	t.Helper()
	logs := make([]Log, len(files))
	for i, raw := range files {
		logs[i] = memory(raw)
	}
	return Verify(t.Context(), trustIn(keyOf("ours")), logs...)
}

func TestPiecesOfSeveralSealersAreOneLog(t *testing.T) {
	whole := sample(t, 0, 2, 3, 1, 2)
	lines := bytes.SplitAfter(whole, []byte("\n"))
	cut := func(from, to int) []byte { return bytes.Join(lines[from:to], nil) }
	one, two := slices.Concat(cut(0, 3), cut(7, 9)), slices.Concat(cut(3, 7), cut(9, 12))
	rep, err := verifyBytes(t, one, two)
	require.NoError(t, err)
	require.Equal(t, uint64(8), rep.Partitions[0].Entries)
	_, err = verifyBytes(t, one)
	broken(t, err, Missing, 3)
	_, err = verifyBytes(t, two)
	broken(t, err, Missing, 1)

	rep, err = verifyBytes(t, whole, whole, one)
	require.NoError(t, err, "copies may overlap")
	require.Equal(t, uint64(8+3), rep.Partitions[0].Repeats)
}

func TestPartitionsAreChainedApart(t *testing.T) {
	a, b := bytes.SplitAfter(sample(t, 0, 2, 2), []byte("\n")), bytes.SplitAfter(sample(t, 7, 3), []byte("\n"))
	mixed := slices.Concat(a[0], b[0], b[1], a[1], a[2], b[2], b[3], a[3], a[4], a[5])
	rep, err := verifyBytes(t, mixed)
	require.NoError(t, err)
	require.Len(t, rep.Partitions, 2)
	require.Equal(t, 7, rep.Partitions[1].Partition)
	moved := bytes.ReplaceAll(sample(t, 7, 3), []byte(`"partition":7`), []byte(`"partition":6`))
	_, err = verifyBytes(t, moved)
	broken(t, err, Edited, 1)
}

func TestARepeatAfterACrashIsToleratedAndADifferentOneIsNot(t *testing.T) {
	whole := sample(t, 0, 2, 3)
	lines := bytes.SplitAfter(whole, []byte("\n"))
	again := slices.Concat(whole, bytes.Join(lines[3:], nil))
	rep, err := verifyBytes(t, again)
	require.NoError(t, err)
	require.Equal(t, uint64(3), rep.Partitions[0].Repeats)

	torn := slices.Concat(bytes.Join(lines[:4], nil), lines[4][:50], []byte("\n"), bytes.Join(lines[3:], nil))
	rep, err = verifyBytes(t, torn)
	require.NoError(t, err, "a line that a crash cut off is there again")
	require.Equal(t, 1, rep.Skipped)

	other := rechain(t, strings.SplitAfter(strings.TrimSuffix(strings.ReplaceAll(string(whole), "because", "nothing"), "\n"), "\n"))
	_, err = verifyBytes(t, slices.Concat(whole, []byte(other[4])))
	broken(t, err, Differs, 4)
}

func TestPlacesInTheStreamGoOnlyForward(t *testing.T) {
	places := func(all ...string) []byte {
		return sampleAt(t, 0, func(n uint64) string { return all[n-1] }, len(all))
	}
	_, err := verifyBytes(t, places("9-9", "10-0", "10-1", "18446744073709551615-0"))
	require.NoError(t, err)
	for _, back := range []string{"10-0", "9-99", "10", "x-1", ""} {
		_, err := verifyBytes(t, places("9-9", "10-0", back))
		broken(t, err, Reordered, 3)
	}
}

func TestARepeatOfLongAgoIsNotTakenOnTrust(t *testing.T) {
	whole := sample(t, 0, window+2)
	first, _, _ := bytes.Cut(whole, []byte("\n"))
	_, err := verifyBytes(t, append(slices.Clone(whole), append(first, '\n')...))
	broken(t, err, Far, 1)
}

// No bit of an export can be turned without being noticed.
func TestNoByteCanBeChangedUnseen(t *testing.T) {
	whole := sample(t, 0, 1, 2)
	for i := range whole {
		changed := slices.Clone(whole)
		changed[i] ^= 1
		rep, err := verifyBytes(t, changed)
		require.True(t, err != nil || rep.Skipped > 0, "byte %d: %q", i, changed)
	}
}

func TestALineThatIsTooLongIsSkippedWithoutHoldingIt(t *testing.T) {
	l := newLines(io.MultiReader(io.LimitReader(zeros{}, 10*maxLine), strings.NewReader("\n"), bytes.NewReader(sample(t, 0, 1))))
	_, err := l.next()
	var bad *errLine
	require.ErrorAs(t, err, &bad)
	require.ErrorContains(t, err, "longer than")
	r, err := l.next()
	require.NoError(t, err)
	require.Equal(t, uint64(1), r.N)
	_, err = l.next()
	require.NoError(t, err)
	_, err = l.next()
	require.ErrorIs(t, err, io.EOF)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

func TestReadableKeepsDifferentBytesDifferent(t *testing.T) {
	seen := map[string]string{}
	for _, s := range []string{"", "a", "/w==", "\xff", "\xfe", "\ufffd", "base64:/w==", "base64:", "\x00"} {
		require.NotContains(t, seen, readable(s), "%q and %q", s, seen[readable(s)])
		seen[readable(s)] = s
	}
}

// The canonical encoding is part of the format: exports of today must verify
// for ever.
func TestTheChainIsWhatItWas(t *testing.T) {
	r := job.AuditRecord{ID: "5-1", Fields: map[string]string{"n": "1", "act": "kill", "who": `{"subject":"ann"}`}}
	require.Equal(t, "333e8f906f8d4dcfc997253e78192d333f91fecffe3000b516e98fafd5736b18", Genesis("gavel", 3).String())
	require.Equal(t, "2d254a26f10482ddc121addfc127937f8fa71c5c68cc30485fa7bb633f1d0e09", Link(Genesis("gavel", 3), 3, r).String())
}

func FuzzReadingAnExportNeverPanicsAndWhatItReadsIsExact(f *testing.F) {
	whole := sample(f, 0, 1, 2)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add(bytes.ReplaceAll(whole, []byte("n"), []byte("N")))
	f.Add([]byte("{}\n\n[]\r\nnull\n\"\"\n{\"v\":1,\"type\":\"head\",\"fleet\":\"f\",\"partition\":0,\"n\":0,\"id\":\"\",\"hash\":\"\"}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		l := newLines(bytes.NewReader(raw))
		for {
			r, err := l.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if bad := (*errLine)(nil); errors.As(err, &bad) {
				continue
			}
			require.NoError(t, err)
			again, err := AppendLine(nil, r)
			require.NoError(t, err)
			require.True(t, bytes.Contains(raw, bytes.TrimSuffix(again, []byte("\n"))), "%q", again)
		}
		rep, err := verifyBytes(t, raw)
		if err != nil {
			return
		}
		for _, p := range rep.Partitions { // without the key nothing new can be made
			require.Zero(t, p.Partition)
			require.LessOrEqual(t, p.Entries, uint64(3))
			require.Equal(t, p.Entries, p.Signed)
		}
	})
}
