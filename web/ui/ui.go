// Package ui is the page of a peer: files that a browser gets, and nothing else.
//
//	GET / → index.html → /ui/*.js, /ui/style.css → the API of the same origin
//
// It promises: what it serves is in this program and makes a browser ask no
// other origin, but for previews, which come from the gateway. Its policy allows
// no inline script, no eval, no frame around it. It holds no secret; the API
// decides who may do what.
//
// static/lib has preact, its hooks, htm and signals as their authors publish
// them; static/lib/ORIGIN says what was changed. There is no build: what is
// read here is what runs.
package ui

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

//go:embed static
var static embed.FS

// kinds are the files that are served; a licence or a sum is not.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// file is one that is served.
type file struct {
	data       []byte
	kind, etag string
}

// New makes the handler of / and /ui/. gateway is the URL that previews come
// from; "" when there are none.
func New(gateway string) http.Handler {
	files := load()
	policy := policy(gateway)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/ui/")
		if r.URL.Path == "/" {
			name = "index.html"
		}
		f, ok := files[name]
		switch {
		case !ok:
			http.Error(w, "nothing here: the page is at /", http.StatusNotFound)
			return
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, r.Method+" is not allowed here: use GET", http.StatusMethodNotAllowed)
			return
		}
		h := w.Header()
		h.Set("Content-Type", f.kind)
		h.Set("Content-Security-Policy", policy)
		h.Set("Cache-Control", "no-cache") // kept, and asked after by its ETag
		h.Set("Etag", f.etag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.data))
	})
}

// policy lets the page do what it does and no more.
func policy(gateway string) string {
	return "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'" +
		"; img-src 'self' " + gateway + "; media-src " + source(gateway) + "; frame-src " + frames(gateway) +
		"; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
}

// frames adds the origins that each CID has of its own where the gateway is on
// loopback: what a browser shows in no sandbox, as a PDF, is shown from there.
func frames(gateway string) string {
	u, err := url.Parse(gateway)
	if err != nil || u.Hostname() != "127.0.0.1" {
		return source(gateway)
	}
	return gateway + " http://localhost:" + u.Port() + " http://*.ipfs.localhost:" + u.Port()
}

func source(gateway string) string {
	if gateway == "" {
		return "'none'"
	}
	return gateway
}

// load reads what is embedded; it cannot fail, as the files are in this program.
func load() map[string]file {
	files := map[string]file{}
	err := fs.WalkDir(static, "static", func(name string, e fs.DirEntry, err error) error {
		kind, ok := kinds[path.Ext(name)]
		if err != nil || e.IsDir() || !ok {
			return err
		}
		data, err := static.ReadFile(name)
		sum := sha256.Sum256(data)
		files[strings.TrimPrefix(name, "static/")] = file{data, kind, `"` + hex.EncodeToString(sum[:8]) + `"`}
		return err
	})
	if err != nil {
		panic(err)
	}
	return files
}
