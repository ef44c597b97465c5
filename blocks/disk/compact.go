package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/disk/seglog"
	"github.com/cockroachdb/pebble/v2"
	mh "github.com/multiformats/go-multihash"
)

// Reclaimed is what Compact gave back.
type Reclaimed struct {
	Segments int   `json:"segments"`
	Bytes    int64 `json:"bytes"` // of their files, less what was copied out of them
}

// How many bytes a compaction copies at a time. Who writes meanwhile waits for as
// many to get on the disk.
const (
	movedBusy = 128 << 10
	movedIdle = 4 << 20
)

// Compact copies what is needed out of every segment that is less than half
// alive, or that takes half as much of the disk again as it needs, and removes it. Readers notice nothing. tell, if there is one, is told
// the bytes of segments done and to do.
func (s *Store) Compact(ctx context.Context, tell func(done, total int64)) (Reclaimed, error) {
	r, err := s.compact(ctx, tell, false)
	if err != nil {
		return r, fmt.Errorf("disk: compact: %w", spaced(err))
	}
	return r, nil
}

// compact is Compact; gently, it rests as long as it works, and not only when
// others are at work.
func (s *Store) compact(ctx context.Context, tell func(done, total int64), gently bool) (r Reclaimed, err error) {
	if err := s.enter(); err != nil {
		return r, err
	}
	defer s.users.Done()
	if err := s.writable(); err != nil {
		return r, err
	}
	s.compacting.Lock()
	defer s.compacting.Unlock()
	if err := s.rollSparse(ctx); err != nil {
		return r, err
	}
	segs, err := s.sparse()
	if err != nil {
		return r, err
	}
	var done, total int64
	for _, g := range segs {
		total += g.Size
	}
	for _, g := range segs {
		m := &mover{s: s, id: g.ID, gently: gently}
		if err := m.move(ctx); err != nil {
			return r, err
		}
		if done += g.Size; tell != nil {
			tell(done, total)
		}
		r.Segments++
		r.Bytes += max(min(g.Size, g.Disk)-m.copied, 0)
	}
	return r, nil
}

// rollSparse begins a new segment if that which is written to is worth compacting.
func (s *Store) rollSparse(ctx context.Context) error {
	segs, err := s.log.Segments()
	if err != nil {
		return err
	}
	for _, g := range segs {
		if g.ID == s.log.Head() && g.Size > leastRolled && s.index.worth(g) {
			return s.log.Roll(ctx)
		}
	}
	return nil
}

const leastRolled = 1 << 20 // bytes: a smaller segment is left until it is full

// sparse lists the segments that are worth compacting.
func (s *Store) sparse() (out []seglog.Segment, err error) {
	segs, err := s.log.Segments()
	if err != nil {
		return nil, err
	}
	for _, g := range segs {
		if g.ID != s.log.Head() && (s.index.worth(g) || s.index.isDropped(g.ID) && s.log.Removable(g.ID)) {
			out = append(out, g)
		}
	}
	return out, nil
}

// worth reports whether g is worth compacting.
func (x *index) worth(g seglog.Segment) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	t, size := x.segs[g.ID], g.Size-seglog.HeaderSize
	if t == nil || t.dropped || size <= 0 {
		return false
	}
	needed := t.live
	if !x.forgettableLocked(g.ID, t.newest) {
		needed += t.tomb
	}
	return needed < size/2 || needed+needed/2 < min(size, g.Disk)
}

func (x *index) isDropped(id uint32) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	t := x.segs[id]
	return t != nil && t.dropped
}

// forgettableLocked reports whether a delete with that sequence number in the
// segment id is needed no more: nothing as old is left in any other.
func (x *index) forgettableLocked(id uint32, seq uint64) bool {
	for other, t := range x.segs {
		if other != id && !t.dropped && t.oldest != 0 && t.oldest <= seq {
			return false
		}
	}
	return true
}

// mover empties one segment.
type mover struct {
	s      *Store
	id     uint32
	gently bool

	batch  []seglog.Record
	size   int64
	copied int64
	holds  int64    // bytes of holds seen, which stay in the tally
	forget [][]byte // keys of the index whose deletes are needed no more
	over   []ended  // holdings whose release is needed no more
	rest   func(context.Context) (busy bool)
	busy   bool // others are at work
}

func (m *mover) move(ctx context.Context) error {
	x := m.s.index
	if err := x.paid(); err != nil { // what the index does not know would be left behind
		return err
	}
	if !x.isDropped(m.id) {
		m.rest, m.busy = m.s.resting(m.gently), true // until it is known better
		err := m.s.log.Scan(m.id, func(e seglog.Entry) error { return m.one(ctx, e) })
		if err == nil {
			err = m.flush(ctx)
		}
		if err == nil {
			err = m.stragglers(ctx)
		}
		if err == nil {
			err = m.drop()
		}
		if err != nil {
			return err
		}
	}
	if !m.s.log.Removable(m.id) {
		return nil // when the one before it is gone
	}
	if err := m.s.log.Remove(ctx, m.id); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.segs, m.id)
	return x.try(func() error { return x.db.Delete(segKey(m.id), pebble.NoSync) })
}

// one takes e along if it is needed.
func (m *mover) one(ctx context.Context, e seglog.Entry) error {
	k := key(byBlock, e.Key)
	switch e.Kind {
	case kindHold, kindRelease:
		m.holds += e.Size()
		if e.Damaged {
			return m.holdings(e.Key)
		}
		if err := m.hold(e); err != nil {
			return err
		}
		return m.full(ctx)
	case kindLease:
		k = key(byID, e.Key)
	case kindPin, kindUnpin:
		k = key(byRoot, e.Key)
	case kindRecord, kindDrop:
		k = key(byRecord, e.Key)
	case kindBlock, kindDelete, kindBad:
	default:
		m.take(e) // of a later program
		return m.full(ctx)
	}
	p, ok, err := m.s.index.place(k)
	if err != nil || !ok || p.pos != e.Pos {
		return err
	}
	if p.state == there && !e.Damaged {
		m.take(e)
		return m.full(ctx)
	}
	return m.odd(ctx, k, p)
}

// odd takes along what the index says of k, which the segment does not, or which
// is gone.
func (m *mover) odd(ctx context.Context, k []byte, p place) error {
	x, prefix, bare := m.s.index, string(k[:2]), bytes.Clone(k[2:])
	switch {
	case p.state == there && prefix != byBlock: // the index has the bytes
		value, done, err := x.db.Get(k)
		if err != nil {
			return err
		}
		kind := kindLease
		switch prefix {
		case byRoot:
			kind = kindPin
		case byRecord:
			kind = kindRecord
		}
		m.add(seglog.Record{Kind: kind, Key: bare, Data: bytes.Clone(value[placeSize:]), Seq: p.seq})
		if err := done.Close(); err != nil {
			return err
		}
	case p.state == there: // it is condemned, or written again if its checksum alone is wrong
		if _, _, err := m.s.verifyOne(ctx, bare); err != nil && !blocks.IsNotFound(err) {
			return err
		}
		if p, ok, err := x.place(k); err != nil || ok && p.state == there && p.pos.Seg == m.id {
			return errors.Join(err, fmt.Errorf("segment %d: block %x can neither be moved nor put aside", m.id, bare))
		}
	case p.state == rotten:
		m.add(seglog.Record{Kind: kindBad, Key: bare, Seq: p.seq})
	default:
		x.mu.Lock()
		needless := x.forgettableLocked(m.id, p.seq)
		x.mu.Unlock()
		switch {
		case needless:
			m.forget = append(m.forget, bytes.Clone(k))
			return nil
		case p.state == bad:
			m.add(seglog.Record{Kind: kindBad, Key: bare, Seq: p.seq})
		case prefix == byRoot:
			m.add(seglog.Record{Kind: kindUnpin, Key: bare, Seq: p.seq})
		case prefix == byRecord:
			m.add(seglog.Record{Kind: kindDrop, Key: bare, Seq: p.seq})
		default:
			m.add(seglog.Record{Kind: kindDelete, Key: bare, Seq: p.seq})
		}
	}
	return m.full(ctx)
}

// ended is a holding that was released.
type ended struct {
	id  []byte
	h   mh.Multihash
	seq uint64 // of the release
}

// hold takes along what of a hold or a release no later record has undone.
func (m *mover) hold(e seglog.Entry) error {
	hs, err := parseHold(e.Data)
	if err != nil {
		return nil // the index took nothing from it either
	}
	x, says := m.s.index, there
	needless := false
	if e.Kind == kindRelease {
		says = gone
		x.mu.Lock()
		needless = x.forgettableLocked(m.id, e.Seq)
		x.mu.Unlock()
	}
	var keys []byte
	for _, h := range hs {
		at, ok, err := getHolding(x.db, e.Key, h)
		if err != nil {
			return err
		}
		switch {
		case !ok || at != holding{says, e.Seq}:
		case needless:
			m.over = append(m.over, ended{bytes.Clone(e.Key), bytes.Clone(h), e.Seq})
		default:
			keys = appendHold(keys, h)
		}
	}
	if len(keys) > 0 {
		m.add(seglog.Record{Kind: e.Kind, Key: bytes.Clone(e.Key), Data: keys, Seq: e.Seq})
	}
	return nil
}

// holdings writes again all that a lease holds, and no longer holds, when one of its
// records is lost.
func (m *mover) holdings(id []byte) error {
	under, says := key(underID, id), map[holding][]byte{}
	put := func(at holding) {
		kind := kindHold
		if at.state == gone {
			kind = kindRelease
		}
		m.add(seglog.Record{Kind: kind, Key: bytes.Clone(id), Data: says[at], Seq: at.seq})
		delete(says, at)
	}
	err := scanPrefix(m.s.index.db, under, func(k, value []byte) (bool, error) {
		at, err := parseHolding(value)
		if err != nil {
			return false, err
		}
		if says[at] = appendHold(says[at], mh.Multihash(k[len(under):])); len(says[at]) >= holdSize {
			put(at)
		}
		return true, nil
	})
	for at := range says {
		put(at)
	}
	return err
}

func (m *mover) take(e seglog.Entry) {
	m.add(seglog.Record{Kind: e.Kind, Key: bytes.Clone(e.Key), Data: bytes.Clone(e.Data), Seq: e.Seq})
}

func (m *mover) add(r seglog.Record) {
	n := seglog.Size(len(r.Key), len(r.Data))
	m.batch, m.size, m.copied = append(m.batch, r), m.size+n, m.copied+n
}

func (m *mover) full(ctx context.Context) error {
	if m.size < movedBusy || !m.busy && m.size < movedIdle {
		return nil
	}
	return m.flush(ctx)
}

func (m *mover) flush(ctx context.Context) error {
	if len(m.batch) == 0 {
		return ctx.Err()
	}
	if _, err := m.s.log.Append(ctx, m.batch...); err != nil {
		return err
	}
	m.batch, m.size = nil, 0
	m.busy = m.rest(ctx)
	return ctx.Err()
}

// stragglers finds what the index has in the segment and the scan did not see,
// because its header has rotted.
func (m *mover) stragglers(ctx context.Context) error {
	x := m.s.index
	x.mu.Lock()
	left := x.segs[m.id].live - m.holds
	x.mu.Unlock()
	if left <= 0 {
		return nil
	}
	for _, prefix := range []string{byBlock, byID, byRoot, byRecord} {
		var es []entry // with the key of the index
		err := scanPrefix(x.db, []byte(prefix), func(k, value []byte) (bool, error) {
			p, _, err := parsePlace(value)
			if err == nil && p.pos.Seg == m.id && p.state == there {
				es = append(es, entry{bytes.Clone(k), p})
			}
			return true, err
		})
		for _, e := range es {
			left -= seglog.Size(len(e.h)-len(prefix), e.p.n)
			err = errors.Join(err, m.odd(ctx, e.h, e.p))
		}
		if err != nil {
			return err
		}
	}
	if left > 0 { // holds, then, and nobody knows whose
		err := scanPrefix(x.db, []byte(byID), func(k, _ []byte) (bool, error) {
			return true, m.holdings(bytes.Clone(k[len(byID):]))
		})
		if err != nil {
			return err
		}
	}
	return m.flush(ctx)
}

// drop enters that the segment is empty, and puts that on the disk: from then on
// nobody looks for anything in it.
func (m *mover) drop() error {
	x := m.s.index
	x.mu.Lock()
	err := x.batchLocked(x.at.pos, func(c *change) error {
		for _, k := range m.forget {
			p, _, ok, err := c.place(k)
			if err != nil {
				return err
			}
			if !ok || p.pos.Seg != m.id {
				continue
			}
			if err := c.b.Delete(k, nil); err != nil {
				return err
			}
		}
		for _, o := range m.over {
			at, ok, err := getHolding(x.db, o.id, o.h)
			if err != nil {
				return err
			}
			if !ok || at != (holding{gone, o.seq}) {
				continue
			}
			if err := errors.Join(c.b.Delete(key(byHash, o.h, o.id), nil), c.b.Delete(key(underID, o.id, o.h), nil)); err != nil {
				return err
			}
		}
		*c.seg(m.id) = tally{dropped: true}
		return nil
	})
	x.mu.Unlock()
	if err != nil {
		return err
	}
	return x.flush()
}
