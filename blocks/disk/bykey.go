package disk

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cairn-network/cairn/blocks/disk/seglog"
)

// said is what a record says of a block.
type said struct {
	first uint64 // of its key: most comparisons need no more
	e     *seglog.Entry
}

// first is the beginning of a key, as a number of the same order.
func first(key []byte) uint64 {
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

// blocks enters what was said of blocks, key by key: only of what is said of the same
// block does the order matter, and the database takes keys in their own order several
// times as fast as in that of the log.
func (c *change) blocks() error {
	es := c.said
	slices.SortFunc(es, func(a, b said) int {
		if a.first != b.first {
			return cmp.Compare(a.first, b.first)
		}
		if c := bytes.Compare(a.e.Key, b.e.Key); c != 0 || a.e.Pos == b.e.Pos {
			return c
		}
		if a.e.Pos.Before(b.e.Pos) {
			return -1
		}
		return 1
	})
	for len(es) > 0 {
		n := 1
		for n < len(es) && es[n].first == es[0].first && bytes.Equal(es[n].e.Key, es[0].e.Key) {
			n++
		}
		if err := c.block(es[:n]); err != nil {
			return err
		}
		es = es[n:]
	}
	return nil
}

// block enters what es say of one block, in the order of the log.
func (c *change) block(es []said) (err error) {
	h := es[0].e.Key
	c.key = append(append(c.key[:0], byBlock...), h...)
	var at place
	ok, changed, before := false, false, len(c.freed)
	if c.x.filter.may(h) {
		if at, ok, err = c.x.place(c.key); err != nil {
			return err
		}
	}
	if !ok {
		c.x.filter.add(h)
	}
	for _, s := range es {
		says := c.put
		if s.e.Kind != kindBlock {
			says = c.end
		}
		p := place{state: there, pos: s.e.Pos, n: s.e.Len, seq: s.e.Seq}
		if says(s.e, at, ok, &p) {
			at, ok, changed = p, true, true
		}
	}
	if !changed {
		return nil
	}
	op := c.b.SetDeferred(len(c.key), placeSize)
	copy(op.Key, c.key)
	at.append(op.Value[:0])
	if err := op.Finish(); err != nil || len(c.freed) == before {
		return err
	}
	return c.b.Delete(key(byRead, h), nil)
}

// put enters that a block is at p, unless what the log said of it before still
// counts, which has left it at old if ok; it answers whether p counts.
func (c *change) put(e *seglog.Entry, old place, ok bool, p *place) bool {
	switch {
	case ok && old.state == there && (e.Damaged || !p.younger(old)):
		return false // bytes of one hash are the same: the whole copy will do
	case ok && old.state == rotten && !e.Damaged:
	case ok && (!p.younger(old) || old.state == bad && p.seq == old.seq):
		return false
	}
	if ok {
		c.leaveBlock(old, len(e.Key))
	}
	t := c.seg(e.Pos.Seg)
	if e.Damaged {
		p.state = rotten
		t.bad++
	} else {
		t.live += e.Size()
		t.blocks++
		t.data += int64(e.Len)
	}
	return true
}

// end enters that a block is no more, or is wrong, as put does that it is there.
func (c *change) end(e *seglog.Entry, old place, ok bool, p *place) bool {
	p.state = gone
	if e.Kind == kindBad {
		p.state = bad
	}
	// A block is condemned under its own sequence number, so that the verdict
	// does not hit a whole copy that was put meanwhile.
	condemned := ok && p.state == bad && old.seq == p.seq && old.state != bad
	if ok && !condemned && !p.younger(old) {
		return false
	}
	if ok {
		c.leaveBlock(old, len(e.Key))
		if old.state == there && e.Kind == kindDelete {
			c.freed = append(c.freed, freed{old.pos, len(e.Key), old.n})
		}
	}
	t := c.seg(e.Pos.Seg)
	t.tomb += e.Size()
	if p.state == bad {
		t.bad++
	}
	return true
}

// leaveBlock is leave for a block.
func (c *change) leaveBlock(old place, n int) {
	c.leave(old, n)
	if old.state == there {
		t := c.seg(old.pos.Seg)
		t.blocks--
		t.data -= int64(old.n)
	}
}
