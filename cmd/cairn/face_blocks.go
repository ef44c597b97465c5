package main

import (
	"context"
	"io"

	"github.com/cairn-network/cairn/blocks"
)

// ImportCAR keeps the blocks of a CAR and everything under its roots.
func (f *face) ImportCAR(ctx context.Context, r io.Reader, o blocks.ImportOptions, tell func(blocks.Progress)) (blocks.Imported, error) {
	return f.n.ImportCAR(ctx, r, o, tell)
}

// ExportCAR writes everything under path to w as a CAR.
func (f *face) ExportCAR(ctx context.Context, path string, w io.Writer) (blocks.DAGStat, error) {
	return f.n.ExportCAR(ctx, path, w)
}

// GetBlock gives the block that path names.
func (f *face) GetBlock(ctx context.Context, path string) (blocks.Block, error) {
	return f.n.GetBlock(ctx, path)
}

// PutBlock keeps one block, and what is under it.
func (f *face) PutBlock(ctx context.Context, b blocks.Block, o blocks.ImportOptions, tell func(blocks.Progress)) (blocks.Imported, error) {
	return f.n.PutBlock(ctx, b, o, tell)
}
