package gateway

import (
	"context"

	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// nodes is boxo's DAG service with another GetMany: boxo's leaves a goroutine behind when
// its context ends just as the last node has come.
type nodes struct{ ipld.DAGService }

// side is how many nodes are asked for at once.
const side = 4

// GetMany gives the nodes of cs, or the error of the first that cannot be had, and
// closes the channel. Its goroutines end with ctx, whether or not anybody listens.
func (n nodes) GetMany(ctx context.Context, cs []cid.Cid) <-chan *ipld.NodeOption {
	seen := cid.NewSet()
	var todo []cid.Cid
	for _, c := range cs {
		if seen.Visit(c) {
			todo = append(todo, c)
		}
	}
	out := make(chan *ipld.NodeOption, len(todo)) // room for all of them: who gives one never waits
	next := make(chan cid.Cid, len(todo))
	for _, c := range todo {
		next <- c
	}
	close(next)
	left := make(chan struct{}, side)
	workers := min(side, len(todo))
	for range workers {
		go func() { // ends when all were tried, or with ctx
			defer func() { left <- struct{}{} }()
			for c := range next {
				nd, err := n.Get(ctx, c)
				out <- &ipld.NodeOption{Node: nd, Err: err}
			}
		}()
	}
	go func() { // ends after those above
		for range workers {
			<-left
		}
		close(out)
	}()
	return out
}

// rooted gives one node that is there without being asked for again.
type rooted struct {
	ipld.NodeGetter
	root ipld.Node
}

// Get is ipld.NodeGetter's.
func (r rooted) Get(ctx context.Context, c cid.Cid) (ipld.Node, error) {
	if c.Equals(r.root.Cid()) {
		return r.root, nil
	}
	return r.NodeGetter.Get(ctx, c)
}
