package main

import (
	"context"

	"github.com/cairn-network/cairn/blocks"
)

// Room says whether there is room for size more bytes.
func (f *face) Room(ctx context.Context, size int64) error { return f.n.Room(ctx, size) }

// RepoStat says what is kept.
func (f *face) RepoStat(ctx context.Context) (blocks.RepoStat, error) { return f.n.RepoStat(ctx) }

// RepoVerify hashes every block.
func (f *face) RepoVerify(ctx context.Context, tell func(blocks.Done)) (blocks.Verified, error) {
	return f.n.RepoVerify(ctx, tell)
}

// RepoGC forgets what nobody wants.
func (f *face) RepoGC(ctx context.Context, want int64, tell func(blocks.Done)) (blocks.Swept, error) {
	return f.n.GC(ctx, want, tell)
}

// RepoCompact gives space back.
func (f *face) RepoCompact(ctx context.Context, tell func(blocks.Done)) (blocks.Compacted, error) {
	return f.n.RepoCompact(ctx, tell)
}
