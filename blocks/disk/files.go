package disk

import (
	"context"
	"os"
	"path/filepath"
	"sync"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/boxo/datastore/dshelp"
	"github.com/ipfs/go-datastore"
	flatfs "github.com/ipfs/go-ds-flatfs"
	mh "github.com/multiformats/go-multihash"
)

// files is flatfs, and what it does not see to by itself: that a put which finds
// its block, or its directory, already made by another does not answer before
// that other's work is on the disk; and that a corrupt block can be replaced.
type files struct {
	ds    *flatfs.Datastore
	dir   string
	shard flatfs.ShardFunc

	keys [256]sync.Mutex // one put or delete of a key at a time; by a byte of the key

	mu     sync.Mutex
	made   map[string]bool // guarded by mu; directories that are surely in dir
	synced map[string]bool // guarded by mu; directories synced since the store was opened
	bad    map[string]bool // guarded by mu; multihashes whose bytes were found wrong
}

func (f *files) key(h mh.Multihash) (datastore.Key, string) {
	k := dshelp.MultihashToDsKey(h)
	return k, filepath.Join(f.dir, f.shard(k.String()[1:]))
}

func (f *files) lockKey(h mh.Multihash) *sync.Mutex {
	var last byte
	if len(h) > 0 {
		last = h[len(h)-1]
	}
	l := &f.keys[last]
	l.Lock()
	return l
}

// mkdirs makes the directories of bs, with one sync for all of them.
func (f *files) mkdirs(bs []blocks.Block) error {
	f.mu.Lock() // kept during the sync, so that nobody believes in a directory before
	defer f.mu.Unlock()
	var fresh []string
	for _, b := range bs {
		_, dir := f.key(b.Hash())
		if f.made[dir] {
			continue
		}
		if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
			return err
		}
		fresh = append(fresh, dir)
	}
	if len(fresh) == 0 {
		return nil
	}
	if err := syncPath(f.dir); err != nil {
		return err
	}
	for _, dir := range fresh {
		set(&f.made, dir)
	}
	return nil
}

// put keeps b, whose directory was made. It costs nothing if b is there, is
// whole, and its directory was synced once.
func (f *files) put(ctx context.Context, b blocks.Block) error {
	h := b.Hash()
	defer f.lockKey(h).Unlock()
	k, dir := f.key(h)
	size, err := f.ds.GetSize(ctx, k)
	there := err == nil && size == len(b.RawData()) && !f.isBad(h)
	switch {
	case there && f.isSynced(dir):
		return nil
	case there:
		err = syncPath(dir)
	default:
		err = f.ds.Put(ctx, k, b.RawData())
	}
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	set(&f.synced, dir)
	delete(f.bad, string(h))
	return nil
}

func (f *files) delete(ctx context.Context, h mh.Multihash) error {
	defer f.lockKey(h).Unlock()
	k, _ := f.key(h)
	if err := f.ds.Delete(ctx, k); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.bad, string(h))
	return nil
}

func (f *files) isSynced(dir string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.synced[dir]
}

func (f *files) isBad(h mh.Multihash) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bad[string(h)]
}

func (f *files) markBad(h mh.Multihash) {
	f.mu.Lock()
	defer f.mu.Unlock()
	set(&f.bad, string(h))
}

func set(m *map[string]bool, key string) {
	if *m == nil {
		*m = make(map[string]bool)
	}
	(*m)[key] = true
}
