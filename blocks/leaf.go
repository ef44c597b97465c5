package blocks

import "github.com/ipfs/go-cid"

// Leaf is where in a file the bytes of one of its blocks lie.
type Leaf struct {
	CID    cid.Cid
	Offset int64 // bytes
	Size   int64 // bytes of the file in it
}
