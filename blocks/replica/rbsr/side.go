package rbsr

import (
	"encoding/binary"
	"math"
)

// The shape and the limits of a comparison.
const (
	FanOut  = 16      // parts of a range that is split
	Leaf    = 32      // keys that are listed and not split
	Open    = 64      // ranges that are split in one message
	Rounds  = 8       // messages of each side
	MaxKeys = 1 << 20 // of a set that can be compared

	spare  = 64 << 10 // bytes of a side besides its keys
	fine   = 40 << 10 // of those until what is open is listed, whatever it has
	sample = 32       // fingerprints from which the differences are guessed
)

// limit is the bytes that who has n keys may send to who has m.
func limit(n, m int) int { return n*keySize + m/8 + spare }

// side is what both sides have.
type side struct {
	mine *Set

	sent  int // messages
	keys  int // that were sent
	other int // bytes that were sent besides

	heard  int // messages
	got    int // bytes
	theirs int // keys of the other side, as it says
}

// Room is how many bytes the message that begins with head may have: more is refused by
// Step, and need not be read.
func (s *side) Room(head []byte) int {
	theirs := s.theirs
	if s.heard == 0 {
		n, _ := binary.Uvarint(head)
		theirs = int(min(n, MaxKeys))
	}
	return limit(theirs, s.mine.Len()) - s.got
}

// accept begins to read a message.
func (s *side) accept(msg []byte) (reader, error) {
	if room := s.Room(msg); len(msg) > room {
		return reader{}, malformed("%d bytes, limit %d", len(msg), room)
	}
	if s.heard == Rounds {
		return reader{}, malformed("more than %d messages", Rounds)
	}
	r := reader{b: msg}
	if s.heard == 0 {
		n, err := r.number()
		if err != nil {
			return r, err
		}
		s.theirs = n
	}
	s.heard++
	s.got += len(msg)
	return r, nil
}

// piece is a range to speak of in the next message.
type piece struct {
	lo, hi bound
	i, j   int // places of the keys that this side has there

	listed bool // its keys were sent, or another's were and this is the answer
	n      int  // answer: to how many keys
	had    []byte
	extra  []Key
}

// tally is what a message shows of how much differs.
type tally struct{ prints, differ, keys int }

// much reports whether more than a tenth of the keys seems to differ: so many of the
// ranges do that by chance as many differences would fall into as few.
func (t tally) much() bool {
	if t.prints < sample || t.differ == 0 {
		return false
	}
	m := float64(t.prints)
	return m*math.Log(m/max(m-float64(t.differ), .5)) > float64(t.keys)/10
}

// apart reports whether sets of n and m keys must differ in more than a tenth.
func apart(n, m int) bool { return max(n, m)-min(n, m) > max(n, m)/10 }

// compose writes the next message: of each piece an answer, its keys, its parts, or its
// fingerprint for the other side to go on with. all lists whatever there is.
func (s *side) compose(ps []piece, all bool) []byte {
	var w writer
	if s.sent == 0 {
		w.b = binary.AppendUvarint(w.b, uint64(s.mine.Len()))
	}
	all = all || s.sent == Rounds-1
	open := 0
	for _, p := range ps {
		open += p.j - p.i
	}
	agreed := max(s.mine.Len()-s.keys-open, 0) * keySize // bytes of keys that need not be sent pay for fingerprints
	split := 0
	for k := range ps {
		p := &ps[k]
		switch other := s.other + len(w.b) - w.keys*keySize - agreed; {
		case p.listed:
			w.answer(p.lo, p.hi, p.n, p.had, p.extra)
		case all || p.j-p.i <= Leaf || other > fine:
			p.listed = true
			w.to(modeList, p.lo, p.hi)
			w.list(s.mine.keys[p.i:p.j])
		case split < Open:
			split++
			s.split(&w, p)
		default:
			w.print(p.lo, p.hi, s.mine.print(p.i, p.j))
		}
	}
	s.sent++
	s.keys += w.keys
	s.other += len(w.b) - w.keys*keySize
	return w.b
}

// split writes the fingerprints of the parts of p, which has more keys than parts.
func (s *side) split(w *writer, p *piece) {
	lo, i := p.lo, p.i
	for k := range FanOut {
		hi, j := p.hi, p.i+(p.j-p.i)*(k+1)/FanOut
		if k < FanOut-1 {
			hi = s.mine.part(j)
		}
		w.print(lo, hi, s.mine.print(i, j))
		lo, i = hi, j
	}
}

// compare gives the piece of g, and whether its fingerprint is another one here.
func (s *side) compare(g span, t *tally) (p piece, differs bool) {
	p = piece{lo: g.lo, hi: g.hi, i: s.mine.before(g.lo), j: s.mine.before(g.hi)}
	differs = s.mine.print(p.i, p.j) != g.print
	t.prints++
	t.keys += p.j - p.i
	if differs {
		t.differ++
	}
	return p, differs
}
