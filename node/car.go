package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/cairn-network/cairn/blocks/replica"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	mh "github.com/multiformats/go-multihash"
)

// maxImport is how many distinct blocks an import may bring: each takes some 300 bytes
// of memory until the import is kept.
const maxImport = 4 << 20

// roomEvery is how many bytes an import writes between two looks at the room that is left.
const roomEvery = 64 << 20

// ImportCAR keeps the blocks of the CAR that r gives, version 1 or 2, and everything
// under each of its roots as [Node.Put] keeps a file, one lease each:
//
//	CAR → check → local store → root: all that is under it → lease, journal → holders → quorum
//
// Blocks that no root leads to stay as what was merely read. What is under a root has to be
// whole, with what is here already: a [*blocks.GapError] names the first block that is
// missing, a [*blocks.CARError] says what is wrong with r. A [*blocks.ShortError], of the
// first root that has too few copies, comes with the receipts of all. After any other error
// nothing is left of what r brought that was not there already or is wanted by others.
func (n *Node) ImportCAR(ctx context.Context, r io.Reader, o blocks.ImportOptions, tell func(blocks.Progress)) (blocks.Imported, error) {
	in, err := dag.ReadCAR(r)
	if err != nil {
		return blocks.Imported{}, fmt.Errorf("import: %w", err)
	}
	out, err := n.bringIn(ctx, in.Blocks(), in.Roots, o, tell)
	if err != nil {
		return out, fmt.Errorf("import: %w", err)
	}
	return out, nil
}

// PutBlock keeps b, and what is under it, as an import keeps a root.
func (n *Node) PutBlock(ctx context.Context, b blocks.Block, o blocks.ImportOptions, tell func(blocks.Progress)) (blocks.Imported, error) {
	if b.Cid().Prefix().MhType == mh.IDENTITY || len(b.RawData()) > blocks.MaxSize {
		return blocks.Imported{}, fmt.Errorf("put block: %w: %d bytes under %s", blocks.ErrUnfit, len(b.RawData()), b.Cid())
	}
	one := func(yield func(blocks.Block, error) bool) { yield(b, nil) }
	out, err := n.bringIn(ctx, one, []cid.Cid{b.Cid()}, o, tell)
	if err != nil {
		return out, fmt.Errorf("put block: %w", err)
	}
	return out, nil
}

// ExportCAR writes everything under path to w, as [dag.Export] does.
func (n *Node) ExportCAR(ctx context.Context, path string, w io.Writer) (blocks.DAGStat, error) {
	ctx = under(ctx, path)
	root, err := n.Resolve(ctx, path)
	if err != nil {
		return blocks.DAGStat{}, fmt.Errorf("export: %w", err)
	}
	return dag.Export(ctx, n.nodes(ctx), root, w)
}

// GetBlock gives the block that path names, from here or from its holders.
func (n *Node) GetBlock(ctx context.Context, path string) (blocks.Block, error) {
	ctx = under(ctx, path)
	c, err := n.Resolve(ctx, path)
	if err != nil {
		return blocks.Block{}, fmt.Errorf("block: %w", err)
	}
	if c.Prefix().MhType == mh.IDENTITY {
		return n.fetch.Get(ctx, c) // asks nobody, and keeps nothing
	}
	b, err := n.blocks.GetBlock(ctx, c)
	if err != nil {
		return blocks.Block{}, fmt.Errorf("block: %w", err)
	}
	return blocks.Check(c, b.RawData()) // boxo's interface says nothing of where they were
}

// bringing is an import under way.
type bringing struct {
	n       *Node
	came    map[string]bool // by multihash: blocks that came; true once a root leads to them
	claimed []mh.Multihash
	out     blocks.Imported
}

// bringIn keeps what, and everything under roots.
func (n *Node) bringIn(ctx context.Context, what iter.Seq2[blocks.Block, error], roots []cid.Cid, o blocks.ImportOptions, tell func(blocks.Progress)) (_ blocks.Imported, err error) {
	b := &bringing{n: n, came: map[string]bool{}}
	kept, began := false, time.Now()
	defer func() { n.release(b.claimed, kept) }()
	chosen := o.Expires != 0
	if o.PutOptions, err = n.putDefaults(o.PutOptions); err != nil {
		return b.out, err
	}
	if err := b.shelve(ctx, what); err != nil {
		return b.out, err
	}
	if o.NoPin {
		roots = nil
	}
	var all []written
	for _, root := range roots {
		w, err := b.under(ctx, root, !o.NoPlace)
		if err != nil {
			return b.out, err
		}
		all = append(all, w)
	}
	for _, led := range b.came {
		if !led {
			b.out.Loose++
		}
	}
	jobs, err := b.keep(ctx, all, o, began, chosen)
	if err != nil {
		return b.out, err
	}
	kept = true
	err = b.wait(ctx, jobs, o, tell)
	b.out.Took = blocks.Seconds(time.Since(began))
	return b.out, err
}

// shelve writes what to the store, each block once.
func (b *bringing) shelve(ctx context.Context, what iter.Seq2[blocks.Block, error]) (err error) {
	out := batches{put: b.n.store.Put}
	defer func() { err = errors.Join(err, out.end()) }() // who releases them finds them written
	looked := int64(0)
	for block, err := range what {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		key := string(block.Hash())
		if _, again := b.came[key]; again {
			continue
		}
		if len(b.came) == maxImport {
			return fmt.Errorf("%w: more than %d blocks", blocks.ErrUnfit, maxImport)
		}
		if b.out.Bytes-looked >= roomEvery {
			looked = b.out.Bytes
			if err := b.n.Room(ctx, 0); err != nil {
				return err
			}
		}
		if err := b.claim(ctx, block.Hash()); err != nil {
			return err
		}
		b.came[key] = false
		b.out.Blocks++
		b.out.Bytes += int64(len(block.RawData()))
		if err := out.add(ctx, block); err != nil {
			return err
		}
	}
	return out.send(ctx)
}

func (b *bringing) claim(ctx context.Context, h mh.Multihash) error {
	err := b.n.claim(ctx, h)
	if err == nil {
		b.claimed = append(b.claimed, h)
	}
	return err
}

// under finds all that is under root, which has to be here. From then on it stays. What
// others are to keep has to be what they take.
func (b *bringing) under(ctx context.Context, root cid.Cid, placed bool) (written, error) {
	w := written{root: root}
	here := b.n.here()
	for v, err := range dag.Walk(ctx, here, root) {
		if err != nil {
			return w, gap(root, err)
		}
		h := v.CID.Hash()
		if _, came := b.came[string(h)]; came {
			b.came[string(h)] = true
		} else if err := b.claim(ctx, h); err != nil { // it was here before
			return w, err
		}
		size, err := b.n.store.Size(ctx, h)
		if err != nil {
			return w, gap(root, err)
		}
		if err := blocks.Fit(h, size); err != nil && placed {
			return w, fmt.Errorf("%s: no other peer would keep it: %w", v.CID, err)
		}
		w.hashes, w.bytes = append(w.hashes, h), w.bytes+int64(size)
	}
	w.size = w.bytes
	if s, err := dag.Stat(ctx, here, root); err == nil && s.Kind == blocks.KindFile {
		w.size = s.Size // not what its blocks take
	}
	return w, ctx.Err()
}

// gap makes a GapError of err if it says that a block is missing.
func gap(root cid.Cid, err error) error {
	if lost := (ipld.ErrNotFound{}); errors.As(err, &lost) {
		return &blocks.GapError{Root: root, Missing: lost.Cid}
	}
	return err
}

// keep enters every root, or none: its lease, and its pin. It gives the jobs that place them.
func (b *bringing) keep(ctx context.Context, all []written, o blocks.ImportOptions, began time.Time, chosen bool) (jobs []*replica.Job, err error) {
	var undo []func(context.Context) error
	defer func() {
		if err == nil {
			return
		}
		for _, f := range undo { // ctx may be what ended it
			err = errors.Join(err, f(context.WithoutCancel(ctx)))
		}
	}()
	var leases []blocks.Lease
	var pins []blocks.Pin
	for _, w := range all {
		if len(w.hashes) == 0 {
			continue // it stands in its own CID
		}
		pin := blocks.Pin{Root: w.root, Name: o.Name, Size: w.size, Blocks: len(w.hashes), Time: began}
		old, before, err := b.n.ledger.Pinned(ctx, w.root)
		if err != nil {
			return nil, err
		}
		pin.Name = anew(pin.Name, old.Name)
		var lease blocks.Lease
		if o.NoPlace {
			if pin, err = b.n.again(ctx, pin); err != nil {
				return nil, err
			}
		} else {
			if lease, err = b.n.lease(ctx, w, o.PutOptions); err != nil {
				return nil, err
			}
			pin.Lease, pin.Pending, pin.Ends = lease.ID(), true, chosen
			if !before {
				undo = append(undo, func(ctx context.Context) error { return b.n.ledger.Release(ctx, lease.ID(), w.hashes...) })
			}
			if err := b.n.ledger.Hold(ctx, lease, w.hashes...); err != nil { // → lease
				return nil, err
			}
		}
		if !before {
			undo = append(undo, func(ctx context.Context) error { return b.n.ledger.Unpin(ctx, w.root) })
		}
		if err := b.n.ledger.Pin(ctx, pin); err != nil { // → journal
			return nil, err
		}
		leases, pins = append(leases, lease), append(pins, pin)
	}
	for i, pin := range pins {
		b.n.recorded(pin.Root)
		b.out.Roots = append(b.out.Roots, blocks.Receipt{Root: pin.Root, Name: pin.Name, Size: pin.Size,
			Progress: blocks.Progress{Blocks: pin.Blocks, Target: o.Replicas}})
		if !o.NoPlace {
			jobs = append(jobs, b.n.set.Queue(leases[i], pin))
		}
	}
	return jobs, nil
}

// wait waits for as much of jobs, one a root, as was asked for. Its error is of the first that
// has too few copies.
func (b *bringing) wait(ctx context.Context, jobs []*replica.Job, o blocks.ImportOptions, tell func(blocks.Progress)) (short error) {
	total, safe := 0, 0
	for _, rc := range b.out.Roots {
		total += rc.Blocks
	}
	told := tell
	if tell != nil {
		told = func(p blocks.Progress) {
			p.Blocks, p.Safe = total, safe+p.Safe
			tell(p)
		}
	}
	placing := time.Now()
	for i, job := range jobs {
		rc := &b.out.Roots[i]
		var err error
		rc.Progress, err = job.Wait(ctx, o.Wait, told) // → holders → quorum
		rc.Holders, rc.Least = job.Holders()
		rc.Took = blocks.Seconds(time.Since(placing))
		safe += rc.Safe
		if err != nil {
			if few := (*blocks.ShortError)(nil); !errors.As(err, &few) {
				return err
			}
			if short == nil {
				short = err
			}
			continue
		}
		rc.Announced = o.Announce && b.n.announce(ctx, *rc)
	}
	return short
}
