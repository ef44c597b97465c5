package dag

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/ipld/go-car/v2"
	"github.com/ipld/go-car/v2/storage"
	mh "github.com/multiformats/go-multihash"
	"github.com/multiformats/go-varint"
)

// The limits of an export.
const (
	maxExportDepth   = 1 << 17 // links from the root down
	maxExportPending = 1 << 20 // blocks that are known of and not yet read
)

// Export writes everything under root to w as a CAR of version 1: each block once, by
// CID, depth first and in the order of the links. Blocks are got one at a time, as w takes them,
// and none is kept; of each CID 16 bytes are remembered. Nothing is written before the root is here.
// After an error what was written is no whole CAR, though it may look like one.
func Export(ctx context.Context, ng ipld.NodeGetter, root cid.Cid, w io.Writer) (blocks.DAGStat, error) {
	e := exporter{ng: ng, w: w, seen: make(map[[16]byte]struct{}), out: blocks.DAGStat{Root: root}}
	if err := e.run(ctx, root); err != nil {
		return e.out, fmt.Errorf("dag: export %s: %w", root, err)
	}
	return e.out, nil
}

type exporter struct {
	ng   ipld.NodeGetter
	w    io.Writer
	seen map[[16]byte]struct{}
	todo []step // the next one last
	out  blocks.DAGStat
}

func (e *exporter) run(ctx context.Context, root cid.Cid) error {
	for e.todo = append(e.todo, step{c: root}); len(e.todo) > 0; {
		s := e.todo[len(e.todo)-1]
		e.todo = e.todo[:len(e.todo)-1]
		sum := sha256.Sum256(s.c.Bytes())
		key := [16]byte(sum[:16])
		if _, done := e.seen[key]; done {
			continue
		}
		e.seen[key] = struct{}{}
		if s.depth > maxExportDepth {
			return fmt.Errorf("deeper than %d", maxExportDepth)
		}
		if err := linked(s.c); err != nil {
			return fmt.Errorf("%s: %w", s.c, err)
		}
		n, err := e.ng.Get(ctx, s.c)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.c, err)
		}
		if s.depth == 0 {
			if err := e.head(root); err != nil {
				return err
			}
		}
		if err := e.write(n); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		links := n.Links()
		if len(e.todo)+len(links) > maxExportPending {
			return fmt.Errorf("more than %d blocks side by side", maxExportPending)
		}
		for _, l := range slices.Backward(links) {
			e.todo = append(e.todo, step{c: l.Cid, depth: s.depth + 1})
		}
	}
	return nil
}

func (e *exporter) head(root cid.Cid) error {
	var buf bytes.Buffer
	if _, err := storage.NewWritable(&buf, []cid.Cid{root}, car.WriteAsCarV1(true)); err != nil {
		return err
	}
	_, err := e.w.Write(buf.Bytes())
	return err
}

// write adds the section of n, unless its data stands in its own CID.
func (e *exporter) write(n ipld.Node) error {
	c, data := n.Cid(), n.RawData()
	if c.Prefix().MhType == mh.IDENTITY {
		return nil
	}
	key := c.Bytes()
	if _, err := e.w.Write(append(varint.ToUvarint(uint64(len(key)+len(data))), key...)); err != nil {
		return err
	}
	e.out.Blocks++
	e.out.Bytes += int64(len(data))
	_, err := e.w.Write(data)
	return err
}
