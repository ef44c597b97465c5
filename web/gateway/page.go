package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
)

// forget drops what was said of content that is not sent after all: no cache may
// keep an error, least of all under the validator of what it stands for.
func forget(h http.Header) {
	for _, k := range []string{"Etag", "Content-Length", "Content-Disposition", "Last-Modified", "Ipfs-Uri", "X-Ipfs-Roots"} {
		h.Del(k)
	}
	h.Set("Cache-Control", "no-store")
}

// trouble is a failure as it is written in JSON.
type trouble struct {
	Status  int       `json:"status"`
	Title   string    `json:"title"`
	Detail  string    `json:"detail"`
	Missing string    `json:"missing,omitempty"` // the block that could not be had
	Asked   *int      `json:"asked,omitempty"`   // peers that were asked for it
	Peers   []peer.ID `json:"peers,omitempty"`   // the first of those
}

// More says whether others were asked besides those who are named.
func (t trouble) More() bool { return t.Asked != nil && *t.Asked > len(t.Peers) }

// say answers r with f: as a page, as JSON or as text, whichever it accepts.
func say(w http.ResponseWriter, r *http.Request, f *failure) {
	h := w.Header()
	forget(h)
	t := trouble{Status: f.status, Title: http.StatusText(f.status), Detail: f.why}
	if f.missing.Defined() {
		t.Missing = f.missing.String()
		if f.asked >= 0 {
			t.Asked = &f.asked
		}
		t.Peers = f.peers
	}
	accept := r.Header.Get("Accept")
	switch {
	case strings.Contains(accept, "text/html"):
		h.Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(f.status)
		_ = page.Execute(w, t) // a client that left is no concern
	case strings.Contains(accept, "json"):
		h.Set("Content-Type", "application/problem+json")
		w.WriteHeader(f.status)
		_ = json.NewEncoder(w).Encode(t)
	default:
		text := t.Detail
		if t.Missing != "" {
			text += "\nmissing block: " + t.Missing
		}
		if t.Asked != nil {
			text += fmt.Sprintf("\npeers that were asked: %d", *t.Asked)
		}
		for _, p := range t.Peers {
			text += fmt.Sprintf("\nasked: %s", p)
		}
		http.Error(w, text, f.status)
	}
}
