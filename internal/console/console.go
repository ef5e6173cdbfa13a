package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// Path is where the console is.
const Path = "/console/"

//go:embed web
var web embed.FS

// sendFor bounds how long one file may take to be sent.
const sendFor = 30 * time.Second

// file is one file of the page.
type file struct {
	content   []byte
	kind, tag string
}

// site serves the page, and everything else through next.
type site struct {
	files map[string]file
	next  http.Handler
}

// New returns a handler that serves the console below [Path], leads there from
// /, and hands every other request to next. The error is about the build: a file
// of a kind that it does not know.
func New(next http.Handler) (http.Handler, error) {
	s := &site{files: map[string]file{}, next: next}
	err := fs.WalkDir(web, "web", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := web.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		kind, ok := kinds()[path.Ext(name)]
		if !ok {
			return fmt.Errorf("%s is of no kind that the console serves", name)
		}
		sum := sha256.Sum256(content)
		s.files[strings.TrimPrefix(name, "web/")] = file{content, kind, `"` + hex.EncodeToString(sum[:8]) + `"`}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	s.files[""] = s.files["index.html"]
	delete(s.files, "index.html")
	return s, nil
}

// kinds are the media types of its files.
func kinds() map[string]string {
	return map[string]string{
		".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
		".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	}
}

// policy is the Content-Security-Policy, for a page of which nothing is inline
// and nothing foreign. No DOM sink takes text as HTML or script.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

func headers(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	// It is asked each time whether the file is still the one: after an upgrade
	// nobody is on call with half of the page before.
	h.Set("Cache-Control", "no-cache")
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, ours := strings.CutPrefix(r.URL.Path, Path)
	entrance := r.URL.Path == "/" || r.URL.Path == strings.TrimSuffix(Path, "/")
	if !ours && !entrance {
		s.next.ServeHTTP(w, r)
		return
	}
	headers(w.Header())
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(sendFor))
	f, there := s.files[name]
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "The console is read with GET; what it does goes to the API below /v1.", http.StatusMethodNotAllowed)
	case entrance:
		http.Redirect(w, r, Path, http.StatusFound)
	case !there:
		http.Error(w, "The console has no such file. It is at "+Path+".", http.StatusNotFound)
	default:
		w.Header().Set("Content-Type", f.kind)
		w.Header().Set("ETag", f.tag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
	}
}
