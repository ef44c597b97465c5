package gateway

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
)

// allowed is the set of names a Host may have: the defence against a page whose
// name was made to resolve to this machine. web/api has the same few lines, as
// neither may import the other; a test of package web holds them together.
func allowed(more []string) map[string]bool {
	set := map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true}
	for _, h := range more {
		if name := hostname(h); name != "" {
			set[name] = true
		}
	}
	return set
}

// hostname is a Host without its port, in lower case.
func hostname(host string) string { return strings.ToLower((&url.URL{Host: host}).Hostname()) }

// ownOrigin reports whether host is that of one CID: CID.ipfs.localhost, which
// names no other machine. The CID is one label, so in a base without capitals.
func ownOrigin(host string) bool {
	_, ok := hostRoot(host)
	return ok
}

func hostRoot(host string) (cid.Cid, bool) {
	label, ok := strings.CutSuffix(hostname(host), ".ipfs.localhost")
	if !ok {
		return cid.Undef, false
	}
	root, err := cid.Decode(label)
	return root, err == nil
}

// below notes in ctx the root that r asks for something under.
func below(ctx context.Context, r *http.Request) context.Context {
	root, ok := hostRoot(r.Host)
	if rest, inPath := strings.CutPrefix(r.URL.Path, "/ipfs/"); !ok && inPath {
		name, _, _ := strings.Cut(rest, "/")
		if c, err := cid.Decode(name); err == nil {
			root, ok = c, true
		}
	}
	if !ok {
		return ctx
	}
	return blocks.WithRoot(ctx, root)
}
