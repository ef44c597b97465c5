package disk

import (
	"bytes"
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"
	mh "github.com/multiformats/go-multihash"
)

// Count is how many blocks are held.
func (s *Store) Count() int64 { return s.ledger.held.Load() }

// Usage is how many bytes of the disk the blocks take.
func (s *Store) Usage(ctx context.Context) (int64, error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.users.Done()
	n, err := s.files.ds.DiskUsage(ctx)
	return int64(n), err
}

// count counts the held blocks once; Hold goes on from there.
func (l *ledger) count() (err error) {
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: []byte(byHash)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	var last []byte
	for ok := it.First(); ok && bytes.HasPrefix(it.Key(), []byte(byHash)); ok = it.Next() {
		if h := it.Key()[:len(it.Key())-idSize]; !bytes.Equal(h, last) {
			l.held.Add(1)
			last = append(last[:0], h...)
		}
	}
	return it.Error()
}

// unheld is how many of hs are under no lease. It is asked under mu.
func (l *ledger) unheld(hs []mh.Multihash) (n int64, err error) {
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: []byte(byHash)})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	seen := make(map[string]bool, len(hs))
	for _, h := range hs {
		k := key(byHash, h)
		if seen[string(k)] {
			continue
		}
		seen[string(k)] = true
		if !it.SeekGE(k) || !bytes.HasPrefix(it.Key(), k) {
			n++
		}
		if err := it.Error(); err != nil {
			return 0, err
		}
	}
	return n, nil
}
