package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	uio "github.com/ipfs/boxo/ipld/unixfs/io"
	"github.com/ipfs/boxo/mfs"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// Keeper is a [Node] on which the mutable files can stand.
type Keeper interface {
	// Draft begins a change.
	Draft() Draft
	// Hold keeps collections from everything under roots, in the place of those of before.
	Hold(roots ...cid.Cid)
	// Keep pins root, under a name that says what for, with a lease, and has it brought to
	// others. What is pinned already under another name keeps that.
	Keep(ctx context.Context, root cid.Cid) error
	// Await waits until root, which is kept, has its quorum of copies elsewhere.
	Await(ctx context.Context, root cid.Cid) error
	// Displace takes back what Keep did, unless root has another name by now.
	Displace(ctx context.Context, root cid.Cid) error
}

// Draft is a change that is being made: what it writes and fetches stays until it is closed.
type Draft interface {
	Put(ctx context.Context, bs ...blocks.Block) error
	// Fetch brings everything under root here.
	Fetch(ctx context.Context, root cid.Cid, tell func(blocks.Progress)) error
	// Close ends it: what it wrote goes again unless it was kept.
	Close(kept bool)
}

// files are the mutable files, a tree of boxo/mfs whose root stands in a [ledge]:
//
//	command → turn → tree of the root as it is → change → blocks on the disk → root held → ledge
//	                      any error → the tree is let go of, nothing has changed
//	a quiet time later, in run → pin and lease of the newest root → quorum → the older ones go
//
// Each command opens the tree anew, so that one that fails leaves nothing behind and readers
// see one state of it.
type files struct {
	n     Node
	k     Keeper // nil: this peer has none
	quiet time.Duration
	log   *slog.Logger
	ledge ledge
	turn  chan struct{} // has one element while nobody changes anything
	wake  chan struct{} // has one element when something has changed

	mu    sync.Mutex
	root  cid.Cid         // guarded by mu: as it is; Undef is an empty directory
	saved noted           // guarded by mu: as the ledge has it
	err   error           // guarded by mu: why that could not be read
	lent  map[cid.Cid]int // guarded by mu: roots that are being read, and by how many
}

func newFiles(n Node, cfg Config) *files {
	f := &files{n: n, quiet: cfg.Quiet, log: cfg.Log, ledge: ledge{cfg.Dir}, turn: make(chan struct{}, 1), wake: make(chan struct{}, 1), lent: map[cid.Cid]int{}}
	f.k, _ = n.(Keeper)
	f.turn <- struct{}{}
	if f.k == nil {
		return f
	}
	if f.saved, f.err = f.ledge.load(); f.err != nil {
		f.log.Error("the root of the mutable files cannot be read", "err", f.err)
		return f
	}
	if f.root = f.saved.Root; f.root.Defined() {
		f.k.Hold(f.root)
		f.ring()
	}
	return f
}

func (f *files) ring() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// now gives the root as it is.
func (f *files) now() (cid.Cid, error) {
	if f.k == nil {
		return cid.Undef, lacking("this peer keeps no mutable files: give a path that begins with /ipfs/")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.root, f.err
}

// open gives the tree under root, which is read and written through d.
func (f *files) open(ctx context.Context, root cid.Cid, d *desk) (*mfs.Root, error) {
	p := uio.UnixFS_v1_2025
	opts := []mfs.Option{
		mfs.WithCidBuilder(p.CidBuilder()), mfs.WithMaxHAMTFanout(p.HAMTShardWidth),
		mfs.WithHAMTShardingSize(p.HAMTShardingSize), mfs.WithSizeEstimationMode(p.HAMTSizeEstimation),
	}
	if !root.Defined() {
		return mfs.NewEmptyRoot(ctx, d.dag, nil, nil, opts...)
	}
	nd, err := d.dag.Get(ctx, root)
	if err != nil {
		return nil, fmt.Errorf("rpc: files: the root %s: %w", root, err)
	}
	top, ok := nd.(*merkledag.ProtoNode)
	if !ok {
		return nil, fmt.Errorf("rpc: files: the root %s is no directory", root)
	}
	return mfs.NewRoot(ctx, d.dag, top, nil, nil, opts...)
}

// at gives the node that path names now. What is below it stays until back is called.
func (f *files) at(ctx context.Context, path string) (nd ipld.Node, back func(), err error) {
	if _, err := f.now(); err != nil {
		return nil, nil, err
	}
	root, back := f.lend()
	d := newDesk(f.n, nil)
	r, err := f.open(ctx, root, d)
	if err == nil {
		nd, err = d.lookup(r, path)
	}
	if err != nil {
		back()
		return nil, nil, err
	}
	return nd, back, nil
}

// lend holds the root as it is until back is called.
func (f *files) lend() (root cid.Cid, back func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	root = f.root
	f.lent[root]++
	f.holdLocked()
	return root, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.lent[root]--; f.lent[root] == 0 {
			delete(f.lent, root)
		}
		f.holdLocked()
	}
}

// change has do change the tree, after all others and before any other. It is as do left it
// from then on, and durably so unless flush is false; or, after an error, as it was.
func (f *files) change(ctx context.Context, d *desk, flush bool, do func(*mfs.Root) error) error {
	select {
	case <-f.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { f.turn <- struct{}{} }()
	root, err := f.now()
	if err != nil {
		return err
	}
	r, err := f.open(ctx, root, d)
	if err != nil {
		return err
	}
	if err := do(r); err != nil {
		return err
	}
	top, err := r.GetDirectory().GetNode() // with everything in it that is not written yet
	if err != nil {
		return err
	}
	if err := d.send(ctx); err != nil {
		return err
	}
	return f.turned(top.Cid(), flush)
}

// turned makes root, all of which is here, the root, and if flush is set writes it down.
func (f *files) turned(root cid.Cid, flush bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if root.Equals(f.root) && (!flush || root.Equals(f.saved.Root)) {
		return nil // nothing has changed
	}
	before := f.root
	f.root = root
	f.holdLocked(before)
	if flush {
		if err := f.saveLocked(noted{root, f.saved.Pins}); err != nil {
			f.root = before
			f.holdLocked()
			return err
		}
	}
	f.holdLocked()
	f.ring()
	return nil
}

// flush writes down the root as it is, and gives it.
func (f *files) flush() (cid.Cid, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil || f.saved.Root.Equals(f.root) {
		return f.root, f.err
	}
	if err := f.saveLocked(noted{f.root, f.saved.Pins}); err != nil {
		return f.root, err
	}
	f.holdLocked()
	return f.root, nil
}

// saveLocked has it that is stand in the ledge.
func (f *files) saveLocked(is noted) error {
	if err := f.ledge.save(is); err != nil {
		return err
	}
	f.saved = is
	return nil
}

// holdLocked holds the root, the one that a crash would lead back to, those that are being
// read, and more.
func (f *files) holdLocked(more ...cid.Cid) {
	var all []cid.Cid
	for _, c := range append(slices.AppendSeq(more, maps.Keys(f.lent)), f.root, f.saved.Root) {
		if c.Defined() {
			all = append(all, c)
		}
	}
	f.k.Hold(all...)
}

// isFile reports whether nd is a file; false is a directory. What is no UnixFS is an error.
func isFile(nd ipld.Node) (bool, error) {
	switch nd := nd.(type) {
	case *merkledag.RawNode:
		return true, nil
	case *merkledag.ProtoNode:
		is, err := unixfs.FSNodeFromBytes(nd.Data())
		if err != nil {
			return false, err
		}
		switch is.Type() {
		case unixfs.TDirectory, unixfs.THAMTShard:
			return false, nil
		case unixfs.TFile, unixfs.TRaw, unixfs.TSymlink:
			return true, nil
		}
		return false, fmt.Errorf("unrecognized node type: %s", is.Type())
	}
	return false, errors.New("not unixfs node (proto or raw)")
}
