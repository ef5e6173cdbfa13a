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
// asked for what, so that it opens for nobody and nothing else.
func (d *Door) seal(cursor string, bound ...string) string {
	if cursor == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(append(d.mac(cursor, bound), cursor...))
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
	cursor := string(raw[macLen:])
	if !hmac.Equal(raw[:macLen], d.mac(cursor, bound)) {
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
