package dag

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	uio "github.com/ipfs/boxo/ipld/unixfs/io"
	ipld "github.com/ipfs/go-ipld-format"
)

// The limits of a tree. A path leaves room for the CID before it.
const (
	maxItems    = 1 << 20
	maxItemPath = maxPath - 128 // bytes
	maxTarget   = 4 << 10       // bytes of a symlink
)

// Build yields the blocks of the tree that items make, children before parents
// and the root last, as [Split] does for a file: each file when its item comes,
// the directories at the end. The root depends on paths, kinds and bytes only,
// not on the order of the items. A directory that is too large for one block
// is sharded. An item with a name that a directory may not have, and one that is there
// twice, is a [*blocks.NameError]. After an error it yields nothing more.
func Build(items iter.Seq2[blocks.Item, error], l Layout) iter.Seq2[blocks.Block, error] {
	l = l.withDefaults()
	return func(yield func(blocks.Block, error) bool) {
		b := builder{l: l, yield: yield, top: &folder{}}
		err := b.items(items)
		if err == nil {
			_, err = b.fold(b.top)
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(blocks.Block{}, fmt.Errorf("dag: build: %w", err))
		}
	}
}

type builder struct {
	l     Layout
	yield func(blocks.Block, error) bool
	top   *folder
	n     int
}

// folder is a directory whose entries are not all known yet.
type folder struct {
	said bool                  // it had an item of its own
	dirs map[string]*folder    // by name
	rest map[string]*ipld.Link // files and symlinks by name
}

func (b *builder) items(items iter.Seq2[blocks.Item, error]) error {
	for it, err := range items {
		if err != nil {
			return err
		}
		if b.n++; b.n > maxItems {
			return fmt.Errorf("more than %d entries in a tree", maxItems)
		}
		if err := b.add(it); err != nil {
			return err
		}
	}
	return nil
}

// add finds the place of it, and makes the blocks of a file or a symlink.
func (b *builder) add(it blocks.Item) error {
	bad := func(reason string) error { return &blocks.NameError{Path: it.Path, Reason: reason} }
	if it.Path == "" {
		if it.Kind != blocks.KindDir {
			return bad("an empty name")
		}
		return nil
	}
	names := strings.Split(it.Path, "/")
	switch {
	case len(it.Path) > maxItemPath:
		return bad(fmt.Sprintf("a path of %d bytes, limit %d", len(it.Path), maxItemPath))
	case len(names) > maxSegments:
		return bad(fmt.Sprintf("deeper than %d names", maxSegments))
	}
	for _, name := range names {
		if reason := blocks.CheckName(name); reason != "" {
			return bad(reason + " is not allowed")
		}
	}
	at, last := b.top, names[len(names)-1]
	for _, name := range names[:len(names)-1] {
		if at = at.open(name); at == nil {
			return bad(fmt.Sprintf("%q is there already and is no directory", name))
		}
	}
	if it.Kind == blocks.KindDir {
		d := at.open(last)
		if d == nil || d.said {
			return bad("is there already")
		}
		d.said = true
		return nil
	}
	if at.rest[last] != nil || at.dirs[last] != nil {
		return bad("is there already")
	}
	link, err := b.leaf(it)
	if err != nil {
		return err
	}
	if at.rest == nil {
		at.rest = make(map[string]*ipld.Link)
	}
	at.rest[last] = link
	return nil
}

// open gives the directory name of f, made if need be; nil: it is no directory.
func (f *folder) open(name string) *folder {
	if f.rest[name] != nil {
		return nil
	}
	if f.dirs[name] == nil {
		if f.dirs == nil {
			f.dirs = make(map[string]*folder)
		}
		f.dirs[name] = &folder{}
	}
	return f.dirs[name]
}

// leaf makes the blocks of a file or a symlink. What their sizes add up to is what
// every other program writes into a link.
func (b *builder) leaf(it blocks.Item) (*ipld.Link, error) {
	switch it.Kind {
	case blocks.KindFile:
		link := new(ipld.Link)
		for block, err := range Split(it.Body, b.l) {
			if err != nil {
				return nil, fmt.Errorf("entry %q: %w", it.Path, err)
			}
			link.Cid, link.Size = block.Cid(), link.Size+uint64(len(block.RawData()))
			if !b.yield(block, nil) {
				return nil, errStopped
			}
		}
		return link, nil
	case blocks.KindSymlink:
		if it.Target == "" || len(it.Target) > maxTarget || strings.IndexByte(it.Target, 0) >= 0 {
			return nil, &blocks.NameError{Path: it.Path, Reason: fmt.Sprintf("a symlink to %q is not allowed", it.Target)}
		}
		data, err := unixfs.SymlinkData(it.Target)
		if err != nil {
			return nil, err
		}
		return b.give(merkledag.NodeWithData(data))
	}
	return nil, &blocks.NameError{Path: it.Path, Reason: fmt.Sprintf("kind %q is not put", it.Kind)}
}

// give yields the block of n and gives a link to it.
func (b *builder) give(n *merkledag.ProtoNode) (*ipld.Link, error) {
	if err := n.SetCidBuilder(b.l.cidBuilder()); err != nil {
		return nil, err
	}
	if err := sink(b.yield).Add(context.Background(), n); err != nil {
		return nil, err
	}
	return ipld.MakeLink(n)
}

// fold makes the blocks of f, those of the directories in it first.
func (b *builder) fold(f *folder) (*ipld.Link, error) {
	links := f.rest
	if links == nil {
		links = make(map[string]*ipld.Link)
	}
	for _, name := range slices.Sorted(maps.Keys(f.dirs)) {
		link, err := b.fold(f.dirs[name])
		if err != nil {
			return nil, err
		}
		links[name] = link
	}
	f.dirs, f.rest = nil, nil
	names := slices.Sorted(maps.Keys(links))
	n, err := b.plain(names, links)
	if err != nil {
		return nil, err
	}
	if n == nil {
		return b.sharded(names, links)
	}
	return b.give(n)
}

// plain makes a directory of one block, or none when the profile wants it sharded.
func (b *builder) plain(names []string, links map[string]*ipld.Link) (*merkledag.ProtoNode, error) {
	p, size := uio.UnixFS_v1_2025, 0
	if b.l.sharding() == ShardByLinks {
		p = uio.UnixFS_v0_2015
	}
	n := unixfs.EmptyDirNode()
	for _, name := range names {
		if size += len(name) + links[name].Cid.ByteLen(); size > p.HAMTShardingSize {
			return nil, nil // too large by either way of counting
		}
		if err := n.AddRawLink(name, links[name]); err != nil {
			return nil, err
		}
	}
	if p.HAMTSizeEstimation == uio.SizeEstimationBlock {
		data, err := n.EncodeProtobuf(false)
		if err != nil {
			return nil, err
		}
		if len(data) > p.HAMTShardingSize {
			return nil, nil
		}
	}
	return n, nil
}

// totalOf is what the root of a node says that all blocks under it add up to.
func totalOf(n ipld.Node) int64 {
	size := uint64(len(n.RawData()))
	for _, l := range n.Links() {
		if size += l.Size; int64(l.Size) < 0 || int64(size) < 0 {
			return -1
		}
	}
	return int64(size)
}
