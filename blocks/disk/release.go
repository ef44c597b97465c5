package disk

import (
	"bytes"
	"errors"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cockroachdb/pebble/v2"
	mh "github.com/multiformats/go-multihash"
)

// release puts into b that hs are no longer held under id, and tells how many of them
// are held no more at all. It is asked under mu.
func (l *ledger) release(b *pebble.Batch, id blocks.LeaseID, hs []mh.Multihash) (gone int64, err error) {
	it, err := l.db.NewIter(nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	// count gives how many keys begin with prefix, 2 for more than one.
	count := func(prefix []byte) (n int) {
		for ok := it.SeekGE(prefix); ok && n < 2 && bytes.HasPrefix(it.Key(), prefix); ok = it.Next() {
			n++
		}
		return n
	}
	released := map[string]bool{}
	for _, h := range hs {
		k := key(byHash, h, id[:])
		if released[string(h)] || !it.SeekGE(k) || !bytes.Equal(it.Key(), k) {
			continue
		}
		released[string(h)] = true
		if count(key(byHash, h)) == 1 {
			gone++
		}
		if err := errors.Join(b.Delete(k, nil), b.Delete(key(underID, id[:], h), nil)); err != nil {
			return 0, err
		}
	}
	under, last := key(underID, id[:]), true
	for ok := it.SeekGE(under); ok && last && bytes.HasPrefix(it.Key(), under); ok = it.Next() {
		last = released[string(it.Key()[len(under):])]
	}
	if last {
		err = b.Delete(key(byID, id[:]), nil)
	}
	return gone, errors.Join(err, it.Error())
}
