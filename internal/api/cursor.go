package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
)

const macLen = 16

// seal makes a room's cursor fit to be handed out: signed, and bound to who
// asked for what, so that it opens for nobody and nothing else. What is signed goes
// first: it is plain text, so no cursor and no token begins with a dash, which a
// command line would take for a flag.
func (d *Door) seal(cursor string, bound ...string) string {
	if cursor == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(append([]byte(cursor), d.mac(cursor, bound)...))
}

// unseal gives back what [Door.seal] was given.
func (d *Door) unseal(sealed string, bound ...string) (string, error) {
	if sealed == "" {
		return "", nil
	}
	bad := problem(http.StatusBadRequest, typeBadCursor, "The cursor is refused",
		"It was not given out for this list and these filters. Begin again without one.")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil || len(raw) <= macLen || len(raw) > 1024 {
		return "", bad
	}
	at := len(raw) - macLen
	cursor := string(raw[:at])
	if !hmac.Equal(raw[at:], d.mac(cursor, bound)) {
		return "", bad
	}
	return cursor, nil
}

func (d *Door) mac(cursor string, bound []string) []byte {
	h := hmac.New(sha256.New, d.cfg.CursorKey)
	for _, s := range slices.Concat(bound, []string{cursor}) {
		h.Write(strconv.AppendInt(nil, int64(len(s)), 10))
		h.Write([]byte(":" + s))
	}
	return h.Sum(nil)[:macLen]
}
