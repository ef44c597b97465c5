package gateway

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// maxRise is how many blocks may lie below each other in what is sent as an archive: boxo's
// reader holds all of those on the way to where it is.
const maxRise = 2048

// depths gives the nodes below one root that are asked for after those which link to them, and
// refuses what lies too deep.
type depths struct {
	ipld.DAGService
	req *request

	mu sync.Mutex
	of map[cid.Cid]int // guarded by mu: links from the root down; none is 0
}

// Get is ipld.NodeGetter's.
func (d *depths) Get(ctx context.Context, c cid.Cid) (ipld.Node, error) {
	n, err := d.DAGService.Get(ctx, c)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	at := d.of[c]
	if at > maxRise || len(d.of) > maxPending {
		return nil, d.req.fail(&failure{status: http.StatusUnprocessableEntity, asked: -1,
			why: fmt.Sprintf("more than %d blocks below each other, or %d in all that have others below them: ask for a CAR instead", maxRise, maxPending)})
	}
	for _, l := range n.Links() {
		if l.Cid.Type() != cid.Raw {
			d.of[l.Cid] = max(d.of[l.Cid], at+1)
		}
	}
	return n, nil
}
