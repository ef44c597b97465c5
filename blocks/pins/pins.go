// Package pins finds what must stay because somebody wants it here.
//
//	roots → walk of what is here → the set of blocks below them
//
// [Mark] reads from the store it is given and never from the network: what is not
// here cannot be lost. It promises that every block below every root is in the
// set; where it cannot know what is below a block, because that block is missing
// or unreadable, it says so in place of a set, since whoever collects by a set
// with a hole in it loses data. It starts no goroutine.
package pins

import (
	"context"
	"errors"
	"fmt"

	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	mh "github.com/multiformats/go-multihash"
)

// Set is a set of blocks. It takes some 40 bytes for each: it knows a block by the
// last 16 bytes of its multihash. Two blocks that share those are kept together,
// which costs a cryptographer space on a disk and nobody data.
type Set struct{ m map[[16]byte]struct{} }

func short(h mh.Multihash) (k [16]byte) {
	copy(k[:], h[max(0, len(h)-len(k)):])
	return k
}

// Add puts h into s.
func (s *Set) Add(h mh.Multihash) {
	if s.m == nil {
		s.m = map[[16]byte]struct{}{}
	}
	s.m[short(h)] = struct{}{}
}

// Has reports whether h is in s.
func (s *Set) Has(h mh.Multihash) bool {
	_, ok := s.m[short(h)]
	return ok
}

// Len is the number of blocks in s.
func (s *Set) Len() int { return len(s.m) }

// GapError says that a pinned tree is not whole here, so that what is below the gap
// is not known.
type GapError struct {
	Root cid.Cid
	Err  error // names the block
}

func (e *GapError) Error() string {
	if lost := (ipld.ErrNotFound{}); errors.As(e.Err, &lost) {
		return fmt.Sprintf("block %s of what is pinned as %s is missing here", lost.Cid, e.Root)
	}
	return fmt.Sprintf("what is pinned as %s cannot be read here: %v", e.Root, e.Err)
}

// Mark gives the blocks below roots, the roots among them. local must not ask the
// network. The answer is a [*GapError] when a tree is not whole; tell hears how many
// blocks were found so far.
func Mark(ctx context.Context, local ipld.NodeGetter, roots []cid.Cid, tell func(found int)) (*Set, error) {
	set := &Set{}
	for _, root := range roots {
		for v, err := range dag.Walk(ctx, local, root) {
			if err != nil {
				if ctx.Err() != nil {
					return nil, fmt.Errorf("pins: mark: %w", ctx.Err())
				}
				return nil, fmt.Errorf("pins: mark: %w", &GapError{root, err})
			}
			set.Add(v.CID.Hash())
			if tell != nil && set.Len()%1024 == 0 {
				tell(set.Len())
			}
		}
	}
	return set, nil
}
