package replica

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"
)

var errUntold = errors.New("it did not say what became of a block")

// restores is how often Restore tries others in the place of those who did not take a block.
const restores = 3

// Restore gives missing copies of bs at once, without waiting for a repair round and
// without asking whose turn it is. What this peer has not got itself comes from g. tell
// hears how many blocks are whole; it is called by one goroutine at a time.
func (s *Set) Restore(ctx context.Context, root cid.Cid, bs []Sized, g blocks.Getter, tell func(blocks.Done)) (blocks.Restored, error) {
	out := blocks.Restored{Root: root, Blocks: len(bs)}
	l, ok := s.LeaseOf(ctx, root.Hash())
	if !ok {
		return out, fmt.Errorf("replica: repair %s: %w", root, blocks.ErrNoLease)
	}
	refused := map[string][]peer.ID{} // who did not take which block
	for try := 0; ; try++ {
		all, err := s.survey(ctx, l, l.R, bs, g)
		if err != nil {
			return out, err
		}
		short := slices.DeleteFunc(all, func(f *found) bool { return len(f.who) >= min(l.R, len(f.near)) })
		if out.Lacking = len(short); try == 0 {
			out.Short = len(short)
		}
		tell(blocks.Done{Done: int64(out.Blocks - out.Lacking), Total: int64(out.Blocks)})
		if len(short) == 0 || try == restores {
			return out, nil
		}
		bs = bs[:0:0]
		given := map[peer.ID][]*found{}
		for _, f := range short {
			bs = append(bs, f.Sized)
			missing := min(l.R, len(f.near)) - len(f.who)
			for _, p := range f.near {
				if missing > 0 && !slices.Contains(f.who, p) && f.said[p].err == nil && !slices.Contains(refused[f.CID.KeyString()], p) {
					given[p] = append(given[p], f)
					missing--
				}
			}
		}
		if len(given) == 0 {
			return out, nil // nobody is left to be asked
		}
		why := s.handOut(ctx, l, given, g, &out, refused)
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		if why != nil {
			out.Error = why.Error()
		}
	}
}

// handOut gives each peer its blocks, all peers at once, and enters in refused who did not
// take what. The error is one of the reasons.
func (s *Set) handOut(ctx context.Context, l blocks.Lease, given map[peer.ID][]*found, g blocks.Getter, out *blocks.Restored, refused map[string][]peer.ID) (why error) {
	var mu sync.Mutex // guards why, out and refused
	took := func(p peer.ID, f *found, sent bool, err error) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			why = fmt.Errorf("%s: %w", p, err)
			refused[f.CID.KeyString()] = append(refused[f.CID.KeyString()], p)
		case sent:
			out.Copies++
			out.Bytes += f.Size
		}
	}
	var group errgroup.Group
	for p, fs := range given {
		group.Go(func() error {
			for part := range slices.Chunk(fs, groupBlocks) {
				s.handTo(ctx, p, l, part, g, took)
			}
			return nil
		})
	}
	_ = group.Wait()
	return why
}

func (s *Set) handTo(ctx context.Context, p peer.ID, l blocks.Lease, fs []*found, g blocks.Getter, took func(p peer.ID, f *found, sent bool, err error)) {
	if p == s.self {
		for _, f := range fs {
			b, err := g.Get(ctx, f.CID)
			if err == nil {
				err = s.Keep(ctx, p, l, b)
			}
			took(p, f, err == nil, err)
		}
		return
	}
	from := fetched{g: g, cids: map[string]cid.Cid{}}
	items := make([]wire.Item, len(fs))
	for i, f := range fs {
		items[i] = wire.Item{Hash: f.CID.Hash(), Size: int(f.Size)}
		from.cids[string(f.CID.Hash())] = f.CID
	}
	told := make([]bool, len(fs))
	err := s.peers.Offer(ctx, p, l, wire.Repair, items, from, func(i int, a wire.Ack) {
		if a.Peer == "" {
			told[i] = true
			took(p, fs[i], a.Status == wire.Stored, a.Err)
		}
	})
	for i, f := range fs {
		if !told[i] {
			took(p, f, false, cmp.Or(err, errUntold))
		}
	}
}

// fetched lends blocks that are got as they are asked for.
type fetched struct {
	g    blocks.Getter
	cids map[string]cid.Cid // by multihash
}

func (f fetched) View(ctx context.Context, h mh.Multihash, use func(data []byte) error) error {
	b, err := f.g.Get(ctx, f.cids[string(h)])
	if err != nil {
		return err
	}
	return use(b.RawData())
}
