package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cairn-network/cairn/blocks"
)

// params are the query of a request, read strictly: an unknown name, a name
// given twice and a malformed value are errors. The first error is kept.
type params struct {
	q   url.Values
	err error
}

func query(r *http.Request, names ...string) *params {
	q, err := url.ParseQuery(r.URL.RawQuery)
	p := &params{q: q}
	if err != nil {
		p.err = usage("malformed query: "+err.Error(), "")
		return p
	}
	for name, values := range q {
		switch {
		case !slices.Contains(names, name):
			p.bad(name, "no such parameter; there are "+strings.Join(names, ", "))
		case len(values) > 1:
			p.bad(name, "given more than once")
		}
	}
	return p
}

func (p *params) bad(name, reason string) {
	if p.err == nil {
		p.err = usage(fmt.Sprintf("parameter %q: %s", name, reason), "")
	}
}

// path is a parameter that must be there.
func (p *params) path() string {
	v := p.q.Get("path")
	if v == "" {
		p.bad("path", "missing: want a CID or a path below one")
	}
	return v
}

func (p *params) flag(name string, unset bool) bool {
	switch v := p.q.Get(name); {
	case !p.q.Has(name):
		return unset
	case v == "" || v == "true" || v == "1": // ?detail is ?detail=true
		return true
	case v == "false" || v == "0":
		return false
	default:
		p.bad(name, "want true or false")
		return unset
	}
}

func (p *params) number(name string, least, most int) int {
	v := p.q.Get(name)
	if v == "" {
		return 0
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > most {
		p.bad(name, fmt.Sprintf("want a number from %d to %d", least, most))
	}
	return n
}

// bytes is a size; 0 when it is not given.
func (p *params) bytes(name string) int64 {
	v := p.q.Get(name)
	if v == "" {
		return 0
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 1 {
		p.bad(name, "want a number of bytes, at least 1")
	}
	return n
}

func (p *params) duration(name string, least, most time.Duration) time.Duration {
	v := p.q.Get(name)
	if v == "" {
		return 0
	}
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 || d < least || d > most {
		want := fmt.Sprintf("want a duration as 720h, at most %s", most)
		if least > 0 {
			want += fmt.Sprintf(" and at least %s", least)
		}
		p.bad(name, want)
	}
	return d
}

// label is a name that may be shown to people.
func (p *params) label(name string) string {
	const most = 255 // bytes, as file systems have it
	v := p.q.Get(name)
	if len(v) > most || !utf8.ValidString(v) || strings.ContainsFunc(v, unicode.IsControl) {
		p.bad(name, fmt.Sprintf("want at most %d bytes of UTF-8 without control characters", most))
	}
	return v
}

// putNames are the parameters of everything that is put.
var putNames = []string{"name", "wait", "replicas", "fanout", "expires", "announce", "place", "job"}

// options are what everything that is put may be asked for.
func (p *params) options() blocks.PutOptions {
	o := blocks.PutOptions{
		Name:     p.label("name"),
		Replicas: p.number("replicas", 1, blocks.MaxReplicas),
		Fanout:   p.number("fanout", 1, blocks.MaxReplicas),
		Expires:  p.duration("expires", blocks.MinLeaseTime, blocks.MaxLeaseTime),
		Announce: p.flag("announce", false),
		NoPlace:  !p.flag("place", true),
	}
	if v := p.q.Get("wait"); v != "" {
		var err error
		if o.Wait, err = blocks.ParseWait(v); err != nil {
			p.bad("wait", "want local, quorum or full")
		}
	}
	return o
}

func putOptions(r *http.Request) (blocks.PutOptions, error) {
	p := query(r, slices.Concat(putNames, []string{"profile", "chunk", "leaves", "cid_version"})...)
	o := p.options()
	o.Profile = p.oneOf("profile", "unixfs-v1-2025", "unixfs-v0-2015")
	o.Chunk = int64(p.number("chunk", 1, blocks.MaxSize))
	o.Leaves = blocks.Kinds(p.oneOf("leaves", string(blocks.LeavesRaw), string(blocks.LeavesDagPB)))
	o.CIDs = blocks.Kinds(p.oneOf("cid_version", string(blocks.CIDv0), string(blocks.CIDv1)))
	return o, p.err
}

// importOptions adds names to the parameters of an import.
func importOptions(r *http.Request, names ...string) (*params, blocks.ImportOptions) {
	p := query(r, slices.Concat(putNames, []string{"pin"}, names)...)
	return p, blocks.ImportOptions{PutOptions: p.options(), NoPin: !p.flag("pin", true)}
}

// oneOf is one of a few words, or "".
func (p *params) oneOf(name string, words ...string) string {
	v := p.q.Get(name)
	if v != "" && !slices.Contains(words, v) {
		p.bad(name, "want "+strings.Join(words, " or "))
	}
	return v
}
