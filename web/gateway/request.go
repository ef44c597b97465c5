package gateway

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/cairn-network/cairn/blocks"
	boxo "github.com/ipfs/boxo/gateway"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
)

// request is what is known of one request below the handler that serves it: how
// much it may still read, and why it could not be answered.
type request struct {
	raw    bool                    // the bytes of one block are given as they are
	local  bool                    // nothing is looked for in the network
	method string                  // GET, HEAD, OPTIONS
	slash  bool                    // the path ends as that of a directory
	path   string                  // what was asked for, as the URL has it
	who    func(cid.Cid) []peer.ID // are asked now
	after  string                  // the last entry of the page of a directory before; "": this is the first

	mu      sync.Mutex
	left    int           // guarded by mu: blocks that may still be read
	seeking cid.Cid       // guarded by mu: what the network was last asked for
	note    func(cid.Cid) // guarded by mu: told of each block that was read; nil: nobody is
	first   string        // guarded by mu: the path under /ipfs that was resolved before any other
	more    string        // guarded by mu: the last entry of this page of a directory, if there is another page
	failed  *failure      // guarded by mu: the first reason not to answer
}

// failure is why a request is not answered, for its reader.
type failure struct {
	status  int
	why     string
	missing cid.Cid   // the block that could not be had, or Undef
	asked   int       // peers that were asked for it; less than 0 is unknown
	peers   []peer.ID // the first of those
}

func (f *failure) Error() string { return f.why }

// asError is f as boxo understands it: not as a name that leads nowhere, for which
// it would go on to look for redirects.
func (f *failure) asError() error { return boxo.NewErrorStatusCode(f, f.status) }

var errTooMuch = errors.New("gateway: this needs more blocks than one request may read")

type requestKey struct{}

func withRequest(ctx context.Context, r *request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// requestOf gives the request that ctx belongs to; one that may do anything, and
// that nobody asks, if there is none.
func requestOf(ctx context.Context) *request {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r
	}
	return &request{left: 1 << 30}
}

// take counts a block, or says that there were enough.
func (r *request) take() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left <= 0 {
		return r.failLocked(&failure{status: http.StatusUnprocessableEntity, why: errTooMuch.Error(), asked: -1})
	}
	r.left--
	return nil
}

// read tells whoever listens that c was read.
func (r *request) read(c cid.Cid) {
	r.mu.Lock()
	note := r.note
	r.mu.Unlock()
	if note != nil {
		note(c)
	}
}

// listen has note told of each block that is read, until the function it gives is called.
func (r *request) listen(note func(cid.Cid)) (stop func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note = note
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.note = nil
	}
}

// fail keeps the first reason and gives it.
func (r *request) fail(f *failure) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failLocked(f)
}

func (r *request) failLocked(f *failure) error {
	if r.failed == nil {
		r.failed = f
	}
	return f
}

// failure is the first reason, or nil.
func (r *request) failure() *failure {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// over is why nothing more is read, or nil: what was read is not to be gone on with.
func (r *request) over() error {
	if f := r.failure(); f != nil && f.status == http.StatusUnprocessableEntity {
		return f
	}
	return nil
}

// goesOn notes that there are more entries than the page that ends with last has.
func (r *request) goesOn(last string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.more = last
}

// next is the last entry of a page that is followed by another, or "".
func (r *request) next() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.more
}

// resolve notes that path is resolved, and gives the one that was resolved first.
func (r *request) resolve(path string) (first string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.first == "" {
		r.first = path
	}
	return r.first
}

// seek notes that the network is asked for c.
func (r *request) seek(c cid.Cid) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seeking = c
}

// late is the reason when nothing was found in time.
func (r *request) late() *failure {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := &failure{status: http.StatusGatewayTimeout, why: "not found in time: nobody who was asked has sent it", missing: r.seeking, asked: -1}
	if r.failed != nil && r.failed.missing.Defined() {
		f.missing, f.asked, f.peers = r.failed.missing, r.failed.asked, r.failed.peers
	} else if f.missing.Defined() {
		f.peers = r.who(f.missing)
	}
	return f
}

// missed notes that c could not be had.
func (r *request) missed(c cid.Cid, err error) {
	f := &failure{status: http.StatusNotFound, why: err.Error(), missing: c, asked: -1}
	if miss, ok := errors.AsType[*blocks.MissError](err); ok {
		f.missing, f.asked, f.peers = miss.CID, miss.Asked, miss.Peers
	}
	if r.local {
		f.why, f.asked, f.peers = c.String()+" is not here, and only what is here was asked for", 0, nil
	}
	_ = r.fail(f)
}
