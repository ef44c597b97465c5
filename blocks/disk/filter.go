package disk

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

const (
	filterBits  = 12      // of a key
	filterWords = 8       // of a line, in which a key has one bit each
	filterLeast = 1 << 16 // keys of the first layer
)

// filter says of most keys that were never added that they were not: a Bloom
// filter whose layers double, of two or three bytes a key. It never forgets one.
type filter struct {
	seed   maphash.Seed
	ready  atomic.Bool // all that was there before has been added
	layers atomic.Pointer[[]*layer]

	mu sync.Mutex // adds a layer
}

type layer struct {
	lines uint64
	words []atomic.Uint64
	room  atomic.Int64 // keys that it takes yet
}

func newFilter(keys int64) *filter {
	f := &filter{seed: maphash.MakeSeed()}
	f.layers.Store(&[]*layer{newLayer(max(2*keys, filterLeast))})
	return f
}

func newLayer(keys int64) *layer {
	lines := uint64(keys*filterBits/(64*filterWords) + 1)
	l := &layer{lines: lines, words: make([]atomic.Uint64, lines*filterWords)}
	l.room.Store(keys)
	return l
}

// at gives the words of the line of a hash.
func (l *layer) at(hash uint64) []atomic.Uint64 {
	i := (hash >> 32) * l.lines >> 32 * filterWords
	return l.words[i : i+filterWords]
}

// salts make the bits of a key independent of each other; they are those of
// Parquet's split block filter.
var salts = [filterWords]uint32{
	0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31,
}

// bit is the bit of the word i that a hash has.
func bit(hash uint64, i int) uint64 { return 1 << (uint32(hash) * salts[i] >> 26) }

func (f *filter) add(key []byte) {
	hash := maphash.Bytes(f.seed, key)
	ls := *f.layers.Load()
	l := ls[len(ls)-1]
	for i := range filterWords {
		l.at(hash)[i].Or(bit(hash, i))
	}
	if l.room.Add(-1) == 0 { // the one that takes the last room makes more
		f.mu.Lock()
		defer f.mu.Unlock()
		ls = *f.layers.Load()
		ls = append(ls[:len(ls):len(ls)], newLayer(2*int64(l.lines)*64*filterWords/filterBits))
		f.layers.Store(&ls)
	}
}

// may reports whether key may have been added.
func (f *filter) may(key []byte) bool {
	if !f.ready.Load() {
		return true
	}
	hash := maphash.Bytes(f.seed, key)
next:
	for _, l := range *f.layers.Load() {
		line := l.at(hash)
		for i := range filterWords {
			if line[i].Load()&bit(hash, i) == 0 {
				continue next
			}
		}
		return true
	}
	return false
}
