package rpc

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/blockstore"
	"github.com/ipfs/boxo/chunker"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs/importer/balanced"
	"github.com/ipfs/boxo/ipld/unixfs/importer/helpers"
	uio "github.com/ipfs/boxo/ipld/unixfs/io"
	"github.com/ipfs/boxo/mfs"
	block "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	mh "github.com/multiformats/go-multihash"
)

// As much as is kept in memory of what is written before it goes to the disk at one go.
const (
	deskBytes  = 8 << 20
	deskBlocks = 512
)

// desk is where a change of the mutable files is made: it reads what the peer and others
// have, and what was written here, which goes to the draft in batches. Without a draft
// nothing is written anywhere.
type desk struct {
	blockstore.Blockstore // the peer's
	draft                 Draft
	dag                   ipld.DAGService // of all this

	mu    sync.Mutex
	fresh map[string]blocks.Block // guarded by mu: by multihash; not sent
	bytes int                     // guarded by mu: of fresh
}

func newDesk(n Node, draft Draft) *desk {
	bs := n.BlockService()
	d := &desk{Blockstore: bs.Blockstore(), draft: draft, fresh: map[string]blocks.Block{}}
	d.dag = merkledag.NewDAGService(blockservice.New(d, bs.Exchange(), blockservice.WriteThrough(true)))
	return d
}

// find gives what was written and not sent.
func (d *desk) find(c cid.Cid) (block.Block, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b, ok := d.fresh[string(c.Hash())]
	if !ok || b.Cid().Equals(c) {
		return b, ok
	}
	b, err := blocks.Check(c, b.RawData()) // another spelling of the same key
	return b, err == nil
}

// Get is blockstore.Blockstore's, as the others are.
func (d *desk) Get(ctx context.Context, c cid.Cid) (block.Block, error) {
	if b, ok := d.find(c); ok {
		return b, nil
	}
	return d.Blockstore.Get(ctx, c)
}

// GetSize looks at both.
func (d *desk) GetSize(ctx context.Context, c cid.Cid) (int, error) {
	if b, ok := d.find(c); ok {
		return len(b.RawData()), nil
	}
	return d.Blockstore.GetSize(ctx, c)
}

// Has looks at both.
func (d *desk) Has(ctx context.Context, c cid.Cid) (bool, error) {
	if _, ok := d.find(c); ok {
		return true, nil
	}
	return d.Blockstore.Has(ctx, c)
}

// Put writes b; who only reads keeps what the peer lacks.
func (d *desk) Put(ctx context.Context, b block.Block) error {
	if b.Cid().Prefix().MhType == mh.IDENTITY {
		return nil // it stands in its own CID
	}
	if d.draft == nil {
		if has, err := d.Blockstore.Has(ctx, b.Cid()); has || err != nil {
			return err
		}
	}
	fixed, err := blocks.Check(b.Cid(), b.RawData()) // b may be a node, which changes
	if err != nil {
		return err
	}
	d.mu.Lock()
	if _, ok := d.fresh[string(b.Cid().Hash())]; !ok {
		d.fresh[string(b.Cid().Hash())] = fixed
		d.bytes += len(b.RawData())
	}
	full := d.draft != nil && (d.bytes >= deskBytes || len(d.fresh) >= deskBlocks)
	d.mu.Unlock()
	if full {
		return d.send(ctx)
	}
	return nil
}

// PutMany writes bs.
func (d *desk) PutMany(ctx context.Context, bs []block.Block) error {
	for _, b := range bs {
		if err := d.Put(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// DeleteBlock does nothing: what nobody names is collected.
func (d *desk) DeleteBlock(context.Context, cid.Cid) error { return nil }

// send hands what was written to the draft. When it answers nil that is on the disk.
func (d *desk) send(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.fresh) == 0 {
		return nil
	}
	all := make([]blocks.Block, 0, len(d.fresh))
	for _, b := range d.fresh {
		if len(b.RawData()) > blocks.MaxSize {
			return refuse("a block of %d bytes, limit %d", len(b.RawData()), blocks.MaxSize)
		}
		all = append(all, b)
	}
	if err := d.draft.Put(ctx, all...); err != nil {
		return err
	}
	d.fresh, d.bytes = map[string]blocks.Block{}, 0
	return nil
}

// lookup gives the node that path names in r.
func (d *desk) lookup(r *mfs.Root, path string) (ipld.Node, error) {
	at, err := mfs.Lookup(r, path)
	if err != nil {
		return nil, err
	}
	return at.GetNode()
}

// maxHeight is how many blocks may lie below each other in what is copied or moved, each name
// on the way there counted as those that its directory has when it is sharded. What is deeper
// than 1024 nobody walks, neither who collects nor who places.
const maxHeight = 512

// fits refuses nd at path if the tree would become too deep.
func (d *desk) fits(ctx context.Context, nd ipld.Node, path string) error {
	_, err := d.height(ctx, nd, maxHeight-4*strings.Count(path, "/"), map[cid.Cid]int{})
	return err
}

// height is how many blocks lie below each other in nd, which are refused if they are more
// than most.
func (d *desk) height(ctx context.Context, nd ipld.Node, most int, seen map[cid.Cid]int) (high int, err error) {
	if h, ok := seen[nd.Cid()]; ok && h <= most {
		return h, nil
	}
	if most < 1 {
		return 0, refuse("the tree would be too deep: limit %d", maxHeight)
	}
	for _, l := range nd.Links() {
		below := 1
		if l.Cid.Type() != cid.Raw || most < 2 {
			child, err := d.dag.Get(ctx, l.Cid)
			if err == nil {
				below, err = d.height(ctx, child, most-1, seen)
			}
			if err != nil {
				return 0, err
			}
		}
		high = max(high, below)
	}
	seen[nd.Cid()] = high + 1
	return high + 1, nil
}

// file writes what r reads as a put of ours does: the same bytes are the same CID.
func (d *desk) file(r io.Reader) (ipld.Node, error) {
	p := uio.UnixFS_v1_2025
	params := helpers.DagBuilderParams{Dagserv: d.dag, RawLeaves: true, Maxlinks: p.FileDAGWidth, CidBuilder: p.CidBuilder()}
	h, err := params.New(chunk.NewSizeSplitter(unbroken{r}, p.ChunkSize))
	if err != nil {
		return nil, err
	}
	return balanced.Layout(h)
}

// unbroken is a reader whose breaking off is not taken for its end, as the splitter would.
type unbroken struct{ io.Reader }

func (u unbroken) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("rpc: the input ended too early")
	}
	return n, err
}
