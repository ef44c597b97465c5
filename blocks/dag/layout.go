package dag

import (
	"fmt"
	"strconv"
	"strings"

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
	CIDv0     bool  // CIDs of version 0 and leaves of dag-pb, not version 1 and raw
	OtherLeaf bool  // raw leaves with CIDv0, of dag-pb without
}

// Profile gives the layout of that name; "" is the default. Behind the name may
// stand what is other than in the profile: +chunk=BYTES, +links=NUMBER of a file's
// parents, +raw=true or false for its leaves.
func Profile(name string) (l Layout, err error) {
	name, changes, changed := strings.Cut(name, "+")
	switch name {
	case "", ProfileV1:
		l = layoutOf(uio.UnixFS_v1_2025)
	case ProfileV0:
		l = layoutOf(uio.UnixFS_v0_2015)
	default:
		return Layout{}, fmt.Errorf("dag: no profile %q: want %s or %s", name, ProfileV1, ProfileV0)
	}
	if !changed {
		return l, nil
	}
	for change := range strings.SplitSeq(changes, "+") {
		key, value, _ := strings.Cut(change, "=")
		switch key {
		case "chunk":
			l.ChunkSize, err = strconv.ParseInt(value, 10, 64)
		case "links":
			l.MaxLinks, err = strconv.Atoi(value)
		case "raw":
			var raw bool
			raw, err = strconv.ParseBool(value)
			l.OtherLeaf = raw == l.CIDv0
		default:
			err = fmt.Errorf("no such change: want chunk, links or raw")
		}
		if err != nil {
			return Layout{}, fmt.Errorf("dag: profile %s: %q: %w", name, change, err)
		}
	}
	return l, nil
}

// rawLeaves reports whether the leaves of a file are its bytes and nothing more.
func (l Layout) rawLeaves() bool { return l.CIDv0 == l.OtherLeaf }

func layoutOf(p uio.UnixFSProfile) Layout {
	return Layout{ChunkSize: p.ChunkSize, MaxLinks: p.FileDAGWidth, CIDv0: p.CIDVersion == 0}
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
