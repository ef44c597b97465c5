package dag

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// ErrNotDir says that a root is no directory.
var ErrNotDir = errors.New("is not a directory")

const (
	maxShardDepth = 64      // a HAMT uses eight bits of 64 a level; strangers' may use three
	maxFanout     = 1 << 10 // of a shard
	lookAhead     = 32      // entries whose blocks are asked for together; two times as many are in hand
	readers       = 8       // of those: a disk is asked for one block after the other by each
)

// List yields the entries of the directory c as they are found: sorted by name, or by
// the hash of it in a sharded one. Names are as the directory has them: who
// makes files of them calls [blocks.CheckName]. An entry whose own block cannot
// be had is [blocks.KindUnknown]. After an error it yields nothing more.
func List(ctx context.Context, ng ipld.NodeGetter, c cid.Cid) iter.Seq2[blocks.Entry, error] {
	return func(yield func(blocks.Entry, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		l := lister{ng: ng, yield: func(e blocks.Entry) bool { return yield(e, nil) }}
		defer l.busy.Wait()
		defer cancel()
		err := l.dir(ctx, c)
		if err == nil {
			err = l.flush(ctx)
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(blocks.Entry{}, fmt.Errorf("dag: list %s: %w", c, err))
		}
	}
}

type lister struct {
	ng    ipld.NodeGetter
	yield func(blocks.Entry) bool
	next  []*ipld.Link // found, not yielded yet
	busy  sync.WaitGroup
}

func (l *lister) dir(ctx context.Context, c cid.Cid) error {
	if err := readable(c); err != nil {
		return err
	}
	if c.Type() == cid.Raw {
		return ErrNotDir
	}
	n, err := l.ng.Get(ctx, c)
	if err != nil {
		return err
	}
	fsn, err := unixfs.ExtractFSNode(n)
	switch {
	case err != nil:
		return err
	case fsn.Type() == unixfs.THAMTShard:
		return l.shard(ctx, n, fsn, 0)
	case fsn.Type() != unixfs.TDirectory:
		return ErrNotDir
	}
	for _, link := range n.Links() {
		if err := l.found(ctx, link); err != nil {
			return err
		}
	}
	return nil
}

// shard follows one block of a sharded directory. A link's name begins with its
// place in the block; one that has nothing more leads to a further block.
func (l *lister) shard(ctx context.Context, n ipld.Node, fsn *unixfs.FSNode, depth int) error {
	fanout := fsn.Fanout()
	if depth > maxShardDepth || fanout == 0 || fanout > maxFanout || fanout&(fanout-1) != 0 {
		return fmt.Errorf("%s: a shard of %d at depth %d", n.Cid(), fanout, depth)
	}
	prefix, links := len(fmt.Sprintf("%X", fanout-1)), n.Links()
	further := func(from int) *asked { // of the next few links, those that lead to further blocks
		some := links[min(from, len(links)):min(from+lookAhead, len(links))]
		return l.ask(ctx, some, func(s *ipld.Link) bool { return len(s.Name) == prefix })
	}
	var ahead map[cid.Cid]ipld.Node
	next := further(0)
	for i, link := range links {
		if i%lookAhead == 0 {
			ahead = next.wait()
			next = further(i + lookAhead)
		}
		switch {
		case len(link.Name) < prefix:
			return fmt.Errorf("%s: a shard with a link %q", n.Cid(), link.Name)
		case len(link.Name) > prefix:
			if err := l.found(ctx, &ipld.Link{Name: link.Name[prefix:], Size: link.Size, Cid: link.Cid}); err != nil {
				return err
			}
			continue
		}
		sub, err := ahead[link.Cid], error(nil)
		if sub == nil {
			if sub, err = l.ng.Get(ctx, link.Cid); err != nil { // it says why
				return err
			}
		}
		subfsn, err := unixfs.ExtractFSNode(sub)
		if err != nil {
			return err
		}
		if subfsn.Type() != unixfs.THAMTShard {
			return fmt.Errorf("%s: no shard where one should be", link.Cid)
		}
		if err := l.shard(ctx, sub, subfsn, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// asked is blocks that were asked for together.
type asked struct {
	busy sync.WaitGroup
	mu   sync.Mutex
	got  map[cid.Cid]ipld.Node // guarded by mu until busy is done: those that could be had
}

// ask asks for the blocks of those links that are wanted, all at once. Its goroutines
// end with ctx or with the last answer, and List waits for them.
func (l *lister) ask(ctx context.Context, links []*ipld.Link, wanted func(*ipld.Link) bool) *asked {
	var cs []cid.Cid
	for _, link := range links {
		if wanted(link) {
			cs = append(cs, link.Cid)
		}
	}
	a := &asked{got: make(map[cid.Cid]ipld.Node, len(cs))}
	for some := range slices.Chunk(cs, max(1, (len(cs)+readers-1)/readers)) {
		l.busy.Add(1)
		a.busy.Go(func() {
			defer l.busy.Done()
			for o := range l.ng.GetMany(ctx, some) {
				if o.Err == nil {
					a.mu.Lock()
					a.got[o.Node.Cid()] = o.Node
					a.mu.Unlock()
				}
			}
		})
	}
	return a
}

// wait gives the blocks that could be had.
func (a *asked) wait() map[cid.Cid]ipld.Node {
	a.busy.Wait()
	return a.got
}

func (l *lister) found(ctx context.Context, link *ipld.Link) error {
	if l.next = append(l.next, link); len(l.next) < lookAhead {
		return nil
	}
	return l.flush(ctx)
}

// flush yields what was found. Blocks that say what an entry is are asked for at once.
func (l *lister) flush(ctx context.Context) error {
	got := l.ask(ctx, l.next, func(link *ipld.Link) bool { return link.Cid.Type() == cid.DagProtobuf }).wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, link := range l.next {
		if !l.yield(entryOf(link, got[link.Cid])) {
			return errStopped
		}
	}
	l.next = l.next[:0]
	return nil
}

// entryOf says what link leads to; n is its block, if it was needed and could be had.
func entryOf(link *ipld.Link, n ipld.Node) blocks.Entry {
	e := blocks.Entry{Name: link.Name, CID: link.Cid, Kind: blocks.KindUnknown, Size: -1}
	switch {
	case link.Cid.Type() == cid.Raw:
		e.Kind, e.Size = blocks.KindFile, max(int64(link.Size), -1)
	case n != nil:
		if s, err := statOf(n); err == nil {
			e.Kind, e.Size, e.Target = s.Kind, s.Size, s.Target
		}
	}
	return e
}

// Stat says what the root c is. It asks for c alone.
func Stat(ctx context.Context, ng ipld.NodeGetter, c cid.Cid) (blocks.Stat, error) {
	err := readable(c)
	var n ipld.Node
	if err == nil {
		n, err = ng.Get(ctx, c)
	}
	var s blocks.Stat
	if err == nil {
		s, err = statOf(n)
	}
	if err != nil {
		return s, fmt.Errorf("dag: stat %s: %w", c, err)
	}
	return s, nil
}

func statOf(n ipld.Node) (blocks.Stat, error) {
	s := blocks.Stat{CID: n.Cid(), Kind: blocks.KindUnknown, Total: totalOf(n)}
	if _, raw := n.(*merkledag.RawNode); raw {
		s.Kind, s.Size = blocks.KindFile, s.Total
		return s, nil
	}
	fsn, err := unixfs.ExtractFSNode(n)
	if err != nil {
		return s, err
	}
	switch fsn.Type() {
	case unixfs.TFile, unixfs.TRaw:
		s.Kind, s.Size = blocks.KindFile, max(int64(fsn.FileSize()), -1)
	case unixfs.TDirectory, unixfs.THAMTShard:
		s.Kind, s.Size = blocks.KindDir, s.Total
	case unixfs.TSymlink:
		s.Kind, s.Target = blocks.KindSymlink, string(fsn.Data())
		s.Size = int64(len(s.Target))
	default:
		return s, fmt.Errorf("UnixFS type %s", fsn.Type())
	}
	return s, nil
}
