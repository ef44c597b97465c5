package disk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cockroachdb/pebble/v2"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// Hold enters hs under l.
func (s *Store) Hold(ctx context.Context, l blocks.Lease, hs ...mh.Multihash) error {
	for _, h := range hs {
		if _, err := mh.Decode(h); err != nil {
			return fmt.Errorf("disk: hold: key %x: %w", []byte(h), err)
		}
	}
	id, fresh := l.ID(), int64(0)
	err := s.commit(ctx, "hold", func(b *pebble.Batch) (err error) {
		if fresh, err = s.ledger.unheld(hs); err != nil {
			return err
		}
		old, ok, err := getLease(s.ledger.db, id)
		if err != nil {
			return err
		}
		if !ok || l.Seq > old.Seq {
			if err := b.Set(key(byID, id[:]), l.Marshal(), nil); err != nil {
				return err
			}
		}
		for _, h := range hs {
			if err := b.Set(key(byHash, h, id[:]), nil, nil); err != nil {
				return err
			}
			if err := b.Set(key(underID, id[:], h), nil, nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.ledger.held.Add(fresh)
	}
	return err
}

// Release ends that hs are held under id.
func (s *Store) Release(ctx context.Context, id blocks.LeaseID, hs ...mh.Multihash) error {
	gone := int64(0)
	err := s.commit(ctx, "release", func(b *pebble.Batch) (err error) {
		gone, err = s.ledger.release(b, id, hs)
		return err
	})
	if err == nil {
		s.ledger.held.Add(-gone)
	}
	return err
}

// Pin writes p.
func (s *Store) Pin(ctx context.Context, p blocks.Pin) error {
	value, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("disk: pin: %w", err)
	}
	return s.commit(ctx, "pin", func(b *pebble.Batch) error {
		return b.Set(key(byRoot, p.Root.Bytes()), value, nil)
	})
}

// Unpin forgets the pin of root.
func (s *Store) Unpin(ctx context.Context, root cid.Cid) error {
	return s.commit(ctx, "unpin", func(b *pebble.Batch) error {
		return b.Delete(key(byRoot, root.Bytes()), nil)
	})
}

// commit writes what fill puts into a batch, all or nothing.
func (s *Store) commit(ctx context.Context, what string, fill func(*pebble.Batch) error) error {
	err := s.enter()
	if err == nil {
		defer s.users.Done()
		err = ctx.Err()
	}
	if err == nil {
		err = s.room(s.cfg.Reserve / 4)
	}
	if err == nil {
		err = s.ledger.commit(fill)
	}
	if err != nil {
		return fmt.Errorf("disk: %s: %w", what, spaced(err))
	}
	return nil
}

func key(prefix string, parts ...[]byte) []byte {
	return slices.Concat(append([][]byte{[]byte(prefix)}, parts...)...)
}

func getLease(r pebble.Reader, id blocks.LeaseID) (l blocks.Lease, ok bool, err error) {
	value, done, err := r.Get(key(byID, id[:]))
	if errors.Is(err, pebble.ErrNotFound) {
		return l, false, nil
	}
	if err != nil {
		return l, false, err
	}
	l, err = blocks.ParseLease(value)
	return l, true, errors.Join(err, done.Close())
}
