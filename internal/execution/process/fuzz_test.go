package process

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever a program writes, its lines are bounded and their money is none that
// a worker would add up wrongly.
func FuzzWhatAProgramSaysIsSoundOrRefused(f *testing.F) {
	for _, seed := range []string{
		`{"msg":"hello"}`, `{"msg":"event","type":"a.b","data":{}}`, `{"msg":"reserve","call_id":"c","max_micro_usd":5}`,
		`{"msg":"usage","call_id":"c","cost_micro_usd":-1}`, `{"msg":"checkpoint","seq":1,"data":{}}`, `{"msg":"need_input","questions":["?"]}`,
		`{"msg":"result","data":[]}`, `{"msg":"error","class":"permanent"}`, `{"msg":"newer"}`, `{"msg":""}`, "\n\n", "not protocol\n{\"msg\":\"progress\"}",
	} {
		f.Add([]byte(seed))
	}
	const limit = 256
	f.Fuzz(func(t *testing.T, out []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(out), 16)
		for n := 0; ; n++ {
			require.LessOrEqual(t, n, len(out), "it comes to an end")
			text, err := line(r, limit)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				require.ErrorIs(t, err, errTooLong)
				continue
			}
			require.LessOrEqual(t, len(text), limit+1)
			m, err := read(text)
			if err != nil {
				continue
			}
			require.NotEmpty(t, m.Msg)
			require.GreaterOrEqual(t, int64(m.Max), int64(0))
			require.GreaterOrEqual(t, int64(m.Cost), int64(0))
		}
	})
}
