package gateway

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	boxo "github.com/ipfs/boxo/gateway"
)

// The limits of a path: more has no use, and each segment costs a lookup.
const (
	maxPath     = 4 << 10 // bytes
	maxSegments = 256
)

// guard stands before boxo's handler.
type guard struct {
	content http.Handler
	plain   http.Handler // content without a look at Host
	routing http.Handler // nil: there is none
	hosts   hosts
	cfg     Config
}

// headers go with every answer. at is where it is given.
func headers(h http.Header, at kind) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	if at == own || at == site {
		h.Set("Origin-Agent-Cluster", "?1") // and no page may make two origins one
	} else {
		h.Set("Content-Security-Policy", "sandbox") // CIDs share one origin: a page gets none, and runs no script
	}
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Access-Control-Allow-Origin", "*") // content is public; there are no credentials here
	h["Access-Control-Allow-Methods"] = []string{http.MethodGet, http.MethodHead, http.MethodOptions}
	h["Access-Control-Allow-Headers"] = []string{"Content-Type", "Range", "User-Agent", "X-Requested-With"}
	h["Access-Control-Expose-Headers"] = []string{
		"Content-Length", "Content-Range", "Etag", "Ipfs-Uri", "X-Chunked-Output", "X-Ipfs-Path", "X-Ipfs-Roots", "X-Stream-Output", copiesHeader,
	}
}

// copiesHeader says how many live copies a root was last seen to have.
const copiesHeader = "X-Cairn-Replicas"

func (g guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	defer func() { _ = rc.SetWriteDeadline(time.Now().Add(writeTime)) }() // of what is sent of the answer when its handler has ended
	r = g.asked(r)
	at := g.hosts.of(r.Host)
	headers(w.Header(), at)
	switch {
	case at == foreign:
		http.Error(w, "this Host is not served here: use CID.ipfs.localhost, localhost or 127.0.0.1, or allow the name in [gateway] hosts", http.StatusForbidden)
	case r.Method == http.MethodConnect:
		// A client that takes this for a proxy: what follows on the connection are
		// requests to r.Host, which leads nowhere else than here.
		w.WriteHeader(http.StatusOK)
	case r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodOptions:
		w.Header().Set("Allow", "GET, HEAD, OPTIONS")
		http.Error(w, r.Method+" is not allowed: content is only read here", http.StatusMethodNotAllowed)
	case at == shared && r.Header.Get("Service-Worker") != "":
		http.Error(w, "a service worker would rule over the content of others: not served from a path", http.StatusBadRequest)
	case at == shared && g.routing != nil && strings.HasPrefix(r.URL.Path, "/routing/v1/"):
		_ = rc.SetWriteDeadline(time.Now().Add(g.cfg.Retrieval + writeTime))
		g.routing.ServeHTTP(w, r)
	case at == shared && !strings.HasPrefix(r.URL.Path, "/ipfs/") && !(g.cfg.Names != nil && strings.HasPrefix(r.URL.Path, "/ipns/")):
		http.Error(w, "nothing here: content is under /ipfs/CID", http.StatusNotFound)
	case strings.HasPrefix(r.Header.Get("Range"), "bytes=-0") && strings.Trim(r.Header.Get("Range")[len("bytes=-"):], "0") == "":
		http.Error(w, "a range of the last 0 bytes", http.StatusRequestedRangeNotSatisfiable)
	default:
		if status, err := lawful(r.URL.Path); err != nil {
			http.Error(w, err.Error(), status)
			return
		}
		if at := g.hosts.content(at, r.Host, r.URL.Path); g.cfg.DeniedPath(at) {
			say(w, r, blocked(at))
			return
		}
		root, ok := g.hosts.root(r.Host, r.URL.Path)
		if ok && g.cfg.Denied(root) { // boxo answers some requests before it reads a block
			say(w, r, blocked(root.String()))
			return
		}
		if n, known := g.cfg.Copies(root); ok && known {
			w.Header().Set(copiesHeader, strconv.Itoa(n))
		}
		name := ""
		if !g.hosts.parent(r.Host) { // a parent leads on to the CID's own origin, with the whole query
			name = takeName(r)
		}
		content := g.content
		if at == site {
			content, r = g.plain, linked(r)
		}
		serve(content, w, r, root, name, g.cfg)
	}
}

// linked is r for what the DNSLink of its Host leads to, and for nothing else: boxo's
// own look at Host would take one whose DNSLink cannot be had for a host of all content.
func linked(r *http.Request) *http.Request {
	host := hostname(r.Host)
	ctx := context.WithValue(r.Context(), boxo.OriginalPathKey, r.URL.Path)
	ctx = context.WithValue(ctx, boxo.DNSLinkHostnameKey, host)
	r = r.WithContext(context.WithValue(ctx, boxo.GatewayHostnameKey, host))
	u := *r.URL
	u.Path = "/ipns/" + host + u.Path
	r.URL = &u
	return r
}

// lawful says why path names nothing that is served.
func lawful(path string) (status int, err error) {
	switch {
	case len(path) > maxPath:
		return http.StatusRequestURITooLong, fmt.Errorf("the path has %d bytes, the limit is %d", len(path), maxPath)
	case strings.Count(path, "/") > maxSegments:
		return http.StatusRequestURITooLong, fmt.Errorf("the path has more than %d parts", maxSegments)
	case strings.ContainsRune(path, 0) || !utf8.ValidString(path):
		return http.StatusBadRequest, fmt.Errorf("the path is not UTF-8 text")
	}
	for name := range strings.SplitSeq(path, "/") {
		if name == "." || name == ".." {
			return http.StatusBadRequest, fmt.Errorf("%q in a path: it would lead out of what was asked for", name)
		}
	}
	return 0, nil
}

// takeName takes ?filename= out of r: it is what a file is to be saved as, and boxo
// would guess from it what the file holds.
func takeName(r *http.Request) string {
	q := r.URL.Query()
	name := q.Get("filename")
	if !q.Has("filename") {
		return ""
	}
	q.Del("filename")
	r.URL.RawQuery = q.Encode()
	return name
}

// asked is r as boxo may see it: with what a proxy says of another host only if
// it is trusted, Host in lower case, as browsers send it, a path, and only-if-cached
// in the one spelling that boxo knows.
func (g guard) asked(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	trusted := g.trusted(r.RemoteAddr)
	if host := r.Header.Get("X-Forwarded-Host"); trusted && host != "" {
		r.Host = host
	}
	if proto := r.Header.Get("X-Forwarded-Proto"); !trusted || proto != "http" && proto != "https" {
		r.Header.Del("X-Forwarded-Proto")
	}
	for _, k := range []string{"X-Forwarded-Host", "X-Forwarded-For", "Forwarded"} {
		r.Header.Del(k)
	}
	r.Host = strings.ToLower(r.Host)
	if r.URL.Path == "" { // as a client writes it that takes this for a proxy: boxo looks for its last byte
		r.URL.Path = "/"
		r.RequestURI = r.URL.RequestURI()
	}
	if localOnly(r) {
		r.Header.Set("Cache-Control", "only-if-cached")
	}
	return r
}

func (g guard) trusted(remote string) bool {
	addr, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	for _, p := range g.cfg.Proxies {
		if p.Contains(addr.Addr().Unmap()) {
			return true
		}
	}
	return false
}

// asIs reports whether the bytes of one block are asked for, and none of what they mean:
// no path through it, no page that shows it, and nothing that is made of what it links to.
// What else is asked for is decoded to see what it is. It reads r as boxo does: ?format=
// counts before Accept, of which the first type that boxo knows.
func asIs(r *http.Request) bool {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) != 2 || parts[0] != "ipfs" {
		return false
	}
	switch r.URL.Query().Get("format") {
	case "raw", "dag-cbor", "dag-json":
		return true
	case "car", "tar", "json", "cbor", "ipns-record":
		return false
	}
	for _, line := range r.Header.Values("Accept") {
		for one := range strings.SplitSeq(line, ",") {
			one = strings.TrimSpace(one)
			if !slices.ContainsFunc(forms, func(f string) bool { return strings.HasPrefix(one, f) }) {
				continue
			}
			kind, _, err := mime.ParseMediaType(one)
			rest, ok := strings.CutPrefix(kind, "application/vnd.ipld.")
			return err == nil && ok && (rest == "raw" || rest == "dag-cbor" || rest == "dag-json")
		}
	}
	return false
}

// forms are how the types begin that boxo looks for in Accept.
var forms = []string{"application/vnd.ipld", "application/vnd.ipfs", "application/x-tar", "application/json", "application/cbor"}

// localOnly reports whether r asks for what is here and nothing else.
func localOnly(r *http.Request) bool {
	for _, line := range r.Header.Values("Cache-Control") {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), "only-if-cached") {
				return true
			}
		}
	}
	return false
}
