package main

import (
	"context"
	"iter"

	"github.com/cairn-network/cairn/blocks"
)

// Keys gives what names are published with.
func (f *face) Keys() []blocks.KeyInfo { return f.n.Keys().List() }

// MakeKey makes a key.
func (f *face) MakeKey(name string) (blocks.KeyInfo, error) { return f.n.Keys().Generate(name) }

// TakeKey takes a key.
func (f *face) TakeKey(name string, data []byte) (blocks.KeyInfo, error) {
	return f.n.Keys().Import(name, data)
}

// GiveKey gives a key away.
func (f *face) GiveKey(name string) ([]byte, error) { return f.n.Keys().Export(name) }

// RemoveKey forgets a key.
func (f *face) RemoveKey(name string) (blocks.KeyInfo, error) { return f.n.Keys().Remove(name) }

// PublishName makes a name stand for path.
func (f *face) PublishName(ctx context.Context, key, path string, o blocks.NameOptions) (blocks.Published, error) {
	return f.n.PublishName(ctx, key, path, o)
}

// ResolveName says what a name stands for.
func (f *face) ResolveName(ctx context.Context, name string, recursive bool) (blocks.Resolved, error) {
	return f.n.ResolveName(ctx, name, recursive)
}

// WatchName yields what a name stands for whenever that changed.
func (f *face) WatchName(ctx context.Context, name string) iter.Seq2[blocks.Resolved, error] {
	return f.n.WatchName(ctx, name)
}

// ImportName takes a record that somebody else has signed.
func (f *face) ImportName(ctx context.Context, name string, record []byte) (blocks.Published, error) {
	return f.n.ImportName(ctx, name, record)
}
