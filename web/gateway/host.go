package gateway

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
)

// kind is what is served under a Host.
type kind int

const (
	foreign kind = iota // nothing
	shared              // /ipfs/CID: all content shares the origin
	own                 // one CID or one name, which has the origin for itself
	site                // what the Host's DNSLink leads to, which has the origin for itself
)

// hosts are the names that may stand in Host: the defence against a page whose
// name was made to resolve to this machine.
type hosts struct {
	shared   map[string]bool
	parents  []string // names at which CID.ipfs.NAME is an origin
	sites    []string // names that lead by DNSLink to what is served: NAME or *.NAME
	hasNames bool     // whether there is anything under /ipns
}

func newHosts(cfg Config) hosts {
	h := hosts{
		shared: allowed(cfg.Hosts), parents: []string{"localhost"}, hasNames: cfg.Names != nil,
	}
	for _, name := range cfg.Subdomains {
		if name = hostname(name); name != "" {
			h.parents = append(h.parents, name)
			h.shared[name] = true
		}
	}
	for _, name := range cfg.Sites {
		if cfg.Names != nil {
			h.sites = append(h.sites, hostname(name))
		}
	}
	return h
}

// allowed is the set of names that lead to this machine and are no content's own.
// web/api has the same few lines, as neither may import the other; a test of
// package web holds them together.
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

// of says what is served under host.
func (h hosts) of(host string) kind {
	name := hostname(host)
	if h.shared[name] {
		return shared
	}
	if label, ns, ok := h.split(name); ok {
		if _, err := cid.Decode(label); ns == "ipfs" && err == nil || ns == "ipns" && h.hasNames && isName(label) {
			return own
		}
		return foreign
	}
	for _, s := range h.sites {
		suffix, wild := strings.CutPrefix(s, "*")
		if name == s || wild && strings.HasSuffix(name, suffix) && isName(strings.TrimSuffix(name, suffix)) {
			return site
		}
	}
	return foreign
}

// parent reports whether host is one at which content has its own origin below.
func (h hosts) parent(host string) bool { return slices.Contains(h.parents, hostname(host)) }

// split takes LABEL.ipfs.PARENT apart.
func (h hosts) split(name string) (label, ns string, ok bool) {
	for _, parent := range h.parents {
		for _, ns := range []string{"ipfs", "ipns"} {
			if label, ok := strings.CutSuffix(name, "."+ns+"."+parent); ok {
				return label, ns, true
			}
		}
	}
	return "", "", false
}

// isName reports whether s could be a domain name or a key in a base without capitals.
func isName(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return len(s) <= 253
}

// root is the CID that path is asked for under at host, if one stands there.
func (h hosts) root(host, path string) (cid.Cid, bool) {
	if label, ns, ok := h.split(hostname(host)); ok {
		if ns != "ipfs" {
			return cid.Undef, false
		}
		c, err := cid.Decode(label)
		return c, err == nil
	}
	rest, ok := strings.CutPrefix(path, "/ipfs/")
	if !ok {
		return cid.Undef, false
	}
	name, _, _ := strings.Cut(rest, "/")
	c, err := cid.Decode(name)
	return c, err == nil
}

// content is the path under /ipfs or /ipns that path is at host.
func (h hosts) content(at kind, host, path string) string {
	switch name := hostname(host); at {
	case own:
		label, ns, _ := h.split(name)
		if ns == "ipns" && !strings.Contains(label, ".") {
			if _, err := cid.Decode(label); err != nil { // a domain in one label
				const dash = "\x00"
				label = strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(label, "--", dash), "-", "."), dash, "-")
			}
		}
		return "/" + ns + "/" + label + path
	case site:
		return "/ipns/" + name + path
	default:
		return path
	}
}

// below notes in ctx the root that something is asked for under.
func below(ctx context.Context, root cid.Cid) context.Context {
	if !root.Defined() {
		return ctx
	}
	return blocks.WithRoot(ctx, root)
}
