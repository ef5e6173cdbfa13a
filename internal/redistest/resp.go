package redistest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// readFrame reads one whole request or reply of the Redis protocol, either
// version, and returns its bytes as they came.
func readFrame(r *bufio.Reader) ([]byte, error) { return appendFrame(nil, r) }

func appendFrame(buf []byte, r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadBytes('\n')
	buf = append(buf, line...)
	if err != nil {
		return buf, err
	}
	bytesMore, framesMore, err := follows(line)
	if err != nil {
		return buf, err
	}
	if bytesMore > 0 {
		from := len(buf)
		buf = append(buf, make([]byte, bytesMore)...)
		if _, err := io.ReadFull(r, buf[from:]); err != nil {
			return buf, err
		}
	}
	for range framesMore {
		if buf, err = appendFrame(buf, r); err != nil {
			return buf, err
		}
	}
	return buf, nil
}

// follows says what comes after the first line of a frame: a number of bytes,
// or a number of frames.
func follows(line []byte) (bytesMore, framesMore int, err error) {
	switch line[0] {
	case '$', '!', '=', '*', '~', '>', '%', '|':
	default:
		return 0, 0, nil
	}
	n, err := strconv.Atoi(string(bytes.TrimSpace(line[1:])))
	if err != nil {
		return 0, 0, fmt.Errorf("not the Redis protocol: %q", line)
	}
	if n < 0 { // a null
		return 0, 0, nil
	}
	switch line[0] {
	case '*', '~', '>':
		return 0, n, nil
	case '%':
		return 0, 2 * n, nil
	case '|': // attributes, and then the reply they belong to
		return 0, 2*n + 1, nil
	default:
		return n + len("\r\n"), 0, nil
	}
}
