package disk_test

import (
	"context"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/boxo/datastore/dshelp"
	flatfs "github.com/ipfs/go-ds-flatfs"
	mh "github.com/multiformats/go-multihash"
)

// flat is the layout of Kubo's store, by its library: one file a block. Kubo
// opens it without sync. It is here as a control and to measure against.
type flat struct{ *flatfs.Datastore }

func openFlat(dir string, sync bool) (flat, error) {
	ds, err := flatfs.CreateOrOpen(dir, flatfs.NextToLast(2), sync)
	return flat{ds}, err
}

// put writes one block after another, many of them in one of its batches.
func (f flat) put(ctx context.Context, bs ...blocks.Block) error {
	if len(bs) == 1 {
		return f.Put(ctx, dshelp.MultihashToDsKey(bs[0].Hash()), bs[0].RawData())
	}
	batch, err := f.Batch(ctx)
	if err != nil {
		return err
	}
	for _, b := range bs {
		if err := batch.Put(ctx, dshelp.MultihashToDsKey(b.Hash()), b.RawData()); err != nil {
			return err
		}
	}
	return batch.Commit(ctx)
}

func (f flat) view(ctx context.Context, h mh.Multihash, use func([]byte) error) error {
	data, err := f.Get(ctx, dshelp.MultihashToDsKey(h))
	if err != nil {
		return err
	}
	return use(data)
}

func (f flat) has(ctx context.Context, h mh.Multihash) (bool, error) {
	return f.Has(ctx, dshelp.MultihashToDsKey(h))
}
