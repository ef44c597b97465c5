package dag

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/boxo/ipld/merkledag"
	uio "github.com/ipfs/boxo/ipld/unixfs/io"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// Resolve follows segments from root through directories. When a directory has
// no such name, or a file stands where a directory should, [blocks.IsNotFound]
// holds for the error, and it names the segment.
func Resolve(ctx context.Context, ng ipld.NodeGetter, root cid.Cid, segments []string) (cid.Cid, error) {
	c := root
	for _, name := range segments {
		next, err := child(ctx, ng, c, name)
		if err != nil {
			return cid.Undef, fmt.Errorf("dag: resolve %s: %w", root, err)
		}
		c = next
	}
	return c, nil
}

func child(ctx context.Context, ng ipld.NodeGetter, c cid.Cid, name string) (cid.Cid, error) {
	if c.Type() == cid.Raw { // a file: no need to get it
		return cid.Undef, &noEntry{dir: c, name: name, file: true}
	}
	if err := readable(c); err != nil {
		return cid.Undef, err
	}
	n, err := ng.Get(ctx, c)
	if err != nil {
		return cid.Undef, err
	}
	dir, err := uio.NewDirectoryFromNode(merkledag.NewReadOnlyDagService(ng), n)
	if errors.Is(err, uio.ErrNotADir) {
		return cid.Undef, &noEntry{dir: c, name: name, file: true}
	}
	if err != nil {
		return cid.Undef, err
	}
	found, err := dir.Find(ctx, name)
	if errors.Is(err, os.ErrNotExist) {
		return cid.Undef, &noEntry{dir: c, name: name}
	}
	if err != nil {
		return cid.Undef, err
	}
	return found.Cid(), nil
}

// noEntry says that there is nothing of a name; IsNotFound holds for it.
type noEntry struct {
	dir  cid.Cid
	name string
	file bool // dir is a file
}

func (e *noEntry) Error() string {
	if e.file {
		return fmt.Sprintf("no %q: %s is a file", e.name, e.dir)
	}
	return fmt.Sprintf("no %q in %s", e.name, e.dir)
}

func (e *noEntry) Unwrap() error { return blocks.NotFound(e.dir) }
