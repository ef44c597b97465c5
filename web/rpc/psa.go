package rpc

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
)

// PSAPrefix is where [Server.PSA] is mounted: the address of the service is
// the URL of the API with /psa.
const PSAPrefix = "/psa/"

// The limits of the Pinning Service API.
const (
	maxRequest = 64 << 10 // bytes of a request
	maxOrigins = 20
	maxName    = 255 // characters
	maxLimit   = 1000
)

// The states of a request.
const (
	queued  = "queued"
	pinning = "pinning"
	pinned  = "pinned"
	failed  = "failed"
)

// PinRequest is what is asked to be pinned.
type PinRequest struct {
	CID     string            `json:"cid"`
	Name    string            `json:"name,omitempty"`
	Origins []string          `json:"origins,omitempty"` // addresses of peers that have it
	Meta    map[string]string `json:"meta,omitempty"`
}

// PinStatus is how far a request is. A root has one request at a time: its id is the CID.
type PinStatus struct {
	ID        string            `json:"requestid"`
	Status    string            `json:"status"`
	Created   time.Time         `json:"created"`
	Pin       PinRequest        `json:"pin"`
	Delegates []string          `json:"delegates"` // addresses of this peer
	Info      map[string]string `json:"info,omitempty"`
}

// PSA is the handler of everything under [PSAPrefix].
func (s *Server) PSA() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, do func(c *call) (status int, v any, err error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			c, end, err := s.begin(w, r)
			defer end()
			status, v := 0, any(nil)
			if err == nil {
				status, v, err = do(c)
			}
			if err != nil {
				FailPSA(w, statusOf(err), err.Error())
				return
			}
			if v == nil {
				w.WriteHeader(status)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(v) // a client that has left takes no answer
		})
	}
	handle("GET /psa/pins", s.psaList)
	handle("POST /psa/pins", s.psaAdd)
	handle("GET /psa/pins/{id}", s.psaGet)
	handle("POST /psa/pins/{id}", s.psaReplace)
	handle("DELETE /psa/pins/{id}", s.psaRemove)
	mux.HandleFunc("/psa/", func(w http.ResponseWriter, r *http.Request) {
		FailPSA(w, http.StatusNotFound, "there is nothing at "+r.URL.Path+" for "+r.Method)
	})
	return mux
}

// FailPSA answers with text as the Pinning Service API does.
func FailPSA(w http.ResponseWriter, status int, text string) {
	var out struct {
		Error struct {
			Reason  string `json:"reason"`
			Details string `json:"details"`
		} `json:"error"`
	}
	out.Error.Details = text
	out.Error.Reason = strings.ReplaceAll(strings.ToUpper(http.StatusText(status)), " ", "_")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out) // a client that has left takes no answer
}

// asked reads and checks the request in the body of c.
func (c *call) asked() (p PinRequest, root cid.Cid, err error) {
	data, err := io.ReadAll(io.LimitReader(c.body(), maxRequest+1))
	if err != nil {
		return p, root, err
	}
	if len(data) > maxRequest {
		return p, root, refuse("a request of more than %d bytes", maxRequest)
	}
	if err := json.Unmarshal(data, &p); err != nil {
		return p, root, refuse("the request cannot be read: %s", err)
	}
	if root, err = cid.Decode(p.CID); err != nil {
		return p, root, refuse("cid %q: %s", p.CID, err)
	}
	if n := utf8.RuneCountInString(p.Name); n > maxName || len(p.Origins) > maxOrigins {
		return p, root, refuse("a name of %d characters and %d origins: at most %d and %d", n, len(p.Origins), maxName, maxOrigins)
	}
	return p, root, nil
}

func (s *Server) psaAdd(c *call) (int, any, error) {
	p, root, err := c.asked()
	if err != nil {
		return 0, nil, err
	}
	st, err := s.want(c, root, p)
	return http.StatusAccepted, st, err
}

// want begins a job for root. If it is pinned already it only gets its name.
func (s *Server) want(c *call, root cid.Cid, p PinRequest) (PinStatus, error) {
	if err := s.jobs.add(root, p); err != nil {
		return PinStatus{}, err
	}
	return s.find(c, root)
}

// every gives all requests: jobs, and pins without one.
func (s *Server) every(c *call) ([]PinStatus, error) {
	var out []PinStatus
	here := map[string]bool{}
	delegates := s.n.ID().Addresses
	if delegates == nil {
		delegates = []string{}
	}
	at, pins := time.Now(), map[cid.Cid]blocks.Pin{}
	for p, err := range s.n.Pins(c) {
		if err != nil {
			return nil, err
		}
		pins[p.Root] = p
	}
	for _, st := range s.jobs.list(pins, at) {
		here[st.ID] = true
		st.Delegates = delegates
		out = append(out, st)
	}
	for _, p := range pins {
		if id := p.Root.String(); !here[id] {
			out = append(out, PinStatus{
				ID: id, Status: pinned, Created: p.Time.UTC(), Delegates: delegates,
				Pin: PinRequest{CID: id, Name: p.Name},
			})
		}
	}
	slices.SortFunc(out, func(a, b PinStatus) int { // the youngest first
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
	})
	return out, nil
}

func (s *Server) find(c *call, root cid.Cid) (PinStatus, error) {
	all, err := s.every(c)
	if err != nil {
		return PinStatus{}, err
	}
	for _, st := range all {
		if st.ID == root.String() {
			return st, nil
		}
	}
	return PinStatus{}, &refusal{http.StatusNotFound, "there is no request " + root.String()}
}

// id reads the id of a request, which is a CID.
func (c *call) id() (cid.Cid, error) {
	root, err := cid.Decode(c.r.PathValue("id"))
	if err != nil {
		return root, &refusal{http.StatusNotFound, fmt.Sprintf("there is no request %q", c.r.PathValue("id"))}
	}
	return root, nil
}

func (s *Server) psaGet(c *call) (int, any, error) {
	root, err := c.id()
	if err != nil {
		return 0, nil, err
	}
	st, err := s.find(c, root)
	return http.StatusOK, st, err
}

func (s *Server) psaRemove(c *call) (int, any, error) {
	root, err := c.id()
	if err == nil {
		err = s.drop(c, root)
	}
	return http.StatusAccepted, nil, err
}

// drop ends the job of root and forgets its pin.
func (s *Server) drop(c *call, root cid.Cid) error {
	job := s.jobs.drop(c, root)
	_, ok, err := s.n.Unpin(c, root.String())
	if err == nil && !ok && !job {
		err = &refusal{http.StatusNotFound, "there is no request " + root.String()}
	}
	return err
}

func (s *Server) psaReplace(c *call) (int, any, error) {
	old, err := c.id()
	if err != nil {
		return 0, nil, err
	}
	p, root, err := c.asked()
	if err != nil {
		return 0, nil, err
	}
	if _, err := s.find(c, old); err != nil {
		return 0, nil, err
	}
	st, err := s.want(c, root, p)
	if err == nil && !old.Equals(root) { // its blocks stay until space is needed
		err = s.drop(c, old)
	}
	return http.StatusAccepted, st, err
}

func (s *Server) psaList(c *call) (int, any, error) {
	keep, limit, err := filter(c.opts)
	if err != nil {
		return 0, nil, err
	}
	all, err := s.every(c)
	if err != nil {
		return 0, nil, err
	}
	all = slices.DeleteFunc(all, func(st PinStatus) bool { return !keep(st) })
	out := struct {
		Count   int         `json:"count"`
		Results []PinStatus `json:"results"`
	}{len(all), all[:min(limit, len(all))]}
	if out.Results == nil {
		out.Results = []PinStatus{}
	}
	return http.StatusOK, out, nil
}

// filter reads which requests are wanted, and how many.
func filter(q url.Values) (keep func(PinStatus) bool, limit int, err error) {
	limit = 10
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxLimit {
			return nil, 0, refuse("limit %q: want 1 to %d", text, maxLimit)
		}
	}
	var before, after time.Time
	for name, to := range map[string]*time.Time{"before": &before, "after": &after} {
		if text := q.Get(name); text != "" {
			if *to, err = time.Parse(time.RFC3339Nano, text); err != nil {
				return nil, 0, refuse("%s %q: want a time as 2006-01-02T15:04:05Z", name, text)
			}
		}
	}
	states := strings.Split(q.Get("status"), ",")
	if q.Get("status") == "" {
		states = []string{pinned}
	}
	for _, state := range states {
		if !slices.Contains([]string{queued, pinning, pinned, failed}, state) {
			return nil, 0, refuse("status %q: want queued, pinning, pinned or failed", state)
		}
	}
	var roots []cid.Cid
	if text := q.Get("cid"); text != "" {
		for one := range strings.SplitSeq(text, ",") {
			c, err := cid.Decode(one)
			if err != nil || len(roots) == 10 {
				return nil, 0, refuse("cid %q: want one to ten CIDs", text)
			}
			roots = append(roots, c)
		}
	}
	meta := map[string]string{}
	if text := q.Get("meta"); text != "" {
		if err := json.Unmarshal([]byte(text), &meta); err != nil {
			return nil, 0, refuse("meta %q: want an object of strings", text)
		}
	}
	name := q.Get("name")
	if n := utf8.RuneCountInString(name); n > maxName {
		return nil, 0, refuse("a name of %d characters: at most %d", n, maxName)
	}
	match, err := matcher(q.Get("match"), name)
	if err != nil {
		return nil, 0, err
	}
	return func(st PinStatus) bool {
		switch {
		case !slices.Contains(states, st.Status),
			!before.IsZero() && !st.Created.Before(before),
			!after.IsZero() && !st.Created.After(after),
			name != "" && !match(st.Pin.Name),
			roots != nil && !slices.ContainsFunc(roots, func(c cid.Cid) bool { return c.String() == st.ID }):
			return false
		}
		for k, v := range meta {
			if st.Pin.Meta[k] != v {
				return false
			}
		}
		return true
	}, limit, nil
}

func matcher(how, name string) (func(string) bool, error) {
	switch how {
	case "", "exact":
		return func(s string) bool { return s == name }, nil
	case "iexact":
		return func(s string) bool { return strings.EqualFold(s, name) }, nil
	case "partial":
		return func(s string) bool { return strings.Contains(s, name) }, nil
	case "ipartial":
		return func(s string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(name)) }, nil
	}
	return nil, refuse("match %q: want exact, iexact, partial or ipartial", how)
}

// errMany says that too many requests wait.
var errMany = errors.New("rpc: too many requests wait; try again when some are done")

func infoOf(p blocks.Progress) map[string]string {
	return map[string]string{"status_details": fmt.Sprintf("%d of %d blocks known of are here", p.Safe, p.Blocks)}
}
