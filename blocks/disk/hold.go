package disk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/disk/seglog"
	"github.com/cockroachdb/pebble/v2"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// holdSize is how many bytes of keys one record of a lease has at most.
const holdSize = 256 << 10

// Hold enters hs under l.
func (s *Store) Hold(ctx context.Context, l blocks.Lease, hs ...mh.Multihash) error {
	for _, h := range hs {
		if _, err := mh.Decode(h); err != nil {
			return fmt.Errorf("disk: hold: key %x: %w", []byte(h), err)
		}
		if len(h) > seglog.MaxKey {
			return fmt.Errorf("disk: hold: %w: key of %d bytes", blocks.ErrUnfit, len(h))
		}
	}
	if err := s.flights.settle(ctx, hs); err != nil {
		return fmt.Errorf("disk: hold: %w", err)
	}
	// The lease is on the disk before anything says that it holds: of a group that
	// is torn any record may be left.
	id := l.ID()
	if err := s.commit(ctx, "hold", func() ([]seglog.Record, error) {
		old, ok, err := getLease(s.index.db, id)
		if err != nil || ok && l.Seq <= old.Seq {
			return nil, err
		}
		return []seglog.Record{{Kind: kindLease, Key: id[:], Data: l.Marshal()}}, nil
	}); err != nil {
		return err
	}
	return s.commit(ctx, "hold", func() ([]seglog.Record, error) { return s.holdings(kindHold, id, hs) })
}

// Pin writes p.
func (s *Store) Pin(ctx context.Context, p blocks.Pin) error {
	value, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("disk: pin: %w", err)
	}
	return s.commit(ctx, "pin", func() ([]seglog.Record, error) {
		return []seglog.Record{{Kind: kindPin, Key: p.Root.Bytes(), Data: value}}, nil
	})
}

// Unpin forgets the pin of root.
func (s *Store) Unpin(ctx context.Context, root cid.Cid) error {
	return s.commit(ctx, "unpin", func() ([]seglog.Record, error) {
		p, ok, err := s.index.place(key(byRoot, root.Bytes()))
		if err != nil || !ok || p.state == gone {
			return nil, err
		}
		return []seglog.Record{{Kind: kindUnpin, Key: root.Bytes()}}, nil
	})
}

// commit writes the records that make gives.
func (s *Store) commit(ctx context.Context, what string, records func() ([]seglog.Record, error)) error {
	err := s.enter()
	if err == nil {
		defer s.users.Done()
		err = errors.Join(ctx.Err(), s.writable())
	}
	if err == nil {
		err = s.room(s.cfg.Reserve / 4)
	}
	if err == nil {
		err = s.index.paid()
	}
	var recs []seglog.Record
	if err == nil {
		recs, err = records()
	}
	switch {
	case err != nil:
	case len(recs) == 0:
		err = s.sure(ctx)
	default:
		if err = s.index.sound(); err == nil {
			_, err = s.log.Append(ctx, recs...)
		}
	}
	if err != nil {
		return fmt.Errorf("disk: %s: %w", what, spaced(err))
	}
	return nil
}

// Count is how many blocks are held.
func (s *Store) Count() int64 { return s.index.held.Load() }

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
	_, text, err := parsePlace(value)
	if err == nil {
		l, err = blocks.ParseLease(text)
	}
	return l, true, errors.Join(err, done.Close())
}
