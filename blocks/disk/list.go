package disk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

const idSize = len(blocks.LeaseID{})

// Lease gives the lease id as it is known here.
func (s *Store) Lease(ctx context.Context, id blocks.LeaseID) (l blocks.Lease, ok bool, err error) {
	if err = s.enter(); err == nil {
		defer s.users.Done()
		err = ctx.Err()
	}
	if err == nil {
		l, ok, err = getLease(s.index.db, id)
	}
	if err != nil {
		return l, false, fmt.Errorf("disk: lease: %w", err)
	}
	return l, ok, nil
}

// Leases gives the leases under which h is held, in order of their ids.
func (s *Store) Leases(ctx context.Context, h mh.Multihash) ([]blocks.Lease, error) {
	var out []blocks.Lease
	err := s.scan(ctx, key(byHash, h), func(k, value []byte) (bool, error) {
		if held, err := stands(value); err != nil || !held {
			return err == nil, err
		}
		id := blocks.LeaseID(k[len(k)-idSize:])
		l, ok, err := getLease(s.index.db, id)
		if ok {
			out = append(out, l)
		} else if err == nil {
			s.cfg.Log.Error("a lease is lost, its blocks are kept", "lease", id)
		}
		return err == nil, err
	})
	if err != nil {
		return nil, fmt.Errorf("disk: leases: %w", err)
	}
	return out, nil
}

// Held yields every block that is held, as it was when the loop began.
func (s *Store) Held(ctx context.Context) iter.Seq2[blocks.Holding, error] {
	return func(yield func(blocks.Holding, error) bool) {
		var at blocks.Holding
		known := make(map[blocks.LeaseID]blocks.Lease)
		more := true
		err := s.scan(ctx, []byte(byHash), func(k, value []byte) (bool, error) {
			if held, err := stands(value); err != nil || !held {
				return err == nil, err
			}
			h, id := k[len(byHash):len(k)-idSize], blocks.LeaseID(k[len(k)-idSize:])
			if !bytes.Equal(h, at.Hash) {
				if len(at.Leases) > 0 {
					more = yield(at, nil)
				}
				at = blocks.Holding{Hash: bytes.Clone(h)}
			}
			l, ok := known[id]
			if !ok {
				var err error
				if l, ok, err = getLease(s.index.db, id); err != nil {
					return false, err
				}
				if !ok {
					s.cfg.Log.Error("a lease is lost, its blocks are kept", "lease", id)
					return more, nil
				}
				known[id] = l
			}
			at.Leases = append(at.Leases, l)
			return more, nil
		})
		switch {
		case !more:
		case err != nil:
			yield(blocks.Holding{}, fmt.Errorf("disk: held: %w", err))
		case len(at.Leases) > 0:
			yield(at, nil)
		}
	}
}

// Under yields the blocks held under the lease id, as it was when the loop began.
func (s *Store) Under(ctx context.Context, id blocks.LeaseID) iter.Seq2[mh.Multihash, error] {
	return func(yield func(mh.Multihash, error) bool) {
		prefix := key(underID, id[:])
		err := s.scan(ctx, prefix, func(k, value []byte) (bool, error) {
			if held, err := stands(value); err != nil || !held {
				return err == nil, err
			}
			return yield(bytes.Clone(k[len(prefix):]), nil), nil
		})
		if err != nil {
			yield(nil, fmt.Errorf("disk: under: %w", err))
		}
	}
}

// Pins yields every pin, as it was when the loop began.
func (s *Store) Pins(ctx context.Context) iter.Seq2[blocks.Pin, error] {
	return func(yield func(blocks.Pin, error) bool) {
		err := s.scan(ctx, []byte(byRoot), func(_, value []byte) (bool, error) {
			at, text, err := parsePlace(value)
			if err != nil || at.state != there {
				return true, err
			}
			p, err := parsePin(text)
			if err != nil {
				return false, err
			}
			return yield(p, nil), nil
		})
		if err != nil {
			yield(blocks.Pin{}, fmt.Errorf("disk: pins: %w", err))
		}
	}
}

// Pinned gives the pin of root.
func (s *Store) Pinned(ctx context.Context, root cid.Cid) (p blocks.Pin, ok bool, err error) {
	k := key(byRoot, root.Bytes())
	err = s.scan(ctx, k, func(found, value []byte) (bool, error) {
		if !bytes.Equal(found, k) {
			return false, nil
		}
		at, text, err := parsePlace(value)
		if err == nil && at.state == there {
			p, err = parsePin(text)
			ok = err == nil
		}
		return false, err
	})
	if err != nil {
		return p, false, fmt.Errorf("disk: pinned: %w", err)
	}
	return p, ok, nil
}

func parsePin(text []byte) (p blocks.Pin, err error) {
	err = json.Unmarshal(text, &p)
	return p, err
}

// scan calls each for the entries below prefix in order, until it wants no more.
// k and value are good for the call only.
func (s *Store) scan(ctx context.Context, prefix []byte, each func(k, value []byte) (bool, error)) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.users.Done()
	if f := s.index.failed.Load(); f != nil {
		return f
	}
	return scanPrefix(s.index.db, prefix, func(k, value []byte) (bool, error) {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		return each(k, value)
	})
}
