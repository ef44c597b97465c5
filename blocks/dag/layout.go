package dag

import (
	"fmt"

	"github.com/cairn-network/cairn/blocks"
	uio "github.com/ipfs/boxo/ipld/unixfs/io"
	"github.com/ipfs/go-cid"
)

// The named layouts, as IPIP-499 defines them.
const (
	ProfileV1 = "unixfs-v1-2025" // CIDv1, raw leaves of 1 MiB, 1024 links: the default
	ProfileV0 = "unixfs-v0-2015" // CIDv0, dag-pb leaves of 256 KiB, 174 links
)

// Layout says how a file is cut and hung together. The zero value is [ProfileV1].
type Layout struct {
	ChunkSize int64 // bytes of the file in a leaf; 0 is 1 MiB
	MaxLinks  int   // children of a parent; 0 is 1024
	CIDv0     bool  // CIDs of version 0, not 1; and, unless the rest says otherwise, leaves of dag-pb, not raw

	Leaves   blocks.Kinds // raw or dag-pb; "" is as CIDv0 has it
	Sharding Sharding     // when a directory is too large for a block; 0 is as CIDv0 has it

	Chunker string // that cuts by content, see [blocks.Layout]; "" is into pieces of ChunkSize
	Trickle bool   // not balanced
}

// Sharding is how it is told that a directory is too large for one block.
type Sharding uint8

// The ways of telling. Either limit is 256 KiB.
const (
	ShardByLinks Sharding = iota + 1 // names and CIDs of its entries, as all did before 2025
	ShardByBlock                     // its block
)

// Profile gives the layout of that name; "" is the default.
func Profile(name string) (Layout, error) {
	switch name {
	case "", ProfileV1:
		return layoutOf(uio.UnixFS_v1_2025), nil
	case ProfileV0:
		return layoutOf(uio.UnixFS_v0_2015), nil
	}
	return Layout{}, fmt.Errorf("dag: no profile %q: want %s or %s", name, ProfileV1, ProfileV0)
}

func layoutOf(p uio.UnixFSProfile) Layout {
	return Layout{ChunkSize: p.ChunkSize, MaxLinks: p.FileDAGWidth, CIDv0: p.CIDVersion == 0}
}

// LayoutOf is the layout that o asks for: its profile's, with what differs from it.
func LayoutOf(o blocks.PutOptions) (Layout, error) {
	l, err := Profile(o.Profile)
	if err != nil {
		return l, err
	}
	l.Sharding = l.sharding() // the profile's, whatever becomes of its version
	switch l.Leaves = o.Leaves; {
	case o.Leaves != "" && o.Leaves != blocks.LeavesRaw && o.Leaves != blocks.LeavesDagPB:
		return l, fmt.Errorf("dag: no leaves %q: want %s or %s", o.Leaves, blocks.LeavesRaw, blocks.LeavesDagPB)
	case o.Leaves == "" && o.CIDs == blocks.CIDv1:
		l.Leaves = blocks.LeavesRaw
	case o.Leaves == "":
		l.Leaves = l.leaves()
	}
	switch o.CIDs {
	case "":
	case blocks.CIDv0, blocks.CIDv1:
		l.CIDv0 = o.CIDs == blocks.CIDv0
	default:
		return l, fmt.Errorf("dag: no CID version %q: want 0 or 1", o.CIDs)
	}
	if o.Chunk != 0 {
		l.ChunkSize = o.Chunk
	}
	if o.Links != 0 {
		l.MaxLinks = o.Links
	}
	if l.Chunker, l.Trickle = o.Chunker, o.Trickle; l.Chunker != "" {
		if _, err := byContent(nil, l.Chunker); err != nil {
			return l, err
		}
	}
	if l.ChunkSize < 1 || l.ChunkSize > blocks.MaxSize {
		return l, fmt.Errorf("dag: chunks of %d bytes: want 1 to %d", l.ChunkSize, blocks.MaxSize)
	}
	return l, nil
}

func (l Layout) leaves() blocks.Kinds {
	switch {
	case l.Leaves != "":
		return l.Leaves
	case l.CIDv0:
		return blocks.LeavesDagPB
	}
	return blocks.LeavesRaw
}

func (l Layout) sharding() Sharding {
	switch {
	case l.Sharding != 0:
		return l.Sharding
	case l.CIDv0:
		return ShardByLinks
	}
	return ShardByBlock
}

func (l Layout) withDefaults() Layout {
	if l.ChunkSize == 0 {
		l.ChunkSize = uio.UnixFS_v1_2025.ChunkSize
	}
	if l.MaxLinks == 0 {
		l.MaxLinks = uio.UnixFS_v1_2025.FileDAGWidth
	}
	return l
}

func (l Layout) cidBuilder() cid.Builder {
	if l.CIDv0 {
		return uio.UnixFS_v0_2015.CidBuilder()
	}
	return uio.UnixFS_v1_2025.CidBuilder()
}
