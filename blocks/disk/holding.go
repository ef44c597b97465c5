package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/disk/seglog"
	"github.com/cockroachdb/pebble/v2"
	mh "github.com/multiformats/go-multihash"
)

// holding is what the log last said of a block and a lease: that the one is held
// under the other (there), or that it no longer is (gone).
type holding struct {
	state state
	seq   uint64 // of the record that says so
}

func (h holding) marshal() []byte {
	return binary.LittleEndian.AppendUint64([]byte{byte(h.state)}, h.seq)
}

func parseHolding(b []byte) (holding, error) {
	if len(b) != 9 || b[0] != byte(there) && b[0] != byte(gone) {
		return holding{}, fmt.Errorf("index: holding of %d bytes", len(b))
	}
	return holding{state(b[0]), binary.LittleEndian.Uint64(b[1:])}, nil
}

// stands reports whether value says that a block is held.
func stands(value []byte) (bool, error) {
	h, err := parseHolding(value)
	return h.state == there, err
}

// getHolding answers false when the log has said nothing of h and id.
func getHolding(r pebble.Reader, id []byte, h mh.Multihash) (out holding, ok bool, err error) {
	value, done, err := r.Get(key(byHash, h, id))
	if errors.Is(err, pebble.ErrNotFound) {
		return out, false, nil
	}
	if err != nil {
		return out, false, err
	}
	out, err = parseHolding(value)
	return out, true, errors.Join(err, done.Close())
}

// Release ends that hs are held under id. The lease itself is remembered: an older
// one never stands again.
func (s *Store) Release(ctx context.Context, id blocks.LeaseID, hs ...mh.Multihash) error {
	return s.commit(ctx, "release", func() ([]seglog.Record, error) { return s.holdings(kindRelease, id, hs) })
}

// holdings gives the records by which those of hs that are not held under id are from
// now on, or those that are no longer are.
func (s *Store) holdings(kind seglog.Kind, id blocks.LeaseID, hs []mh.Multihash) (recs []seglog.Record, err error) {
	var keys []byte
	for _, h := range hs {
		at, ok, err := getHolding(s.index.db, id[:], h)
		if err != nil {
			return nil, err
		}
		if held := ok && at.state == there; held == (kind == kindHold) {
			continue
		}
		if keys = appendHold(keys, h); len(keys) >= holdSize {
			recs = append(recs, seglog.Record{Kind: kind, Key: id[:], Data: keys})
			keys = nil
		}
	}
	if len(keys) > 0 {
		recs = append(recs, seglog.Record{Kind: kind, Key: id[:], Data: keys})
	}
	return recs, nil
}

// hold enters what a lease holds, or no longer holds.
func (c *change) hold(e *seglog.Entry, to state) error {
	hs, err := parseHold(e.Data)
	if err != nil {
		c.x.log.Error("record of the ledger is corrupt on disk", "err", err)
		return nil
	}
	c.seg(e.Pos.Seg).live += e.Size()
	for _, h := range hs {
		pending := c.holds[string(h)]
		at, ok := pending[string(e.Key)]
		known := c.x.named == nil || c.x.named.may(h)
		if !ok && known {
			if at, ok, err = getHolding(c.x.db, e.Key, h); err != nil {
				return err
			}
		}
		if ok && at.seq >= e.Seq {
			continue
		}
		before := false
		if known {
			if before, err = c.isHeld(h); err != nil {
				return err
			}
		} else {
			c.x.named.add(h)
		}
		if pending == nil {
			pending = map[string]holding{}
			c.holds[string(h)] = pending
		}
		now := holding{to, e.Seq}
		pending[string(e.Key)] = now
		after := to == there
		if before && !after {
			if after, err = c.isHeld(h); err != nil {
				return err
			}
		}
		switch {
		case after && !before:
			c.held++
		case before && !after:
			c.held--
		}
		value := now.marshal()
		if err := errors.Join(c.b.Set(key(byHash, h, e.Key), value, nil), c.b.Set(key(underID, e.Key, h), value, nil)); err != nil {
			return err
		}
	}
	return nil
}

// isHeld reports whether h is held under any lease, the batch included.
func (c *change) isHeld(h mh.Multihash) (held bool, err error) {
	pending := c.holds[string(h)]
	for _, p := range pending {
		if p.state == there {
			return true, nil
		}
	}
	prefix := key(byHash, h)
	err = scanPrefix(c.x.db, prefix, func(k, value []byte) (bool, error) {
		if _, newer := pending[string(k[len(prefix):])]; newer {
			return true, nil
		}
		held, err = stands(value)
		return !held, err
	})
	return held, err
}
