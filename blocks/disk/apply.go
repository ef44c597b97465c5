package disk

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/disk/seglog"
	"github.com/cockroachdb/pebble/v2"
	mh "github.com/multiformats/go-multihash"
)

// The kinds of records. Their numbers stand on disks: none is ever used again.
const (
	kindBlock  seglog.Kind = 1 // multihash → bytes
	kindDelete seglog.Kind = 2 // multihash; the block is no more
	kindBad    seglog.Kind = 3 // multihash; the block with this sequence number is wrong
	kindLease  seglog.Kind = 4 // lease id → lease, as it was signed
	kindHold   seglog.Kind = 5 // lease id → multihashes, each behind its length in one byte
	kindPin    seglog.Kind = 6 // root → pin, JSON
	kindUnpin  seglog.Kind = 7 // root

	kindRelease seglog.Kind = 8 // lease id → multihashes, as those of a hold, which are held no more

	kindRecord seglog.Kind = 9  // kind and key of a record → the record
	kindDrop   seglog.Kind = 10 // kind and key of a record
)

// freed is the data of a block that was deleted.
type freed struct {
	pos    seglog.Pos
	key, n int
}

// change is a batch that is being filled.
type change struct {
	x      *index
	b      *pebble.Batch
	now    map[string][]byte             // what the batch has written, of keys with a place
	segs   map[uint32]*tally             // copies of tallies that change
	holds  map[string]map[string]holding // what the batch says of blocks and leases
	held   int64
	newest uint64
	said   []said // of blocks; nothing else depends on it
	freed  []freed
	key    []byte // to make keys in
}

// owed is a group that is in the log, and not in the index because that could not be
// read: nobody may enter a later one before it.
type owed struct {
	es  []seglog.Entry
	end seglog.Pos
}

// apply enters a group of the log, which ends at end. What it cannot enter is owed.
func (x *index) apply(es []seglog.Entry, end seglog.Pos) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	err := x.payLocked()
	if err == nil {
		err = x.enterLocked(es, end)
	}
	if err != nil && x.broken == nil && len(es) > 0 {
		x.owed = append(x.owed, owed{ours(es), end})
	}
	return err
}

// ours is a copy of es, which are lent, as far as the index wants them.
func ours(es []seglog.Entry) []seglog.Entry {
	es = slices.Clone(es)
	for i := range es {
		es[i].Key = bytes.Clone(es[i].Key)
		if es[i].Kind == kindBlock {
			es[i].Data = nil
		} else {
			es[i].Data = bytes.Clone(es[i].Data)
		}
	}
	return es
}

// payLocked enters what is owed, as far as the index can be read again.
func (x *index) payLocked() error {
	for len(x.owed) > 0 {
		if err := x.enterLocked(x.owed[0].es, x.owed[0].end); err != nil {
			return err
		}
		if x.owed = x.owed[1:]; len(x.owed) == 0 {
			x.owed = nil
			x.log.Info("index can be read again")
		}
	}
	return nil
}

func (x *index) enterLocked(es []seglog.Entry, end seglog.Pos) error {
	return x.batchLocked(end, func(c *change) error {
		for i := range es {
			if err := c.enter(&es[i]); err != nil {
				return err
			}
		}
		return c.blocks()
	})
}

// batchLocked writes what fill does to a change, all or nothing. When fill fails the
// index is as it was.
func (x *index) batchLocked(end seglog.Pos, fill func(*change) error) (err error) {
	if f := x.failed.Load(); f != nil {
		return f
	}
	if x.broken != nil {
		return x.broken
	}
	c := &change{x: x, b: x.db.NewBatch(), now: map[string][]byte{}, segs: map[uint32]*tally{}, holds: map[string]map[string]holding{}}
	if err := fill(c); err != nil {
		return errors.Join(fmt.Errorf("index: %w", err), c.b.Close())
	}
	at := x.at
	if at.pos.Before(end) {
		at.pos = end
	}
	at.seq, at.held = max(at.seq, c.newest+1), at.held+c.held
	err = c.b.Set([]byte(covered), at.marshal(), nil)
	for id, t := range c.segs {
		err = errors.Join(err, c.b.Set(segKey(id), t.marshal(), nil))
	}
	size := int64(c.b.Len())
	if err == nil {
		x.behind.Add(size)
		err = x.try(func() error { return errors.Join(c.b.Commit(pebble.NoSync), c.b.Close()) })
	}
	if err != nil {
		x.broken = fmt.Errorf("index: %w", err)
		return x.broken
	}
	rolled := at.pos.Seg != x.at.pos.Seg
	x.at = at
	x.held.Add(c.held)
	x.freed = append(x.freed, c.freed...)
	for id, t := range c.segs {
		if old := x.segs[id]; old != nil {
			x.sums(old, -1)
		}
		x.sums(t, 1)
		x.segs[id] = t
	}
	// So that the tail to replay stays short; not while several wait already. A batch as
	// large as half of what waits together is flushed at once as it is.
	if rolled && size < memTable/2 && !x.ailing() && x.behind.Load() < memTable*memTables/4 {
		x.behind.Add(memTable)
		return x.try(func() error {
			_, err := x.db.AsyncFlush()
			return err
		})
	}
	return nil
}

func (c *change) seg(id uint32) *tally {
	t := c.segs[id]
	if t == nil {
		t = new(tally)
		if old := c.x.segs[id]; old != nil {
			*t = *old
		}
		c.segs[id] = t
	}
	return t
}

// place is where the record of k is now, and what else stands there.
func (c *change) place(k []byte) (p place, rest []byte, ok bool, err error) {
	value, changed := c.now[string(k)]
	if !changed {
		var done interface{ Close() error }
		value, done, err = c.x.db.Get(k)
		if errors.Is(err, pebble.ErrNotFound) {
			return p, nil, false, nil
		}
		if err != nil {
			return p, nil, false, err
		}
		value = bytes.Clone(value)
		if err := done.Close(); err != nil {
			return p, nil, false, err
		}
	}
	p, rest, err = parsePlace(value)
	return p, rest, err == nil, err
}

func (c *change) set(k []byte, p place, rest []byte) error {
	value := append(p.append(make([]byte, 0, placeSize+len(rest))), rest...)
	c.now[string(k)] = value
	return c.b.Set(k, value, nil)
}

// leave takes the record at p, whose key has n bytes, out of its segment's tally.
func (c *change) leave(p place, n int) {
	t, size := c.seg(p.pos.Seg), seglog.Size(n, p.n)
	switch p.state {
	case there:
		t.live -= size
	case rotten:
		t.bad--
	case bad:
		t.bad--
		t.tomb -= size
	case gone:
		t.tomb -= size
	}
}

// enter does what one record says; what it says of a block is noted for later.
func (c *change) enter(e *seglog.Entry) error {
	t := c.seg(e.Pos.Seg)
	t.newest = max(t.newest, e.Seq)
	c.newest = max(c.newest, e.Seq)
	if e.Kind != kindDelete && e.Kind != kindBad && e.Kind != kindUnpin && e.Kind != kindRelease && e.Kind != kindDrop && (t.oldest == 0 || e.Seq < t.oldest) {
		t.oldest = e.Seq
	}
	p := place{state: there, pos: e.Pos, n: e.Len, seq: e.Seq}
	switch e.Kind {
	case kindBlock, kindDelete, kindBad:
		c.said = append(c.said, said{first(e.Key), e})
		return nil
	case kindUnpin:
		return c.gone(key(byRoot, e.Key), e, p)
	case kindDrop:
		return c.gone(key(byRecord, e.Key), e, p)
	}
	if e.Damaged {
		c.x.log.Error("record of the ledger is corrupt on disk", "kind", int(e.Kind), "key", fmt.Sprintf("%x", e.Key))
		return nil
	}
	switch e.Kind {
	case kindLease:
		return c.lease(e, p)
	case kindHold:
		return c.hold(e, there)
	case kindRelease:
		return c.hold(e, gone)
	case kindPin:
		return c.latest(key(byRoot, e.Key), e, p)
	case kindRecord:
		return c.latest(key(byRecord, e.Key), e, p)
	}
	c.x.log.Warn("record of an unknown kind", "kind", int(e.Kind))
	return nil
}

// gone enters that what has the key k is no more.
func (c *change) gone(k []byte, e *seglog.Entry, p place) error {
	old, _, ok, err := c.place(k)
	if err != nil || ok && !p.younger(old) {
		return err
	}
	if ok {
		c.leave(old, len(e.Key))
	}
	p.state = gone
	c.seg(e.Pos.Seg).tomb += e.Size()
	return c.set(k, p, nil)
}

// latest enters what stands under k until a younger record says otherwise: a pin, a record.
func (c *change) latest(k []byte, e *seglog.Entry, p place) error {
	old, _, ok, err := c.place(k)
	if err != nil || ok && !p.younger(old) {
		return err
	}
	if ok {
		c.leave(old, len(e.Key))
	}
	c.seg(e.Pos.Seg).live += e.Size()
	return c.set(k, p, e.Data)
}

// lease enters a lease, unless one with a higher sequence number of its own stands.
func (c *change) lease(e *seglog.Entry, p place) error {
	l, err := blocks.ParseLease(e.Data)
	if err != nil {
		c.x.log.Error("record of the ledger is corrupt on disk", "err", err)
		return nil
	}
	k := key(byID, e.Key)
	old, text, ok, err := c.place(k)
	if err != nil {
		return err
	}
	if ok {
		was, err := blocks.ParseLease(text)
		if err != nil {
			return err
		}
		if was.Seq > l.Seq || was.Seq == l.Seq && !p.younger(old) {
			return nil
		}
		c.leave(old, len(e.Key))
	}
	c.seg(e.Pos.Seg).live += e.Size()
	return c.set(k, p, e.Data)
}

// appendHold appends h to the data of a hold.
func appendHold(b []byte, h mh.Multihash) []byte { return append(append(b, byte(len(h))), h...) }

func parseHold(b []byte) (hs []mh.Multihash, err error) {
	for len(b) > 0 {
		n := int(b[0])
		if n == 0 || len(b) < 1+n {
			return nil, fmt.Errorf("hold ends in the middle of a key of %d bytes", n)
		}
		hs = append(hs, mh.Multihash(b[1:1+n]))
		b = b[1+n:]
	}
	return hs, nil
}
