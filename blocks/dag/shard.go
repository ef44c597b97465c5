package dag

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/boxo/ipld/unixfs/hamt"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/spaolacci/murmur3"
)

// shardWidth is how many links a block of a sharded directory has at most: a byte of the
// hash of a name decides at each level.
const shardWidth = 256

// place is where a name stands in a sharded directory.
type place struct {
	hash [8]byte
	name string
}

// sharded makes the blocks of a directory that is too large for one, each once, those below
// it first. All of its links are known, so that it takes no more memory than they do:
// boxo's HAMT, whose blocks these are, is made to be changed.
func (b *builder) sharded(names []string, links map[string]*ipld.Link) (*ipld.Link, error) {
	all := make([]place, len(names))
	for i, name := range names {
		binary.BigEndian.PutUint64(all[i].hash[:], murmur3.Sum64([]byte(name)))
		all[i].name = name
	}
	slices.SortFunc(all, func(a, b place) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	return b.level(all, links, 0)
}

// level makes the block of names that have depth bytes of their hashes in common.
func (b *builder) level(all []place, links map[string]*ipld.Link, depth int) (*ipld.Link, error) {
	if depth == len(place{}.hash) {
		return nil, errors.New("two names with one hash")
	}
	n, has := new(merkledag.ProtoNode), [shardWidth / 8]byte{}
	for len(all) > 0 {
		slot, last := all[0].hash[depth], 1
		for last < len(all) && all[last].hash[depth] == slot {
			last++
		}
		prefix, link := fmt.Sprintf("%02X", slot), links[all[0].name]
		if last == 1 {
			prefix += all[0].name
		} else {
			var err error
			if link, err = b.level(all[:last], links, depth+1); err != nil {
				return nil, err
			}
		}
		if err := n.AddRawLink(prefix, link); err != nil {
			return nil, err
		}
		has[len(has)-1-int(slot)/8] |= 1 << (slot % 8)
		all = all[last:]
	}
	data, err := unixfs.HAMTShardData(bytes.TrimLeft(has[:], "\x00"), shardWidth, hamt.HashMurmur3)
	if err != nil {
		return nil, err
	}
	n.SetData(data)
	return b.give(n)
}
